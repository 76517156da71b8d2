"""Exports a trained policy as a SavedModel that takes observations as they are.

    python export.py

One signature:

serving_default  observations: float32 (count, observation_size) -> actions: int64 (count,), the
                 most probable ones; probabilities: float32 (count, num_actions)
"""

import argparse
from collections.abc import Sequence
from functools import partial

import tensorflow as tf

from chapter21_policy_gradient import data
from chapter21_policy_gradient.eval import load_run, verb_parser
from chapter21_policy_gradient.model import action_logits, greedy
from common import cli, export

CHAPTER = "chapter21_policy_gradient"


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and tries it in a process of its own."""
    policy, env = load_run(args, flags)

    def act(observations: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = action_logits(policy, observations)
        return {"actions": tf.argmax(logits, axis=1), "probabilities": tf.nn.softmax(logits)}

    (episode,) = data.play_episodes(env, partial(greedy, policy.get_weights()), 1, flags.seed,
                                    data.VALIDATION)
    folder = export.write(
        args.run_dir,
        policy,
        {"serving_default": (act, {
            "observations": tf.TensorSpec((None, *policy.input_shape[1:]), tf.float32)})},
        {"serving_default": {"observations": episode.observations}},
        {"environment": flags.env_name, "observations": str(env.observation_space),
         "actions": str(env.action_space)},
    )
    print(f"{folder}: written, and agrees with the policy in a process of its own")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return verb_parser(__doc__, "export.py")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), CHAPTER, argv)


if __name__ == "__main__":
    raise SystemExit(main())
