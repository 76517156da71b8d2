"""Trains a policy network by proximal policy optimization, PPO (Schulman et al. 2017).

    python train_ppo.py                              # CartPole-v1, 100,000 steps
    python train_ppo.py --preset pendulum            # continuous actions
    python train_ppo.py --preset breakout            # an Atari game

REINFORCE discards its episodes after one optimizer step. PPO takes many optimizer steps on the same
data; clipping the probability ratios keeps the policy near the one that collected it. A training
step (`--max_steps`, checkpoints, TensorBoard) is one update: `--num_envs` × `--num_steps`
environment steps.
"""

import argparse
import itertools
from collections.abc import Callable, Sequence

import gymnasium as gym
import keras
import numpy as np
import tensorflow as tf

from chapter20_dqn.flags import check_preset
from chapter21_policy_gradient import data
from chapter21_policy_gradient.actor_critic import (
    Outputs,
    all_variables,
    build_networks,
    choosing,
    entropy,
    estimate_advantages,
    forward,
    log_probability,
    make_both,
    parts,
)
from chapter21_policy_gradient.flags import add_flags, add_ppo_flags, check_frames, check_sizes
from chapter21_policy_gradient.normalization import Normalizer
from chapter21_policy_gradient.rollout import Actors, Rollout
from common import checkpoint, cli, rundir
from common.checkpoint import TrainState
from common.monitor import Monitor

# Hyperparameters of rl-baselines3-zoo.
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
    "breakout": {
        "env_name": "ALE/Breakout-v5",
        "max_episode_steps": 4500,  # five minutes, as the evaluations of Mnih et al. 2015
        "hidden_size": 512,
        "learning_rate": 2.5e-4,
        "num_steps": 128,
        "update_epochs": 4,
        "clip": 0.1,
        "entropy_coefficient": 0.01,
        "clip_rewards": True,
        "max_steps": 400,
        "anneal_steps": 400,
        "save_every": 20,
    },
}
VALUE_COEFFICIENT = 0.5  # weight of the value loss
MAX_GRADIENT_NORM = 0.5  # gradient clipping by the global norm of both networks
KL_TOLERANCE = 1.5  # an update ends early where the KL exceeds so many times --target_kl
METRICS = ("policy_loss", "value_loss", "entropy", "approximate_kl", "clip_fraction")


def build_parser() -> cli.Parser:
    """Returns the parser; the flags are in flags.py."""
    parser = cli.training_parser(__file__, __doc__, PRESETS, free=["anneal_steps"])
    add_flags(parser, "ppo")
    parser.set_defaults(hidden_size=64, learning_rate=0.001)
    add_ppo_flags(parser)
    return parser


def clipped_loss(
    log_p: tf.Tensor, old_log_p: tf.Tensor, advantages: tf.Tensor, clip: tf.Tensor
) -> tf.Tensor:
    """Returns PPO's clipped policy loss, the negative of the paper's equation 7.

    An action with a positive advantage has no gradient once its probability ratio exceeds 1 + ε;
    one with a negative advantage has none once the ratio is below 1 - ε.

    Args:
        log_p: log π(action) of the current policy, float32 of shape (batch,).
        old_log_p: the same of the policy that sampled the actions, float32 of shape (batch,).
        advantages: advantages of the actions, float32 of shape (batch,).
        clip: clip range ε, a scalar.
    """
    ratios = tf.exp(log_p - old_log_p)
    clipped = tf.clip_by_value(ratios, 1 - clip, 1 + clip)
    return -tf.reduce_mean(tf.minimum(ratios * advantages, clipped * advantages))


def make_update(
    policy: keras.Model, critic: keras.Model, optimizer: keras.Optimizer,
    entropy_coefficient: float, target_kl: float | None = None,
) -> Callable[..., tf.Tensor]:
    """Returns a compiled function with all optimizer steps of one update.

    The function takes the collected data, flattened to (steps, ...), and the rows of each
    minibatch; it returns the means of `METRICS` over the minibatches that were used, and their
    number.
    """
    variables, both = all_variables(policy, critic), make_both(policy, critic)

    # A closure, so that tf.function traces it once for these networks and this optimizer.
    @tf.function
    def update(
        observations: tf.Tensor, actions: tf.Tensor, advantages: tf.Tensor, targets: tf.Tensor,
        minibatches: tf.Tensor, clip: tf.Tensor,
    ) -> tf.Tensor:
        # Before the first step the policy is still the one that sampled the actions.
        old_log_p = log_probability(policy(observations, training=False), actions)
        totals, used = tf.zeros(len(METRICS)), 0.0
        for rows in minibatches:
            # Normalize the advantages over the minibatch.
            taken, old = tf.gather(actions, rows), tf.gather(old_log_p, rows)
            chosen = tf.gather(advantages, rows)
            chosen = (chosen - tf.reduce_mean(chosen)) / (tf.math.reduce_std(chosen) + 1e-8)
            # Forward pass: the policy's loss, the critic's loss, and the entropy bonus.
            with tf.GradientTape() as tape:
                inputs = tf.gather(observations, rows)
                outputs, values = both(inputs, training=True)
                log_p = log_probability(outputs, taken)
                policy_loss = clipped_loss(log_p, old, chosen, clip)
                errors = values[:, 0] - tf.gather(targets, rows)
                value_loss = tf.reduce_mean(errors**2)
                mean_entropy = tf.reduce_mean(entropy(outputs, actions.dtype.is_integer))
                loss = (policy_loss + VALUE_COEFFICIENT * value_loss
                        - entropy_coefficient * mean_entropy)
            # Measure how far the policy has moved: an unbiased, non-negative estimate of
            # KL(old, new), the mean of (r - 1) - log r, and the fraction of clipped ratios.
            log_ratios = log_p - old
            kl = tf.reduce_mean(tf.exp(log_ratios) - 1 - log_ratios)
            if target_kl is not None:  # known when the graph is made, unlike the next condition
                if kl > KL_TOLERANCE * target_kl:
                    break
            # Backward pass and a step of Adam for both networks.
            optimizer.apply(tape.gradient(loss, variables), variables)
            outside = tf.abs(tf.exp(log_ratios) - 1) > clip
            totals += tf.stack([policy_loss, value_loss, mean_entropy, kl,
                                tf.reduce_mean(tf.cast(outside, tf.float32))])
            used += 1.0
        return tf.concat([totals / used, [used]], axis=0)

    return update


def draw_minibatches(
    rng: np.random.Generator, num_rows: int, minibatch_size: int, num_epochs: int
) -> np.ndarray:
    """Returns the rows of each minibatch, int32 of shape (minibatches, minibatch_size).

    Each epoch is a new permutation of all rows.
    """
    orders = [rng.permutation(num_rows) for _ in range(num_epochs)]
    return np.concatenate(orders).reshape(-1, minibatch_size).astype(np.int32)


def estimate(
    rollout: Rollout, critic: Outputs, discount: float, gae_lambda: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the advantages and the values, each of shape (num_steps, num_envs)."""
    values, next_values = (critic(observations)[..., 0] for observations in
                           (rollout.observations, rollout.next_observations))
    found = estimate_advantages(rollout.rewards, values, next_values, rollout.terminated,
                                rollout.ended, discount, gae_lambda)
    return found, values


def explained_variance(values: np.ndarray, targets: np.ndarray) -> float:
    """Returns the fraction of the targets' variance explained by the critic, 1 if it is perfect."""
    return float(1 - np.var(targets - values) / max(np.var(targets), 1e-8))


def make_learner(
    actors: Actors, normalizer: Normalizer, policy: keras.Model, critic: keras.Model,
    optimizer: keras.Optimizer, args: argparse.Namespace,
) -> Callable[[int], dict[str, float]]:
    """Returns a function that does update k and returns the metrics to log.

    The actions and minibatches of update k are a pure function of (seed, k) and the networks.
    """
    update = make_update(policy, critic, optimizer, args.entropy_coefficient, args.target_kl)
    num_rows = args.num_steps * args.num_envs

    def learn(step: int) -> dict[str, float]:
        rng = np.random.default_rng([args.seed, data.UPDATES, step])
        # Anneal the learning rate and the clip range linearly.
        left = 1 - (step - 1) / args.anneal_steps if args.anneal_steps else 1.0
        optimizer.learning_rate = args.learning_rate * left
        # Collect steps in all environments with the current policy.
        rollout, returns = actors.collect(forward(policy), args.num_steps, rng)
        if args.clip_rewards:
            rollout = rollout._replace(rewards=np.sign(rollout.rewards))
        if args.normalize_rewards:
            rollout = rollout._replace(rewards=normalizer.scale(rollout.rewards, rollout.ended))
        # Estimate the advantages (GAE) and the critic's targets.
        advantages, values = estimate(rollout, forward(critic), args.discount, args.gae_lambda)
        targets = advantages + values
        # Train on the same steps for several epochs of shuffled minibatches.
        rows = draw_minibatches(rng, num_rows, args.minibatch_size, args.update_epochs)
        flat = [array.reshape(num_rows, *array.shape[2:]) for array in
                (rollout.observations, rollout.actions, advantages.astype(np.float32),
                 targets.astype(np.float32))]
        *losses, used = update(*flat, rows, tf.constant(args.clip * left, tf.float32)).numpy()
        # From the next update on, the networks see observations by the moments of these too.
        if args.normalize_observations:
            normalizer.observations.update(flat[0])
            for network in (policy, critic):
                network.layers[0].mean.assign(normalizer.observations.mean)
                network.layers[0].deviation.assign(normalizer.observations.deviation)
        # Gather what is logged.
        metrics = dict(zip(METRICS, losses, strict=True))
        if args.target_kl is not None:
            metrics["optimizer_steps"] = used
        metrics |= {"explained_variance": explained_variance(values, targets),
                    "learning_rate": args.learning_rate * left, "env_steps": step * num_rows}
        if returns:
            metrics["episodic_return"] = np.mean(returns)
        return metrics

    return learn


def evaluate(env: gym.Env, policy: keras.Model, seed: int) -> float:
    """Returns the mean return of ten episodes, always the same ones.

    The policy is greedy, except in games: there, a greedy policy may never serve the ball.
    """
    outputs, sampled = forward(policy), data.is_game(env)

    def act(rng: np.random.Generator) -> data.Choose:
        return choosing(outputs, env.action_space, rng if sampled else None)

    return float(data.play_returns(env, act, 10, seed, data.VALIDATION).mean())


def make_optimizer(
    policy: keras.Model, critic: keras.Model, learning_rate: float
) -> keras.Optimizer:
    """Builds one Adam optimizer for both networks."""
    optimizer = keras.optimizers.Adam(learning_rate, epsilon=1e-5,
                                      global_clipnorm=MAX_GRADIENT_NORM)
    optimizer.build(all_variables(policy, critic))
    return optimizer


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps` updates; returns its training scores."""
    check_preset(args, PRESETS)
    check_sizes(args)
    # One more environment than --num_envs, for evaluation.
    envs = [data.make_env(args, by_ppo=True) for _ in range(args.num_envs + 1)]
    eval_env = envs.pop()
    shape, space = eval_env.observation_space.shape, eval_env.action_space
    check_frames(args, eval_env)
    print(f"training by PPO on {args.env_name}: observations of shape {shape}, actions {space}, at "
          f"most {eval_env.spec.max_episode_steps:,} steps per episode")
    policy, critic = build_networks(eval_env, args.hidden_size, args.seed,
                                    args.normalize_observations)
    networks = parts(policy, critic)
    checkpoint.start_from(args, **networks)
    optimizer = make_optimizer(policy, critic, args.learning_rate)
    actors = Actors(envs, args.seed, data.TRAINING)
    normalizer = Normalizer(shape if args.normalize_observations else (), args.num_envs,
                            args.discount)
    variables = all_variables(policy, critic)
    parameters = sum(variable.value.shape.num_elements() for variable in variables)
    with rundir.open_run(args, dataset_sha256=data.digest(eval_env), parameters=parameters) as run:
        state = TrainState(run, networks, {"adam": (optimizer, variables)}, actors=actors,
                           normalizer=normalizer)
        monitor = Monitor(run, int(state.step))
        learn = make_learner(actors, normalizer, policy, critic, optimizer, args)
        # steps() shows the bar, saves every save_every steps, and leaves on Ctrl-C once it has.
        updates = itertools.repeat(None)
        for step, _ in state.steps(updates, args.max_steps, args.save_every, monitor):
            metrics = learn(step)
            # Log; evaluate the policy on ten episodes, and keep the best weights.
            if step % args.log_every == 0:
                monitor.scalars(step, metrics)
            if step % args.eval_every == 0:
                mean = evaluate(eval_env, policy, args.seed)
                monitor.scalars(step, {"episodic_return": mean}, "val")
                state.save_if_best(mean, highest=True)
    scores = {"step": step, "env_steps": metrics["env_steps"]}
    print(f"{step:,} updates, {scores['env_steps']:,} environment steps")
    if actors.recent:
        scores["mean_of_100"] = float(np.mean(actors.recent))
        print(f"mean return of the last {len(actors.recent)} episodes: "
              f"{scores['mean_of_100']:.1f}")
    return scores


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
