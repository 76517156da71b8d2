"""Characters per second in training: ours, PyTorch's nn.LSTM and Keras' LSTM layers.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter12_char_rnn

Two layers, dropout 0.5, gradients clipped to norm 5, Adam, state carried over, windows of the same
random text. Forward pass, backward pass, update and input pipeline are all included.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import harness

VOCABULARY = 66
SETTINGS = {
    "2x128, 100x100": {"size": 128, "num_seqs": 100, "num_steps": 100},
    "2x128, 32x50": {"size": 128, "num_seqs": 32, "num_steps": 50},
    "2x256, 32x50": {"size": 256, "num_seqs": 32, "num_steps": 50},
}


def text() -> np.ndarray:
    """Returns the tokens that all contenders train on."""
    return np.random.default_rng(0).integers(0, VOCABULARY, 1_000_000).astype(np.int32)


def ours(setting: dict[str, Any], precision: str = "float32") -> tuple[Callable[[], Any], int]:
    """Measures chapter 12's training step on its input pipeline."""
    import keras
    import tensorflow as tf

    from chapter12_char_rnn import data, train
    from chapter12_char_rnn.model import build_model

    model = build_model(VOCABULARY, setting["size"], 2, keep_prob=0.5, precision=precision)
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)
    carried = tf.nest.map_structure(tf.Variable, model.initial_states(setting["num_seqs"]))
    train_step = train.make_train_step(model, optimizer, carried)
    batches = iter(data.training_batches(text(), setting["num_seqs"], setting["num_steps"], 0))
    items = setting["num_seqs"] * setting["num_steps"]
    return lambda: float(train_step(*next(batches))[0]), items


def pytorch(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures nn.LSTM in a plain PyTorch loop; an embedding replaces one-hot vectors."""
    import torch

    size, rows, steps = setting["size"], setting["num_seqs"], setting["num_steps"]

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(VOCABULARY, VOCABULARY)
            self.lstm = torch.nn.LSTM(VOCABULARY, size, 2, dropout=0.5, batch_first=True)
            self.dropout = torch.nn.Dropout(0.5)
            self.classifier = torch.nn.Linear(size, VOCABULARY)

        def forward(self, tokens, state):
            outputs, state = self.lstm(self.embedding(tokens), state)
            return self.classifier(self.dropout(outputs)), state

    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    tokens = torch.from_numpy(text()).long()
    row_length = (len(tokens) - 1) // rows // steps * steps
    inputs = tokens[: rows * row_length].view(rows, row_length)
    targets = tokens[1 : rows * row_length + 1].view(rows, row_length)
    starts = itertools.cycle(range(0, row_length, steps))
    state = tuple(torch.zeros(2, rows, size) for _ in range(2))

    def step() -> float:
        nonlocal state
        start = next(starts)
        logits, after = model(inputs[:, start : start + steps], state)
        state = tuple(s.detach() for s in after)
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets[:, start : start + steps].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        return float(loss)

    return step, rows * steps


def keras_layers(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures stateful keras.layers.LSTM with compile and train_on_batch."""
    import keras

    from chapter12_char_rnn import data

    rows, steps = setting["num_seqs"], setting["num_steps"]
    model = keras.Sequential([keras.Input(batch_shape=(rows, steps), dtype="int32"),
                              keras.layers.Embedding(VOCABULARY, VOCABULARY)])
    for _ in range(2):
        model.add(keras.layers.LSTM(setting["size"], return_sequences=True, stateful=True))
        model.add(keras.layers.Dropout(0.5))
    model.add(keras.layers.Dense(VOCABULARY))
    model.compile(keras.optimizers.Adam(1e-3, global_clipnorm=5.0),
                  keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batches = iter(data.training_batches(text(), rows, steps, 0))

    def step() -> float:
        inputs, targets, _ = next(batches)
        return float(model.train_on_batch(inputs, targets))

    return step, rows * steps


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, or one measurement of it."""
    contenders = {"ours": ours, "pytorch": pytorch, "keras": keras_layers,
                  "ours_bfloat16": functools.partial(ours, precision="bfloat16")}
    return harness.run("chapter12_char_rnn", "characters/s", contenders, SETTINGS, argv)


if __name__ == "__main__":
    raise SystemExit(main())
