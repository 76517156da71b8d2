"""Exports the learned table as a SavedModel: states in, greedy actions and their values out.

    python export.py

One signature:

serving_default  states: int64 (count,), row · columns + column of the map -> actions: int64
                 (count,), 0 up, 1 down, 2 left, 3 right; values: float64 (count, 4)

In another environment (`--env_name`) its states and actions, with the numbers that they have there.
"""

import argparse
from collections.abc import Sequence

import tensorflow as tf

from chapter18_q_learning.env import ACTIONS, is_maze
from chapter18_q_learning.inference import load_run
from common import cli, export


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a fresh process."""
    env, table = load_run(args, flags)
    num_states = int(env.observation_space.n)
    facts = {"environment": flags.env_name, "actions": int(env.action_space.n)}
    if is_maze(flags):
        facts = {"actions": ACTIONS, "map": env.unwrapped.lines, "states": "row * columns + column"}

    def act(states: tf.Tensor) -> dict[str, tf.Tensor]:
        known = tf.reduce_all((states >= 0) & (states < num_states))
        check = tf.debugging.Assert(
            known, ["states must be from 0 to", num_states - 1, "not", states])
        with tf.control_dependencies([check]):  # otherwise tf.gather may fail first
            states = tf.identity(states)
        values = tf.gather(table.values(), states)  # (count, actions)
        return {"actions": tf.argmax(values, axis=1), "values": values}

    export.write(
        args.run_dir,
        table,
        {"serving_default": (act, {"states": tf.TensorSpec((None,), tf.int64)})},
        {"serving_default": {"states": tf.range(num_states, dtype=tf.int64)}},
        facts,
    )


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__, checkpoint="latest")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
