"""Visualizes the activation of one hidden unit of a trained network, as an HTML page.

    python visualize.py                       # the latest run, the unit that varies most
    python visualize.py --layer 2 --unit 31 --length 1000

The page shows held-out text with each character coloured by the unit's output (red below 0, blue
above), the five most probable next characters under it, and the samples of the run side by side.
In this way Karpathy et al. 2015 found units that track line length and open brackets.
"""

import argparse
import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from chapter12_char_rnn import data
from chapter12_char_rnn.inference import load_run
from chapter12_char_rnn.model import CharRNN, State
from common import cli, page, rundir
from common.errors import UserError

NUM_EXPECTED = 5
NUM_COLUMNS = 6  # samples side by side

STYLE = """\
  .text span { display: inline-block; text-align: center; vertical-align: top;
               font: 16px monospace; min-width: 1.1em; margin-bottom: .6em; }
  .text b { display: block; font-weight: normal; }
  .text small { display: block; font: 10px/1.15 monospace; color: #777; }
  .samples { display: flex; gap: 1em; overflow-x: auto; }
  .samples pre { flex: 1; white-space: pre-wrap; background: #f5f5f5; padding: .7em; margin: 0; }"""

BODY = """\
<p>Blue: the unit's output is near 1; red: near −1. Below each character, the predictions of the
next character, most probable first.</p>
<div class="text">{text}</div>
<h2>Samples by step</h2>
<div class="samples">{samples}</div>"""


def observe(model: CharRNN, tokens: np.ndarray, layer: int) -> tuple[np.ndarray, np.ndarray]:
    """Runs a network over a text, token by token.

    Args:
        model: the network.
        tokens: int32 of shape (tokens,).
        layer: index of the layer to observe.

    Returns:
        Outputs of the layer, float32 of shape (tokens, size), and the ids of the most probable
        next tokens, int32 of shape (tokens, 5).
    """
    num_expected = min(NUM_EXPECTED, model.vocab_size - 1)

    @tf.function
    def read(token: tf.Tensor, states: list[State]) -> tuple[tf.Tensor, list[State]]:
        logits, states = model(token[None, None], states, training=False)
        return tf.math.top_k(logits[0, 0, :-1], num_expected).indices, states

    outputs, expected = [], []
    states = model.initial_states(1)
    for token in tqdm(tokens, unit="char", leave=False, disable=None):
        likely, states = read(tf.constant(token), states)
        outputs.append(states[layer][0][0].numpy())
        expected.append(likely.numpy())
    return np.stack(outputs), np.stack(expected)


def show(token: str) -> str:
    """Returns a token as HTML, with visible whitespace."""
    return html.escape({"\n": "↵", " ": "␣", "\t": "⇥"}.get(token, token))


def render_text(tokens: Sequence[str], values: np.ndarray, expected: Sequence[list[str]]) -> str:
    """Returns the coloured text as HTML; values are in [-1, 1]."""
    parts = []
    for token, value, likely in zip(tokens, values, expected, strict=True):
        hue, alpha = (215 if value > 0 else 5), abs(float(value))
        under = "<br>".join(map(show, likely))
        colour = f"background: hsl({hue} 90% 55% / {alpha:.2f})"
        parts.append(f'<span title="{value:+.2f}"><b style="{colour}">{show(token)}</b>'
                     f"<small>{under}</small></span>")
        if token == "\n":
            parts.append("<br>")
    return "".join(parts)


def render_samples(folder: Path) -> str:
    """Returns samples of a run, evenly spaced over its steps, as HTML."""
    files = sorted(folder.glob("*.txt"))
    chosen = np.unique(np.linspace(0, len(files) - 1, NUM_COLUMNS).round().astype(int))
    return "".join(
        f"<pre><b>step {int(files[i].stem):,}</b>\n\n"
        f"{html.escape(files[i].read_text(encoding='utf-8'))}</pre>"
        for i in chosen if files
    )


def visualize(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes visualization.html into the run folder."""
    if not 1 <= args.layer <= flags.num_layers:
        raise UserError(f"there is no layer {args.layer}",
                        f"give a layer from 1 to {flags.num_layers}")
    if args.unit is not None and not 0 <= args.unit < flags.lstm_size:
        raise UserError(f"there is no unit {args.unit}",
                        f"give a unit from 0 to {flags.lstm_size - 1}")
    model, vocabulary = load_run(args, flags)
    corpus = data.load(flags, vocabulary)
    rundir.check_data(args.run_dir, corpus.sha256)
    tokens = corpus.held_out[1 : args.length + 1]
    outputs, expected = observe(model, tokens, args.layer - 1)
    unit = int(outputs.std(axis=0).argmax()) if args.unit is None else args.unit
    names = np.array([*vocabulary, data.UNKNOWN])
    body = BODY.format(
        text=render_text(names[tokens], outputs[:, unit], names[expected].tolist()),
        samples=render_samples(args.run_dir / "samples"),
    )
    path = args.run_dir / "visualization.html"
    page.write(path, f"{args.run_dir.name}: layer {args.layer}, unit {unit}", body, STYLE)
    print(path)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, data=["input_file", "data_dir"])
    parser.add_argument("--layer", type=cli.positive_int, default=1,
                        help="recurrent layer, counted from 1")
    parser.add_argument("--unit", type=int, help="hidden unit of that layer, counted from 0 "
                        "(default: the one whose output varies most)")
    parser.add_argument("--length", type=cli.positive_int, default=600,
                        help="number of tokens to show")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(visualize, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
