"""Draws how gradients vanish or explode: their norm against the distance in time.

    python vanishing.py

The cells are untrained. The recurrent matrix of the RNN is scaled to a spectral radius; the biases
of the LSTM's forget gate are b. A gradient of norm 1 enters the last state, and the figure shows
the norm of what arrives `distance` steps before, geometric mean over random inputs.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from appendix_a_numpy_rnn.cells import (
    CELLS,
    Weights,
    init_weights,
    sequence_forward,
    zero_states,
)
from common import cli, figures, rundir
from common.errors import exit_status
from common.figures import plt

N_X, N_A, STEPS, EXAMPLES = 10, 50, 100, 20
RADII, FORGET_BIASES = (0.5, 0.9, 1.5), (0.0, 1.0, 3.0)


def gradient_norms(cell: str, weights: Weights, rng: np.random.Generator) -> np.ndarray:
    """Returns the norms of the gradient that arrives 0, 1, ... STEPS steps before the last state.

    The gradient enters the state that carries the memory: c of an LSTM, a of an RNN.
    """
    x = rng.standard_normal((N_X, EXAMPLES, STEPS))
    _, _, caches = sequence_forward(cell, x, zero_states(cell, N_A, EXAMPLES), weights)
    d_states = list(zero_states(cell, N_A, EXAMPLES))
    d_states[-1] = rng.standard_normal((N_A, EXAMPLES))
    d_states[-1] /= np.linalg.norm(d_states[-1], axis=0)
    d_states, norms = tuple(d_states), [1.0]
    for cache in reversed(caches):
        gradients = {name: np.zeros_like(value) for name, value in weights.items()}
        _, d_states = CELLS[cell].backward(d_states, cache, weights, gradients)
        lengths = np.linalg.norm(np.concatenate(d_states), axis=0)  # (examples,)
        norms.append(np.exp(np.mean(np.log(np.maximum(lengths, 1e-300)))))
    return np.array(norms)


def curves(seed: int) -> dict[str, np.ndarray]:
    """Returns the norms of all cells of the figure, by name."""
    rng, found = np.random.default_rng(seed), {}
    for radius in RADII:
        weights = init_weights("rnn", N_X, N_A, rng, 0.01)
        weights["Waa"] *= radius / np.abs(np.linalg.eigvals(weights["Waa"])).max()
        found[f"RNN, spectral radius {radius:g}"] = gradient_norms("rnn", weights, rng)
    for bias in FORGET_BIASES:
        weights = init_weights("lstm", N_X, N_A, rng, 0.1)
        weights["bf"] += bias
        found[f"LSTM, forget bias {bias:g}"] = gradient_norms("lstm", weights, rng)
    return found


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("--output", type=cli.path,
                        help="PNG to write (default: vanishing.png in runs/appendix_a_numpy_rnn)")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of weights and inputs")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Draws the figure."""
    def draw() -> None:
        args = build_parser().parse_args(argv)
        figure, axes = plt.subplots(figsize=(7, 4))
        for name, norms in curves(args.seed).items():
            axes.plot(norms, "-" if name.startswith("LSTM") else "--", label=name)
        axes.set(xlabel="distance in time (steps)", ylabel="norm of the gradient", yscale="log",
                 ylim=(1e-12, 1e4))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.legend(fontsize=8)
        png = Path(args.output or rundir.runs_dir() / "appendix_a_numpy_rnn" / "vanishing.png")
        png.parent.mkdir(parents=True, exist_ok=True)
        figures.save_figure(png, figure)
        print(f"wrote {png}")

    return exit_status(draw)


if __name__ == "__main__":
    raise SystemExit(main())
