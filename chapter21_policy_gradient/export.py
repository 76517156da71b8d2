"""Exports a trained policy as a SavedModel: observations in, greedy actions out.

    python export.py

One signature:

serving_default  observations: float32 (count, observation_size) -> actions: int64 (count,), the
                 most probable ones; probabilities: float32 (count, num_actions)

Observations of a game are uint8 (count, 4, 80, 80): gray frames, the oldest first, see chapter 20's
atari.py.

For continuous actions of n numbers the outputs are actions: float32 (count, n), the means clipped
to their bounds; means and deviations: float32 (count, n), the parameters of the normal distribution
"""

import argparse
import itertools
from collections.abc import Sequence

import gymnasium as gym
import keras
import numpy as np
import tensorflow as tf

from chapter21_policy_gradient import data
from chapter21_policy_gradient.inference import load_run
from chapter21_policy_gradient.model import action_logits
from common import cli, export

SAMPLES = 100  # observations that the verification compares


def answer(
    policy: keras.Model, action_space: gym.Space, by_ppo: bool, observations: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns the outputs of the signature."""
    if isinstance(action_space, gym.spaces.Box):
        means, log_deviations = tf.split(policy(observations), 2, axis=1)
        bounded = tf.clip_by_value(means, action_space.low, action_space.high)
        return {"actions": bounded, "means": means, "deviations": tf.exp(log_deviations)}
    logits = policy(observations) if by_ppo else action_logits(policy, observations)
    return {"actions": tf.argmax(logits, axis=1), "probabilities": tf.nn.softmax(logits)}


def export_run(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Writes the SavedModel of a run and verifies it in a fresh process."""
    run = load_run(args, flags)

    def act(observations: tf.Tensor) -> dict[str, tf.Tensor]:
        return answer(run.policy, run.env.action_space, flags.algorithm == "ppo", observations)

    rng = np.random.default_rng(flags.seed)
    steps = itertools.islice(data.play(run.env, run.greedy(rng), rng), SAMPLES)
    samples = np.array([step.observation for step in steps], run.policy.inputs[0].dtype)
    export.write(
        args.run_dir,
        run.policy,
        {"serving_default": (act, {
            "observations": tf.TensorSpec((None, *run.policy.input_shape[1:]),
                                          run.policy.inputs[0].dtype)})},
        {"serving_default": {"observations": samples}},
        {"environment": flags.env_name, "observations": str(run.env.observation_space),
         "actions": str(run.env.action_space)},
    )


def build_parser() -> cli.Parser:
    """Returns the parser."""
    return cli.verb_parser(__file__, __doc__, checkpoint="latest")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(export_run, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
