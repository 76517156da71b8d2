"""Captions per second of training a decoder, and pictures per second of beam search: PyTorch.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter17_image_caption

The decoder of the preset `demo`, an LSTM with soft attention, on feature vectors that are in
memory, and on captions of scenes. Both contenders have the same weights, and must find the
same loss in the first step, without dropout, or the same three captions of each picture. Training
includes the input pipeline. PyTorch searches picture by picture, as its tutorials do. Each uses one
thread, so that other programs on the machine slow both alike.
"""

import argparse
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import harness

PICTURES, PLACES, CHANNELS = 512, 64, 64
WIDTH, MAX_WORDS = 3, 19  # of the search; words with the end symbol
SETTINGS = {
    "training, batch 64": {"pictures": None},
    "beam search, 32 pictures": {"pictures": 32},
    "beam search, 1 picture": {"pictures": 1},
}


def features() -> np.ndarray:
    """Returns feature vectors of pictures, float32 of shape (PICTURES, PLACES, CHANNELS)."""
    return np.float32(np.random.default_rng(0).random((PICTURES, PLACES, CHANNELS)))


def open_decoder(training: bool) -> tuple[argparse.Namespace, Any, Any]:
    """Returns the flags, some scenes with their captions, and the decoder.

    For the search its weights are larger than the initial ones: the words then depend on the
    picture, and no two captions are equally probable.
    """
    import keras

    from chapter16_nmt.corpus import build_vocabulary
    from chapter17_image_caption import data, flags, scenes, train
    from chapter17_image_caption.caption_files import tokenize

    keras.utils.set_random_seed(0)
    args = harness.flags(train, "demo", dropout=0.0, schedule="constant")
    pictures, captions = scenes.draw_split(PICTURES, 0, set(), False)
    words = [[tokenize(caption) for caption in some] for some in captions]
    split = data.Split([""] * PICTURES, pictures.__getitem__, words)
    vocabulary = build_vocabulary(data.pairs(words)[1], args.min_word_count, args.vocab_size)
    found = data.Data({"train": split}, [], vocabulary, "")
    captioner = flags.build_captioner(args, len(found.vocabulary), CHANNELS)
    if not training:
        rng = np.random.default_rng(0)
        captioner.set_weights([rng.normal(0, 2 * value.shape[0] ** -0.5, value.shape)
                               for value in captioner.get_weights()])
    return args, found, captioner


def number_of(captions: Sequence[Sequence[int]]) -> float:
    """Returns a number that differs where captions differ."""
    return float(zlib.crc32(repr([[int(word) for word in words] for words in captions]).encode()))


def ours(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures chapter 17's train step on its stream, or its search."""
    import tensorflow as tf

    from chapter16_nmt.corpus import END_ID
    from chapter17_image_caption import batches, flags, inference, train

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    count = setting["pictures"]
    args, found, captioner = open_decoder(not count)
    if count:
        how = inference.Decoding(WIDTH, MAX_WORDS + 1)
        search = tf.function(lambda rows: inference.search(captioner, rows, WIDTH, how),
                             autograph=False)
        rows = tf.constant(features()[:count])

        def describe() -> float:
            tokens = search(rows).tokens.numpy().reshape(-1, MAX_WORDS)
            return number_of([row[row != END_ID] for row in tokens])

        return describe, count
    variables = captioner.trainable_variables
    stream = batches.Batches(args, found, batches.Sight(features(), CHANNELS), 64)
    optimizer = flags.make_optimizer(args, len(stream))
    optimizer.build(variables)
    train_step = train.make_train_step(lambda sees, key: sees, captioner, optimizer, variables,
                                       args)
    turns = stream.start_at(0)

    def step() -> float:
        batch = next(turns)
        return float(train_step(batch.sees, batch.key, *batch.words)[0])

    return step, args.batch_size


def make_network(captioner: Any) -> Any:
    """Builds the same decoder in PyTorch: an LSTM cell in a loop over the words."""
    import torch
    from torch import nn

    units = captioner.sizes.units

    def linear(layer: Any) -> nn.Linear:
        kernel, *bias = layer.get_weights()
        made = nn.Linear(*kernel.shape, bias=bool(bias))
        made.weight.data = torch.from_numpy(np.ascontiguousarray(kernel.T))
        if bias:
            made.bias.data = torch.from_numpy(bias[0])
        return made

    class Decoder(nn.Module):
        """Show, Attend and Tell."""

        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding.from_pretrained(
                torch.from_numpy(captioner.embedding.get_weights()[0]), freeze=False)
            for name in ("first_state", "keys", "query", "score", "gate", "context_output",
                         "word_output", "classifier"):
                setattr(self, name, linear(getattr(captioner, name)))
            words, context, state = (linear(getattr(captioner, name)) for name in
                                     ("word_gates", "context_gates", "state_gates"))
            # PyTorch has the gates i, f, g, o, chapter 17 i, g, f, o and 1 added to f.
            order = torch.arange(4 * units).reshape(4, units)[[0, 2, 1, 3]].flatten()
            self.cell = nn.LSTMCell(words.in_features + CHANNELS, units)
            self.cell.weight_ih.data = torch.cat([words.weight, context.weight], 1).data[order]
            self.cell.weight_hh.data = state.weight.data[order]
            self.cell.bias_ih.data = words.bias.data[order]
            self.cell.bias_hh.data = torch.zeros(4, units).index_fill(
                0, torch.tensor([1]), 1.0).flatten()

        def begin(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            """Returns the state of the LSTM before the first word."""
            return torch.tanh(self.first_state(maps.mean(1))).chunk(2, 1)

        def step(self, words: torch.Tensor, state: Any, maps: torch.Tensor, keys: torch.Tensor
                 ) -> tuple[torch.Tensor, Any, torch.Tensor]:
            """Reads embedded words; returns outputs, state and the weights of the places."""
            scores = self.score(torch.tanh(keys + self.query(state[0])[:, None]))
            weights = scores.softmax(1)  # (batch, places, 1)
            context = torch.sigmoid(self.gate(state[0])) * (weights * maps).sum(1)
            state = self.cell(torch.cat([words, context], 1), state)
            return state[0] + self.context_output(context), state, weights[..., 0]

        def forward(self, maps: torch.Tensor, inputs: torch.Tensor
                    ) -> tuple[torch.Tensor, torch.Tensor]:
            """Returns outputs (batch, time, units) and weights (batch, time, places)."""
            embedded, keys, state = self.embedding(inputs), self.keys(maps), self.begin(maps)
            outputs, weights = [], []
            for time in range(inputs.shape[1]):
                output, state, looked = self.step(embedded[:, time], state, maps, keys)
                outputs.append(output)
                weights.append(looked)
            return torch.stack(outputs, 1) + self.word_output(embedded), torch.stack(weights, 1)

    return Decoder()


def search(network: Any, maps: Any) -> list[list[int]]:
    """Searches the most probable captions of one picture, of shape (1, PLACES, CHANNELS)."""
    import torch

    from chapter16_nmt.corpus import END_ID, START_ID, UNKNOWN_ID

    keys, state = network.keys(maps), network.begin(maps)
    alive, done = [(0.0, [START_ID])], []  # log-probabilities and captions
    for _ in range(MAX_WORDS):
        words = network.embedding(torch.tensor([caption[-1] for _, caption in alive]))
        count = len(alive)
        outputs, state, _ = network.step(words, state, maps.expand(count, -1, -1),
                                         keys.expand(count, -1, -1))
        logits = network.classifier(outputs + network.word_output(words))
        logits[:, UNKNOWN_ID] = -torch.inf
        best, tokens = logits.log_softmax(1).topk(WIDTH)
        grown = sorted(((total + value, [*caption, token], row)
                        for row, ((total, caption), values, following) in
                        enumerate(zip(alive, best.tolist(), tokens.tolist(), strict=True))
                        for value, token in zip(values, following, strict=True)), reverse=True)
        done += [(total, caption) for total, caption, _ in grown if caption[-1] == END_ID]
        done = sorted(done, reverse=True)[:WIDTH]
        kept = [row for row in grown if row[1][-1] != END_ID][:WIDTH]
        alive = [(total, caption) for total, caption, _ in kept]
        state = tuple(part[[row for *_, row in kept]] for part in state)
        if len(done) == WIDTH and alive[0][0] <= done[-1][0]:
            break
    return [[word for word in caption[1:] if word != END_ID] for _, caption in done or alive]


def pytorch(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures a plain PyTorch loop, or a plain beam search."""
    import torch
    from torch import nn

    from chapter17_image_caption import batches, data

    torch.set_num_threads(1)
    count = setting["pictures"]
    args, found, captioner = open_decoder(not count)
    network, maps = make_network(captioner), torch.from_numpy(features())
    if count:
        @torch.inference_mode()
        def describe() -> float:
            return number_of([words for one in maps[:count].split(1)
                              for words in search(network, one)])

        return describe, count
    stream = batches.Batches(args, found, batches.Sight(features(), CHANNELS), 64)
    first = [next(stream.start_at(0))]  # the first batch of ours, to compare the losses
    owners, captions = torch.from_numpy(stream.owners), stream.captions
    optimizer = torch.optim.Adam(network.parameters(), args.learning_rate, eps=1e-7)

    def make_batches() -> Any:
        if first:
            batch = first.pop()
            yield torch.from_numpy(batch.sees), batch.words
        while True:
            for rows in torch.randperm(len(captions)).split(args.batch_size):
                if len(rows) == args.batch_size:
                    yield maps[owners[rows]], data.pad([captions[i] for i in rows.tolist()])

    turns = make_batches()

    def step() -> float:
        sees, words = next(turns)
        inputs, outputs, mask = map(torch.from_numpy, words)
        found, weights = network(sees, inputs.long())
        loss = nn.functional.cross_entropy(network.classifier(found[mask]), outputs[mask].long())
        looked = (weights * mask[..., None]).sum(1)
        total = loss + args.attention_penalty * ((1 - looked) ** 2).sum(1).mean()
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(network.parameters(), args.max_gradient_norm)
        optimizer.step()
        return loss.item()

    return step, args.batch_size


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, or one measurement of it."""
    contenders = {"ours": ours, "pytorch": pytorch}
    return harness.run("chapter17_image_caption", "captions/s", contenders, SETTINGS, argv, 1e-3)


if __name__ == "__main__":
    raise SystemExit(main())
