"""Loads the network and the environment of a finished run."""

import argparse

import gymnasium as gym
import keras

from chapter20_dqn import data
from chapter20_dqn.model import build_q_network
from common import checkpoint


def build_network(flags: argparse.Namespace, env: gym.Env) -> keras.Model:
    """Builds the Q-network that flags describe, for an environment from `make_env`."""
    space = env.observation_space
    return build_q_network(
        (flags.history_length, *space.shape), space.dtype.name, int(env.action_space.n),
        flags.network_header_type, flags.network_output_type, flags.mlp_units,
        flags.mlp_activation, flags.seed)


def load_run(
    args: argparse.Namespace, flags: argparse.Namespace, render_mode: str | None = None
) -> tuple[keras.Model, gym.Env]:
    """Returns the network of a run and its environment.

    Args:
        args: of the script, with `run_dir` and `checkpoint`.
        flags: the flags that the run was trained with.
        render_mode: of the environment, see `make_env`.
    """
    env = data.make_env(flags, render_mode)
    network = build_network(flags, env)
    checkpoint.load(args.run_dir, args.checkpoint, online=network)
    return network, env
