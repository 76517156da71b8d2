"""Exports a trained network as a SavedModel that maps states to actions and Q values.

    python export.py

One signature:

serving_default  states: the latest observations, the latest last, uint8 (count, history_length,
                 height, width) for frames, float32 (count, history_length, n) for vectors
                 -> actions: int64 (count,), the greedy ones; q_values: float32 (count,
                 num_actions)
"""

import argparse
from collections.abc import Sequence

import tensorflow as tf

from chapter20_dqn import episodes
from chapter20_dqn.inference import load_run
from common import cli, export


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and checks it in a new process."""
    network, env = load_run(args, flags)

    def act(states: tf.Tensor) -> dict[str, tf.Tensor]:
        q_values = network(states, training=False)
        return {"actions": tf.argmax(q_values, axis=1), "q_values": q_values}

    dtype = env.observation_space.dtype
    states = episodes.held_out_states(env, flags.history_length, flags.seed, 8)
    export.write(
        args.run_dir,
        network,
        {"serving_default": (act, {
            "states": tf.TensorSpec((None, *network.input_shape[1:]), dtype)})},
        {"serving_default": {"states": states}},
        {"environment": flags.env_name, "observations": str(env.observation_space),
         "actions": str(env.action_space)},
    )


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
