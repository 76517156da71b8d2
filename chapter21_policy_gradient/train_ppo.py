"""Trains a policy by proximal policy optimization, PPO (Schulman et al. 2017).

    python train_ppo.py                              # CartPole-v1, a minute
    python train_ppo.py --preset pendulum            # actions that are numbers

REINFORCE throws its episodes away after one step of the optimizer. PPO makes many steps with the
same ones; an action whose probability has already changed by more than `--clip` no longer counts.
"""

import argparse
import itertools
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from chapter21_policy_gradient import data
from chapter21_policy_gradient.actor_critic import (
    advantages,
    build_networks,
    choosing,
    entropy,
    log_probability,
    mlp_in_numpy,
)
from chapter21_policy_gradient.flags import add_flags, check_algorithm
from chapter21_policy_gradient.rollout import Actors, Rollout
from common import cli, rundir
from common.checkpoint import TrainState
from common.errors import UserError
from common.monitor import Monitor

# With the settings of rl-baselines3-zoo.
PRESETS = {
    "demo": {
        "env_name": "CartPole-v1",
        "discount": 0.98,
        "gae_lambda": 0.8,
        "update_epochs": 20,
        "max_steps": 390,
        "anneal_steps": 390,
    },
    "pendulum": {
        "env_name": "Pendulum-v1",
        "discount": 0.9,
        "num_envs": 4,
        "num_steps": 1024,
        "minibatch_size": 64,
        "max_steps": 24,
        "log_every": 1,
        "eval_every": 4,
    },
}
VALUE_COEFFICIENT = 0.5  # weight of the critic's loss; both networks share a gradient's norm
MAX_GRADIENT_NORM = 0.5
METRICS = ("policy_loss", "value_loss", "entropy", "approximate_kl", "clip_fraction")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__file__, __doc__, PRESETS)
    add_flags(parser, "ppo")
    parser.set_defaults(hidden_size=64, learning_rate=0.001)
    group = parser.add_argument_group("PPO")
    group.add_argument("--num_envs", type=cli.positive_int, default=8, help="environments")
    group.add_argument("--num_steps", type=cli.positive_int, default=32,
                       help="steps of each environment an update")
    group.add_argument("--minibatch_size", default=256,
                       type=cli.number(int, 2, 2**31 - 1, "a whole number of at least 2"),
                       help="steps that a gradient is taken over")
    group.add_argument("--clip", type=cli.positive_float, default=0.2,
                       help="by which share an action's probability may change in an update")
    group.add_argument("--entropy_coefficient", type=cli.from_0_to_1, default=0.0,
                       help="what being undecided is worth")
    group.add_argument("--anneal_steps", type=cli.positive_int,
                       help="updates in which --learning_rate and --clip fall evenly to 0 "
                            "(default: they stay)")
    return parser


def clipped_loss(
    log_p: tf.Tensor, old_log_p: tf.Tensor, advantages: tf.Tensor, clip: tf.Tensor
) -> tf.Tensor:
    """Returns PPO's loss of the policy (equation 7 of the paper, with the other sign).

    Args:
        log_p: log π(action) now, float32 of shape (batch,), as all but the last.
        old_log_p: as it was when the action was drawn.
        advantages: of the actions.
        clip: ε. An action that pays counts until its probability is 1 + ε times the old one, one
            that does not until it is 1 - ε times.
    """
    ratios = tf.exp(log_p - old_log_p)
    clipped = tf.clip_by_value(ratios, 1 - clip, 1 + clip)
    return -tf.reduce_mean(tf.minimum(ratios * advantages, clipped * advantages))


def make_update(
    policy: keras.Model, critic: keras.Model, optimizer: keras.Optimizer,
    entropy_coefficient: float,
) -> Callable[..., tf.Tensor]:
    """Compiles all gradient steps of one update into one call; it returns `METRICS`' means."""
    variables = [*policy.trainable_variables, *critic.trainable_variables]

    @tf.function
    def update(
        observations: tf.Tensor, actions: tf.Tensor, advantages: tf.Tensor, targets: tf.Tensor,
        minibatches: tf.Tensor, clip: tf.Tensor,
    ) -> tf.Tensor:
        # The policy is still the one that drew the actions.
        old_log_p = log_probability(policy(observations, training=False), actions)
        totals = tf.zeros(len(METRICS))
        for rows in minibatches:
            # Normalize the advantages over the minibatch.
            here, old = tf.gather(actions, rows), tf.gather(old_log_p, rows)
            gains = tf.gather(advantages, rows)
            gains = (gains - tf.reduce_mean(gains)) / (tf.math.reduce_std(gains) + 1e-8)
            # Step the optimizer on the losses of policy and critic, less the entropy bonus.
            with tf.GradientTape() as tape:
                seen = tf.gather(observations, rows)
                outputs = policy(seen, training=True)
                log_p = log_probability(outputs, here)
                policy_loss = clipped_loss(log_p, old, gains, clip)
                errors = critic(seen, training=True)[:, 0] - tf.gather(targets, rows)
                value_loss = tf.reduce_mean(errors**2)
                undecided = tf.reduce_mean(entropy(outputs, actions.dtype.is_integer))
                loss = (policy_loss + VALUE_COEFFICIENT * value_loss
                        - entropy_coefficient * undecided)
            optimizer.apply(tape.gradient(loss, variables), variables)
            # Sum up how far the policy has moved.
            log_ratios = log_p - old
            # (r - 1) - log r, whose mean is KL(old, new) without bias, is never below 0.
            kl = tf.reduce_mean(tf.exp(log_ratios) - 1 - log_ratios)
            outside = tf.abs(tf.exp(log_ratios) - 1) > clip
            totals += tf.stack([policy_loss, value_loss, undecided, kl,
                                tf.reduce_mean(tf.cast(outside, tf.float32))])
        return totals / tf.cast(tf.shape(minibatches)[0], tf.float32)

    return update


def draw_minibatches(
    rng: np.random.Generator, num_rows: int, minibatch_size: int, num_epochs: int
) -> np.ndarray:
    """Returns rows of each minibatch, int32 (minibatches, minibatch_size).

    Each epoch takes every row once, in an order of its own.
    """
    orders = [rng.permutation(num_rows) for _ in range(num_epochs)]
    return np.concatenate(orders).reshape(-1, minibatch_size).astype(np.int32)


def estimate(
    rollout: Rollout, critic_weights: list[np.ndarray], discount: float, gae_lambda: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns advantages and the critic's values, each (num_steps, num_envs)."""
    values, next_values = (mlp_in_numpy(critic_weights, observations)[..., 0] for observations in
                           (rollout.observations, rollout.next_observations))
    found = advantages(rollout.rewards, values, next_values, rollout.terminated, rollout.ended,
                       discount, gae_lambda)
    return found, values


def explained_variance(values: np.ndarray, targets: np.ndarray) -> float:
    """Returns how much of what was to come the critic knew: 1 all, 0 no more than the mean."""
    return float(1 - np.var(targets - values) / max(np.var(targets), 1e-8))


def make_learner(
    actors: Actors, policy: keras.Model, critic: keras.Model, optimizer: keras.Optimizer,
    args: argparse.Namespace,
) -> Callable[[int], dict[str, float]]:
    """Returns a function that makes an update and returns what is to be logged.

    Update k draws its actions and minibatches from (seed, k).
    """
    update = make_update(policy, critic, optimizer, args.entropy_coefficient)
    num_rows = args.num_steps * args.num_envs

    def learn(step: int) -> dict[str, float]:
        rng = np.random.default_rng([args.seed, data.UPDATES, step])
        # Anneal the learning rate and the clip range.
        left = 1 - (step - 1) / args.anneal_steps if args.anneal_steps else 1.0
        optimizer.learning_rate = args.learning_rate * left
        # Act in all environments with the policy as it is now.
        rollout, returns = actors.collect(policy.get_weights(), args.num_steps, rng)
        # Estimate each action's advantage, and the critic's targets.
        gains, values = estimate(rollout, critic.get_weights(), args.discount, args.gae_lambda)
        targets = gains + values
        # Learn from the same steps for several epochs of minibatches.
        rows = draw_minibatches(rng, num_rows, args.minibatch_size, args.update_epochs)
        flat = [array.reshape(num_rows, *array.shape[2:]) for array in
                (rollout.observations, rollout.actions, gains.astype(np.float32),
                 targets.astype(np.float32))]
        losses = update(*flat, rows, tf.constant(args.clip * left, tf.float32)).numpy()
        metrics = dict(zip(METRICS, losses, strict=True))
        metrics |= {"explained_variance": explained_variance(values, targets),
                    "learning_rate": args.learning_rate * left, "env_steps": step * num_rows}
        if returns:
            metrics["episodic_return"] = np.mean(returns)
        return metrics

    return learn


def check_sizes(args: argparse.Namespace) -> None:
    """Raises UserError where flags of PPO do not fit together."""
    num_rows = args.num_envs * args.num_steps
    if num_rows % args.minibatch_size:
        raise UserError(
            f"--minibatch_size {args.minibatch_size} does not divide the {num_rows} steps of an "
            f"update, {args.num_envs} environments × {args.num_steps}",
            f"give a divisor of {num_rows}")
    if args.anneal_steps and args.max_steps > args.anneal_steps:
        raise UserError(
            f"--max_steps {args.max_steps} goes beyond --anneal_steps {args.anneal_steps}, where "
            "the learning rate is 0", "raise --anneal_steps, in a new run, or lower --max_steps")


def make_optimizer(
    policy: keras.Model, critic: keras.Model, learning_rate: float
) -> keras.Optimizer:
    """Builds Adam for both networks at once."""
    optimizer = keras.optimizers.Adam(learning_rate, epsilon=1e-5,
                                      global_clipnorm=MAX_GRADIENT_NORM)
    optimizer.build([*policy.trainable_variables, *critic.trainable_variables])
    return optimizer


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains, or goes on training, up to `--max_steps` updates.

    Returns:
        Updates and environment steps, and the mean return of the last episodes if one has ended.
    """
    check_algorithm(args, "ppo")
    check_sizes(args)
    envs = [data.make_env(args.env_name, args.max_episode_steps, boxes=True)
            for _ in range(args.num_envs + 1)]
    judged = envs.pop()
    print(f"training on {args.env_name} by PPO: {judged.observation_space.shape[0]} numbers an "
          f"observation, actions {judged.action_space}, at most {judged.spec.max_episode_steps} "
          "steps an episode")
    policy, critic = build_networks(judged, args.hidden_size, args.seed)
    optimizer = make_optimizer(policy, critic, args.learning_rate)
    actors = Actors(envs, args.seed, data.TRAINING)
    parameters = policy.count_params() + critic.count_params()
    with rundir.open_run(args, dataset_sha256=data.digest(judged), parameters=parameters) as run:
        variables = [*policy.trainable_variables, *critic.trainable_variables]
        state = TrainState(run, {"policy": policy, "critic": critic},
                           {"adam": (optimizer, variables)}, actors=actors)
        monitor = Monitor(run, int(state.step))
        learn = make_learner(actors, policy, critic, optimizer, args)
        # steps() shows the bar, saves every save_every steps, and leaves on Ctrl-C once it has.
        updates = itertools.repeat(None)
        for step, _ in state.steps(updates, args.max_steps, args.save_every, monitor):
            metrics = learn(step)
            # Log; evaluate the greedy policy.
            if step % args.log_every == 0:
                monitor.scalars(step, metrics)
            if step % args.eval_every == 0:
                greedy = choosing(policy.get_weights(), judged.action_space)
                played = data.play_episodes(judged, lambda _, act=greedy: act, 10, args.seed,
                                            data.VALIDATION)
                monitor.scalars(step, {"episodic_return": data.returns(played).mean()}, "val")
    scores = {"step": step, "env_steps": metrics["env_steps"]}
    print(f"{step:,} updates, {scores['env_steps']:,} environment steps")
    if actors.recent:
        scores["mean_of_100"] = float(np.mean(actors.recent))
        print(f"the last {len(actors.recent)} episodes had a mean return of "
              f"{scores['mean_of_100']:.1f}")
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
