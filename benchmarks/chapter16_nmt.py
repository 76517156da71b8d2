"""Speed of translation: ours, and the same network in an eager PyTorch loop.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter16_nmt

The network of the preset `best_zh` without dropout. In training, target tokens per second: batches
of about 2,048 tokens, cross-entropy with label smoothing, clipped gradients, Adam; the first loss
must agree. In translation, target tokens per second of a beam of width 5 on batches of 32
sentences; the network is untrained, so that nearly all translations have the longest length. The
log-probability of the translations must agree.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import harness

SIZES = 5000, 3000  # vocabularies of source and target
SENTENCES, LENGTHS = 2000, (5, 25)
BEAM_WIDTH, BEAM_BATCH = 5, 32
SETTINGS = {"training": {}, f"beam of width {BEAM_WIDTH}": {"beam": True}}


def build() -> tuple[Any, Any, Any]:
    """Returns the flags, the network, and random sentence pairs."""
    from chapter16_nmt import data, flags, train

    args = harness.flags(train, "best_zh", dropout=0.0)
    rng = np.random.default_rng(0)
    pairs = data.Split([], [], [], [], {})
    for _ in range(SENTENCES):
        length = rng.integers(*LENGTHS, endpoint=True)
        pairs.source.append(rng.integers(3, SIZES[0], length).tolist())
        pairs.target.append(rng.integers(3, SIZES[1], length).tolist())
    return args, flags.build_model(args, SIZES), pairs


def words_per_batch(batches: Any) -> int:
    """Returns the mean number of target words, with the end symbol, of a training batch."""
    return round(sum(len(tokens) + 1 for tokens in batches.split.target) / len(batches))


def ours(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures chapter 16's train step on its batches, or its beam search."""
    import keras

    from chapter16_nmt import data, train
    from chapter16_nmt.decoding import limits
    from chapter16_nmt.search_graph import make_search

    args, model, pairs = build()
    if setting.get("beam"):
        search, most = make_search(model, attention=False, sampling=False), limits(LENGTHS[1])
        batch = data.pad(pairs, range(BEAM_BATCH))

        def translate() -> float:
            found = search(batch.source, batch.source_mask, np.full(BEAM_BATCH, most, np.int32),
                           BEAM_WIDTH, 0.0, 1.0, 0, np.zeros(BEAM_BATCH, np.int32))
            return float(found.log_probs[:, 0].numpy().sum())

        return translate, most * BEAM_BATCH
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)
    train_step, batches = train.make_train_step(model, optimizer, args), data.Batches(pairs, args)
    stream = batches.start_at(0)
    return lambda: float(train_step(*next(stream))[0]), words_per_batch(batches)


def pytorch(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures a plain PyTorch loop, or a plain beam search."""
    import torch

    from benchmarks.torch_translation import TorchTranslator, beam_search, train_step
    from chapter16_nmt import data
    from chapter16_nmt.decoding import limits

    args, model, pairs = build()
    network = TorchTranslator(model)
    if setting.get("beam"):
        batch, most = data.pad(pairs, range(BEAM_BATCH)), limits(LENGTHS[1])
        source, mask = torch.from_numpy(batch.source).long(), torch.from_numpy(batch.source_mask)
        lengths = [most] * BEAM_BATCH
        return (lambda: sum(beam_search(network, source, mask, lengths, BEAM_WIDTH)),
                most * BEAM_BATCH)
    trained = [weights for weights in network.parameters() if weights.requires_grad]
    optimizer = torch.optim.Adam(trained, 1e-3, eps=1e-7)
    batches = data.Batches(pairs, args)
    stream = batches.start_at(0)
    return lambda: train_step(network, optimizer, next(stream), args), words_per_batch(batches)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, or one measurement of it."""
    return harness.run("chapter16_nmt", "target tokens/s", {"ours": ours, "pytorch": pytorch},
                       SETTINGS, argv, tolerance=1e-3)


if __name__ == "__main__":
    raise SystemExit(main())
