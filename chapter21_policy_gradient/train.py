"""Trains a policy by REINFORCE (book, chapter 21; Williams 1992).

    python train.py                                  # CartPole, under a minute
    python train.py --preset book                    # stops as the book does
    python train.py --env_name Acrobot-v1 --hidden_size 32
    python train.py --preset best --baseline value   # an actor and a critic
    python train_ppo.py                              # PPO, see there

Nobody tells the policy what to do: it acts, and what was followed by more reward than usual
becomes more probable. An update takes some whole episodes; CartPole-v0 counts as solved when the
last 100 have a mean return of 195, of at most 200.
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
from chapter21_policy_gradient.flags import add_flags, check_algorithm
from chapter21_policy_gradient.model import (
    action_logits,
    build_policy,
    discounted_returns,
    greedy,
    normalize,
    policy_gradient_loss,
    sampling,
)
from common import cli, rundir
from common.checkpoint import TrainState
from common.errors import UserError
from common.monitor import Monitor

WINDOW = 100  # episodes over which Gymnasium takes the mean return

PRESETS = {
    "demo": {"max_steps": 1000},
    "book": {"stop": "batch_at_cap"},
    "best": {"hidden_size": 32, "normalize_over": "batch", "max_steps": 1000},
}


def build_parser() -> cli.Parser:
    """Returns the parser; the book's script has no flags."""
    parser = cli.training_parser(__file__, __doc__, PRESETS)
    add_flags(parser, "reinforce")
    group = parser.add_argument_group("REINFORCE")
    group.add_argument("--batch_size", type=cli.positive_int, default=5, help="episodes an update")
    group.add_argument("--baseline", choices=["none", "value"], default="none",
                       help="value: what a critic expects is taken from what followed an action")
    group.add_argument("--normalize_over", choices=["episode", "batch"], default="episode",
                       help="returns are scaled to mean 0, deviation 1 over this; with --baseline "
                            "value it is always the batch")
    group.add_argument("--stop", choices=["mean_of_100", "batch_at_cap", "never"],
                       default="mean_of_100",
                       help="mean_of_100: when the last 100 episodes have the mean return at "
                            "which Gymnasium calls the environment solved; batch_at_cap: when all "
                            "episodes of an update had to be cut off, as in the book")
    return parser


def collect(
    env: gym.Env, policy: keras.Model, batch_size: int, seed: int, start_step: int
) -> Iterator[list[data.Episode]]:
    """Yields the episodes of each update, acted by the policy as it is by then."""
    for step in itertools.count(start_step):
        act = partial(sampling, policy.get_weights())
        yield data.play_episodes(env, act, batch_size, seed, data.TRAINING, step)


def action_weights(
    episodes: Sequence[data.Episode], discount: float, normalize_over: str
) -> np.ndarray:
    """Returns how much each action of all episodes counts: more, the more reward followed.

    In the book each episode is normalised on its own and counts as a whole, however long it is.
    Over the batch, a short episode's actions all count as bad.

    Returns:
        float32 of shape (steps of all episodes,).
    """
    returns = [discounted_returns(episode.rewards, discount) for episode in episodes]
    if normalize_over == "episode":
        weights = np.concatenate([normalize(r) / len(r) for r in returns]) / len(returns)
    else:
        weights = normalize(np.concatenate(returns)) / sum(map(len, returns))
    return weights.astype(np.float32)


def make_train_step(
    policy: keras.Model, optimizer: keras.Optimizer
) -> Callable[[np.ndarray, np.ndarray, np.ndarray], tf.Tensor]:
    """Returns the training step, from observations, actions and their weights to the loss."""
    @tf.function(reduce_retracing=True)  # each batch has another number of steps
    def train_step(observations: tf.Tensor, actions: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = policy_gradient_loss(action_logits(policy, observations), actions, weights)
        gradients = tape.gradient(loss, policy.trainable_variables)
        optimizer.apply(gradients, policy.trainable_variables)
        return loss

    return train_step


def is_solved(
    rule: str, spec: EnvSpec, episodes: Sequence[data.Episode], recent: np.ndarray
) -> bool:
    """Says whether training may end.

    Args:
        rule: see `--stop`.
        spec: tells how long episodes may be, and which mean return counts as solved, if any.
        episodes: of the update.
        recent: returns of the last episodes, up to `WINDOW`.
    """
    if rule == "batch_at_cap":
        return all(len(episode.rewards) == spec.max_episode_steps for episode in episodes)
    return (rule == "mean_of_100" and spec.reward_threshold is not None
            and len(recent) == WINDOW and recent.mean() >= spec.reward_threshold)


def check_flags(args: argparse.Namespace) -> None:
    """Raises UserError if the resumed run is one of PPO, or a flag has no effect."""
    check_algorithm(args, "reinforce")
    idle = ("gae_lambda", "update_epochs") if args.baseline == "none" else ("normalize_over",)
    cli.refuse_idle(args, idle, f"--baseline {args.baseline}")


def introduce(args: argparse.Namespace, env: gym.Env) -> None:
    """Prints what is trained, and in the demo the command of the book's run."""
    print(f"training on {args.env_name}: {env.observation_space.shape[0]} numbers an observation, "
          f"{env.action_space.n} actions, at most {env.spec.max_episode_steps} steps an episode")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book")


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains, or goes on training, until the environment is solved or `--max_steps`.

    Returns:
        Updates, episodes and environment steps, and the mean return of the last episodes.
    """
    check_flags(args)
    env = data.make_env(args.env_name, args.max_episode_steps)
    (observation_size,), num_actions = env.observation_space.shape, int(env.action_space.n)
    introduce(args, env)
    policy = build_policy(observation_size, num_actions, args.hidden_size, args.seed)
    optimizer = keras.optimizers.Adam(args.learning_rate)
    train_step = make_train_step(policy, optimizer)
    models = {"policy": policy}
    optimizers = {"adam": (optimizer, policy.trainable_variables)}
    weigh = partial(action_weights, discount=args.discount, normalize_over=args.normalize_over)
    if args.baseline == "value":
        models["critic"], critic_optimizer, weigh = make_value_baseline(observation_size, args)
        optimizers["critic"] = critic_optimizer, models["critic"].trainable_variables
    window = tf.Variable(tf.zeros(WINDOW, tf.float64))  # the last returns
    env_steps, solved = tf.Variable(0, dtype=tf.int64), tf.Variable(False)
    parameters = sum(model.count_params() for model in models.values())
    with rundir.open_run(args, dataset_sha256=data.digest(env), parameters=parameters) as run:
        state = TrainState(run, models, optimizers,
                           window=window, env_steps=env_steps, solved=solved)
        if solved:
            raise UserError(f"nothing to do: {run} has reached --stop {args.stop}",
                            "start another run with a new --name")
        start = int(state.step)
        monitor = Monitor(run, start)
        batches = collect(env, policy, args.batch_size, args.seed, start)
        # steps() shows the bar, saves every save_every steps, and leaves on Ctrl-C once it has.
        for step, episodes in state.steps(batches, args.max_steps, args.save_every, monitor):
            # Update: each action becomes more probable by the weight of what followed it.
            observations = np.concatenate([episode.observations for episode in episodes])
            actions = np.concatenate([episode.actions for episode in episodes])
            loss = train_step(observations, actions, weigh(episodes))
            # Log, with the mean return of the last hundred episodes.
            returns = data.returns(episodes)
            window.assign(tf.concat([window, returns], axis=0)[-WINDOW:])
            env_steps.assign_add(len(actions))
            recent = window.numpy()[-step * args.batch_size:]
            if step % args.log_every == 0:
                monitor.scalars(step, {"loss": loss, "episodic_return": returns.mean(),
                                       "mean_of_100": recent.mean(), "env_steps": env_steps})
            # Evaluate the greedy policy.
            if step % args.eval_every == 0:
                act = partial(greedy, policy.get_weights())
                played = data.play_episodes(env, act, 10, args.seed, data.VALIDATION)
                monitor.scalars(step, {"episodic_return": data.returns(played).mean()}, "val")
            # Stop once the environment is solved.
            if is_solved(args.stop, env.spec, episodes, recent):
                solved.assign(True)
                state.save()
                break
    episodes = step * args.batch_size
    print(f"{'solved' if solved else 'not solved'} after {episodes:,} episodes, "
          f"{int(env_steps):,} environment steps; the last {len(recent)} had a mean return of "
          f"{recent.mean():.1f}")
    return {"step": step, "episodes": episodes, "env_steps": int(env_steps),
            "mean_of_100": float(recent.mean())}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
