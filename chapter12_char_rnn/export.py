"""Exports a trained character RNN as a SavedModel that generates text by itself.

    python export.py
    python -c "
    import tensorflow as tf
    write = tf.saved_model.load('EXPORT').signatures['serving_default']
    texts = write(start_string=tf.constant(['春', '秋']), length=tf.constant([30, 30]),
                  temperature=tf.constant([1.0, 1.0]), seed=tf.constant([0, 1]))['text']
    print(*[text.decode() for text in texts.numpy()], sep='\n\n')"

The SavedModel contains the vocabulary and has two signatures:

serving_default  start_string, length, temperature (0 is greedy), seed, each (count,) -> text
step             tokens, states -> probabilities, states: one step, for clients that sample
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from chapter12_char_rnn import data
from chapter12_char_rnn.inference import load_run
from chapter12_char_rnn.model import CharRNN, State, filter_logits
from common import cli, export
from common.text import lookup_table

TOP_K = 5  # the book samples among the five most probable characters, section 12.5.4


class Vocabulary(tf.Module):
    """Vocabulary lookup in both directions, stored in the SavedModel."""

    def __init__(self, tokens: Sequence[str], level: str):
        """Assigns ids in the order of the tokens; the id after the last is the unknown token's."""
        super().__init__()
        self.table = lookup_table(tokens, unknown=len(tokens))
        self.written = tf.constant([data.join(level)(token) for token in (*tokens, data.UNKNOWN)])
        self.new_line = tokens.index("\n") if "\n" in tokens else None
        self.level = level

    def encode(self, text: tf.Tensor) -> tf.Tensor:
        """Encodes a string as int32 token ids after a newline, as `sample.py` does.

        Characters that the model does not know, which `sample.py` refuses, become the unknown
        token. At the word level, words and punctuation must be separated by spaces.
        """
        split_chars = self.level == "char"
        parts = tf.strings.unicode_split(text, "UTF-8") if split_chars else tf.strings.split(text)
        tokens = self.table.lookup(parts)
        if self.new_line is not None:
            return tf.concat([[self.new_line], tokens], axis=0)
        return tf.cond(tf.size(tokens) > 0, lambda: tokens, lambda: tf.constant([0]))

    def decode(self, tokens: tf.Tensor) -> tf.Tensor:
        """Decodes int32 token ids into a string."""
        return tf.strings.reduce_join(tf.gather(self.written, tokens))


def make_write(model: CharRNN, vocabulary: Vocabulary) -> Callable[..., dict[str, tf.Tensor]]:
    """Returns the function that generates text, with the sampling loop in the graph."""

    def advance(token: tf.Tensor, states: list[State]) -> tuple[tf.Tensor, list[State]]:
        logits, states = model(token[None, None], states, training=False)
        return logits[:, 0], states  # (1, vocab_size)

    def draw(logits: tf.Tensor, temperature: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        top_k = tf.where(temperature > 0, TOP_K, 1)
        temperature = tf.where(temperature > 0, temperature, 1.0)
        logits = filter_logits(logits, temperature, top_k, 1.0)
        return tf.random.stateless_categorical(logits, 1, key, tf.int32)[0, 0]

    def write_one(row: tuple[tf.Tensor, ...]) -> tf.Tensor:  # lengths differ: one after the other
        start_string, length, temperature, seed = row
        tokens = vocabulary.encode(start_string)
        states, logits = model.initial_states(1), tf.zeros((1, model.vocab_size))
        for token in tokens:
            logits, states = advance(token, states)
        written = tf.TensorArray(tf.int32, size=length)
        for position in tf.range(length):
            token = draw(logits, temperature, tf.stack([seed, position]))
            written = written.write(position, token)
            logits, states = advance(token, states)
        gap = " " if vocabulary.level == "word" else ""
        return tf.strings.join([start_string, gap, vocabulary.decode(written.stack())])

    def write(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"text": tf.map_fn(write_one, inputs, fn_output_signature=tf.string)}

    return write


def make_step(model: CharRNN) -> tuple[Callable[..., dict[str, tf.Tensor]], dict[str, Any]]:
    """Returns the function that predicts one token, and the specs of its inputs."""
    zeros = model.initial_states(1)
    names = tf.nest.flatten(
        [[f"layer{i}_state{j}" for j in range(len(s))] for i, s in enumerate(zeros)]
    )
    specs = {"tokens": tf.TensorSpec((None,), tf.int32)}
    specs |= {name: tf.TensorSpec((None, model.size), tf.float32) for name in names}

    def step(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        tokens, *flat = inputs
        states = tf.nest.pack_sequence_as(zeros, flat)
        logits, states = model(tokens[:, None], states, training=False)
        outputs = dict(zip(names, tf.nest.flatten(states), strict=True))
        return outputs | {"probabilities": tf.nn.softmax(logits[:, 0])}

    return step, specs


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a separate process."""
    model, tokens = load_run(args, flags)
    vocabulary = Vocabulary(tokens, flags.level)
    holder = tf.Module()
    holder.model, holder.vocabulary = model, vocabulary
    step, step_specs = make_step(model)
    text_specs = {
        "start_string": tf.TensorSpec((None,), tf.string),
        "length": tf.TensorSpec((None,), tf.int32),
        "temperature": tf.TensorSpec((None,), tf.float32),
        "seed": tf.TensorSpec((None,), tf.int32),
    }
    start = "".join(tokens[:3])
    greedy = {"start_string": [start, ""], "length": [40, 7], "temperature": [0.0, 0.0],
              "seed": [0, 0]}
    states = {k: tf.zeros((2, model.size)) for k in step_specs if k != "tokens"}
    export.write(
        args.run_dir,
        holder,
        {
            "serving_default": (make_write(model, vocabulary), text_specs),
            "step": (step, step_specs),
        },
        {"serving_default": greedy, "step": {"tokens": tf.constant([0, 1])} | states},
        {"vocabulary": tokens, "temperature": "0 is greedy; above 0 samples from the top 5"},
    )


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
