"""Trains a policy network by REINFORCE (book, chapter 21; Williams 1992).

    python train.py                                  # CartPole-v0, less than a minute
    python train.py --preset book                    # the book's stopping criterion
    python train.py --env_name Acrobot-v1 --hidden_size 32
    python train.py --preset best --baseline value   # with a critic as baseline
    python train_ppo.py                              # PPO, see there

The policy plays whole episodes by sampling its actions; an update makes actions that were followed
by a higher return than usual more probable. CartPole-v0 is solved when the last 100 episodes have a
mean return of 195; the maximum is 200. A training step (`--max_steps`, checkpoints, TensorBoard) is
one update.
"""

import argparse
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import gymnasium as gym
import keras
import numpy as np
import tensorflow as tf
from gymnasium.envs.registration import EnvSpec

from chapter21_policy_gradient import data
from chapter21_policy_gradient.baseline import make_value_baseline
from chapter21_policy_gradient.flags import add_flags
from chapter21_policy_gradient.model import (
    action_logits,
    build_policy,
    discounted_returns,
    greedy,
    normalize,
    policy_gradient_loss,
    sampling,
)
from common import checkpoint, cli, rundir
from common.checkpoint import TrainState
from common.errors import UserError
from common.monitor import Monitor

WINDOW = 100  # number of episodes in Gymnasium's definition of "solved"

PRESETS = {
    "demo": {"max_steps": 1000},
    "book": {"stop": "batch_at_cap"},
    "best": {"hidden_size": 32, "normalize_over": "batch", "max_steps": 1000},
}


def build_parser() -> cli.Parser:
    """Returns the parser; flags shared with train_ppo.py are in flags.py."""
    parser = cli.training_parser(__file__, __doc__, PRESETS)
    add_flags(parser, "reinforce")
    group = parser.add_argument_group("REINFORCE")
    group.add_argument("--batch_size", type=cli.size, default=5, help="episodes per update")
    group.add_argument("--baseline", choices=["none", "value"], default="none",
                       help="value: weight actions by advantages over a learned value function")
    group.add_argument("--normalize_over", choices=["episode", "batch"], default="episode",
                       help="where returns are normalized to mean 0 and standard deviation 1; "
                            "always over the batch with --baseline value")
    group.add_argument("--stop", choices=["mean_of_100", "batch_at_cap", "never"],
                       default="mean_of_100",
                       help="stopping criterion. mean_of_100: the mean return of the last 100 "
                            "episodes reaches Gymnasium's threshold; batch_at_cap: all episodes of "
                            "an update reach the step limit, as in the book")
    return parser


def collect(
    env: gym.Env, policy: keras.Model, batch_size: int, seed: int, start_step: int
) -> Iterator[list[data.Episode]]:
    """Yields the episodes of each update, played by the current policy."""
    # A generator: an update's episodes are played only after the update before it.
    for step in itertools.count(start_step):
        act = partial(sampling, policy.get_weights())
        yield data.play_episodes(env, act, batch_size, seed, data.TRAINING, step)


def action_weights(
    episodes: Sequence[data.Episode], discount: float, normalize_over: str
) -> np.ndarray:
    """Returns the weight of each action in the loss, its normalized discounted return.

    As in the book, returns are normalized over each episode, and all episodes have the same weight
    in the loss. Over the batch, the actions of a short episode all get negative weights.

    Returns:
        float32 of shape (steps of all episodes,).
    """
    # Sum the discounted rewards from each step to the end of its episode.
    returns = [discounted_returns(episode.rewards, discount) for episode in episodes]
    # Normalize them; the divisions turn the loss, a sum, into a mean.
    if normalize_over == "episode":
        weights = np.concatenate([normalize(r) / len(r) for r in returns]) / len(returns)
    else:
        weights = normalize(np.concatenate(returns)) / sum(map(len, returns))
    return weights.astype(np.float32)


def make_train_step(
    policy: keras.Model, optimizer: keras.Optimizer
) -> Callable[[np.ndarray, np.ndarray, np.ndarray], tf.Tensor]:
    """Returns the train step: from observations, actions and their weights to the loss."""
    # A closure, so that tf.function traces it once for this policy and optimizer.
    @tf.function(reduce_retracing=True)  # the number of environment steps differs between batches
    def train_step(observations: tf.Tensor, actions: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        # Forward pass: the log-probabilities of the actions, times their weights.
        with tf.GradientTape() as tape:
            loss = policy_gradient_loss(action_logits(policy, observations), actions, weights)
        # Backward pass and a step of Adam.
        gradients = tape.gradient(loss, policy.trainable_variables)
        optimizer.apply(gradients, policy.trainable_variables)
        return loss

    return train_step


def evaluate(env: gym.Env, policy: keras.Model, seed: int) -> float:
    """Returns the mean return of ten greedy episodes, always the same ones."""
    act = partial(greedy, policy.get_weights())
    return float(data.play_returns(env, act, 10, seed, data.VALIDATION).mean())


def is_solved(
    rule: str, spec: EnvSpec, episodes: Sequence[data.Episode], recent: np.ndarray
) -> bool:
    """Returns whether the stopping criterion is met.

    Args:
        rule: see `--stop`.
        spec: specification of the environment: its step limit and its return threshold, if any.
        episodes: episodes of the latest update.
        recent: returns of the last episodes, up to `WINDOW`.
    """
    if rule == "batch_at_cap":
        # The book counts rewards, which in CartPole are the steps.
        return all(episode.rewards.sum() >= spec.max_episode_steps for episode in episodes)
    return (rule == "mean_of_100" and spec.reward_threshold is not None
            and len(recent) == WINDOW and recent.mean() >= spec.reward_threshold)


def check_flags(args: argparse.Namespace) -> None:
    """Raises UserError if a flag has no effect."""
    idle = ("gae_lambda", "update_epochs") if args.baseline == "none" else ("normalize_over",)
    cli.refuse_idle(args, idle, f"--baseline {args.baseline}")


def introduce(args: argparse.Namespace, env: gym.Env) -> None:
    """Prints the environment, and in the demo the command of the book's run."""
    print(f"training on {args.env_name}: observations of size {env.observation_space.shape[0]}, "
          f"{env.action_space.n} actions, at most {env.spec.max_episode_steps} steps per episode")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, to `--stop` or `--max_steps`; returns its training scores."""
    check_flags(args)
    env = data.make_env(args)
    (observation_size,), num_actions = env.observation_space.shape, int(env.action_space.n)
    introduce(args, env)
    # Build the policy, and with --baseline value the critic, each with its own Adam.
    policy = build_policy(observation_size, num_actions, args.hidden_size, args.seed)
    optimizer = keras.optimizers.Adam(args.learning_rate)
    train_step = make_train_step(policy, optimizer)
    models = {"policy": policy}
    optimizers = {"adam": (optimizer, policy.trainable_variables)}
    weigh = partial(action_weights, discount=args.discount, normalize_over=args.normalize_over)
    if args.baseline == "value":
        models["critic"], critic_optimizer, weigh = make_value_baseline(observation_size, args)
        optimizers["critic"] = critic_optimizer, models["critic"].trainable_variables
    checkpoint.start_from(args, **models)
    # What a resumed run needs beside the networks: the last returns, a counter, and whether the
    # environment is solved.
    window = tf.Variable(tf.zeros(WINDOW, tf.float64))
    env_steps, solved = tf.Variable(0, dtype=tf.int64), tf.Variable(False)
    parameters = sum(model.count_params() for model in models.values())
    with rundir.open_run(args, dataset_sha256=data.digest(env), parameters=parameters) as run:
        state = TrainState(run, models, optimizers,
                           window=window, env_steps=env_steps, solved=solved)
        if solved:
            raise UserError(f"nothing to do: {run} has reached --stop {args.stop}",
                            "start another run with a new --name")
        monitor = Monitor(run, int(state.step))
        batches = collect(env, policy, args.batch_size, args.seed, int(state.step))
        # steps() shows the bar, saves every save_every steps, and leaves on Ctrl-C once it has.
        for step, episodes in state.steps(batches, args.max_steps, args.save_every, monitor):
            # Update: raise the probability of actions with a positive weight, lower the others.
            observations = np.concatenate([episode.observations for episode in episodes])
            actions = np.concatenate([episode.actions for episode in episodes])
            loss = train_step(observations, actions, weigh(episodes))
            # Log the loss, the returns, and the mean return of the last 100 episodes.
            returns = data.returns(episodes)
            window.assign(tf.concat([window, returns], axis=0)[-WINDOW:])
            env_steps.assign_add(len(actions))
            recent = window.numpy()[-step * args.batch_size:]
            if step % args.log_every == 0:
                monitor.scalars(step, {"loss": loss, "episodic_return": returns.mean(),
                                       "mean_of_100": recent.mean(), "env_steps": env_steps})
            # Evaluate the greedy policy on ten episodes, and keep the best weights.
            if step % args.eval_every == 0:
                mean = evaluate(env, policy, args.seed)
                monitor.scalars(step, {"episodic_return": mean}, "val")
                state.save_if_best(mean, highest=True)
            # Stop early once the environment is solved.
            if is_solved(args.stop, env.spec, episodes, recent):
                solved.assign(True)
                state.save()
                break
    episodes = step * args.batch_size
    print(f"{'solved' if solved else 'not solved'} after {episodes:,} episodes, "
          f"{int(env_steps):,} environment steps; mean return of the last {len(recent)} episodes: "
          f"{recent.mean():.1f}")
    return {"step": step, "episodes": episodes, "env_steps": int(env_steps),
            "mean_of_100": float(recent.mean())}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
