"""Trains a deep Q-network (book, chapter 20; Mnih et al. 2015).

    python train.py                                  # CartPole, a minute or two
    python train.py --preset breakout                # an hour of Breakout
    python train.py --preset book                    # the book's 50 million steps
    python train.py --env_name CorridorSmall-v5 --max_r 10 --max_steps 10000

The network says what each action is worth. The agent mostly takes the best one, remembers what
came of it, and learns from what it remembers: the worth of an action is its reward plus the worth
of the best action after it.
"""

import argparse
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from chapter20_dqn import data, episodes, film
from chapter20_dqn.agent import Agent, empty_window, make_agent
from chapter20_dqn.flags import add_flags
from chapter20_dqn.inference import build_network
from chapter20_dqn.model import huber, make_q_function, td_targets
from chapter20_dqn.state import AgentState
from common import cli, rundir, video
from common.errors import UserError
from common.monitor import Monitor

CHAPTER = "chapter20_dqn"

# Rewards of 1 are clipped to 0.02: no value is then above 2. Rewards of 1 were worse (README).
CARTPOLE = {
    "env_name": "CartPole-v1", "n_action_repeat": 1, "history_length": 1, "double_q": True,
    "network_header_type": "mlp", "mlp_units": [128, 128], "mlp_activation": "relu",
    "scale": 1, "memory_size": 10_000, "t_learn_start": 500, "t_train_freq": 1,
    "t_target_q_update_freq": 200, "t_ep_end": 4000, "ep_end": 0.02, "t_beta_end": 20_000,
    "t_test": 1024, "t_train_max": 50_000_000, "batch_size": 128, "optimizer": "adam",
    "learning_rate": 5e-4, "max_r": 0.02, "ep_test": 0.0, "eval_episodes": 20,
    "save_every": 10_240,
}
PRESETS = {
    "demo": CARTPOLE | {"max_steps": 20_480},
    "book": {"env_name": "ALE/Breakout-v5"},
    "best": CARTPOLE | {"max_steps": 40_960},
    "breakout": {"env_name": "ALE/Breakout-v5", "scale": 1000, "memory_size": 200,
                 "t_learn_start": 20, "t_ep_end": 180, "t_beta_end": 1000, "t_test": 10,
                 "double_q": True, "n_step": 3, "num_envs": 4, "optimizer": "adam",
                 "learning_rate": 1e-4, "eval_every": 50_000, "max_steps": 1_000_000},
}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__doc__, PRESETS)
    add_flags(parser)
    return parser


def epsilon_at(step: int, args: argparse.Namespace) -> float:
    """Returns the share of actions by chance: it falls evenly from the start of learning on."""
    left = args.t_ep_end * args.scale - max(0, step - args.t_learn_start * args.scale)
    share = max(0.0, left / (args.t_ep_end * args.scale))
    return args.ep_end + (args.ep_start - args.ep_end) * share


def learning_rate_at(step: int, args: argparse.Namespace) -> float:
    """Returns the learning rate, which falls in stairs to its minimum, if it is given one."""
    if args.learning_rate_minimum is None:
        return args.learning_rate
    stairs = step // (args.learning_rate_decay_step * args.scale)
    rate = args.learning_rate * args.learning_rate_decay**stairs
    return max(args.learning_rate_minimum, rate)


def beta_at(step: int, args: argparse.Namespace) -> float:
    """Returns how far the weights make up for uneven draws: it rises evenly to 1."""
    share = min(1.0, step / (args.t_beta_end * args.scale))
    return args.priority_beta + (1 - args.priority_beta) * share


def make_optimizer(args: argparse.Namespace) -> keras.Optimizer:
    """Builds the original's RMSProp, or Adam."""
    if args.optimizer == "adam":
        return keras.optimizers.Adam(args.learning_rate)
    return keras.optimizers.RMSprop(args.learning_rate, args.decay, args.momentum, epsilon=0.01)


def make_update(
    online: keras.Model, target: keras.Model, optimizer: keras.Optimizer, args: argparse.Namespace
) -> Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    """Compiles one update of a batch: targets, gradients, new weights, what was off."""
    optimizer.build(online.trainable_variables)

    @tf.function(jit_compile=args.jit_compile)
    def update(
        states: tf.Tensor, actions: tf.Tensor, rewards: tf.Tensor, next_states: tf.Tensor,
        discounts: tf.Tensor, weights: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        next_online_q = online(next_states, training=False) if args.double_q else None
        targets = td_targets(rewards, discounts, target(next_states, training=False),
                             next_online_q)
        with tf.GradientTape() as tape:
            q = online(states, training=True)  # (batch, num_actions)
            errors = targets - tf.gather(q, actions, axis=1, batch_dims=1)  # (batch,)
            if args.max_delta is not None:
                errors = tf.minimum(errors, args.max_delta)
            if args.min_delta is not None:
                errors = tf.maximum(errors, args.min_delta)
            loss = tf.reduce_mean(weights * huber(errors))
        gradients = tape.gradient(loss, online.trainable_variables)
        if args.max_grad_norm is not None:
            gradients = [tf.clip_by_norm(g, args.max_grad_norm) for g in gradients]
        optimizer.apply(gradients, online.trainable_variables)
        return loss, tf.reduce_mean(q), errors

    # Finding its graph takes a tf.function as long as running it: there is one, so call that.
    states = tf.TensorSpec((args.batch_size, *online.input_shape[1:]), online.inputs[0].dtype)
    actions, numbers = (tf.TensorSpec(args.batch_size, kind) for kind in (tf.int64, tf.float32))
    return update.get_concrete_function(states, actions, numbers, states, numbers, numbers)


def log_window(
    monitor: Monitor, step: int, window: dict[str, Any], schedule: dict[str, float]
) -> None:
    """Writes the original's tags; those of episodes and updates if there were any.

    Args:
        monitor: of the run.
        step: now.
        window: see `agent.empty_window`.
        schedule: rates, logged as they are.
    """
    actions, returns = window["actions"], window["returns"]
    metrics = {"average/reward": window["reward"] / len(actions), **schedule}
    if window["losses"]:
        metrics |= {"average/loss": np.mean(window["losses"]), "average/q": np.mean(window["q"])}
    if returns:
        metrics |= {"episode/max reward": max(returns), "episode/min reward": min(returns),
                    "episode/avg reward": np.mean(returns), "episode/num of game": len(returns)}
    monitor.scalars(step, metrics)
    with monitor.writer("train").as_default(step):
        tf.summary.histogram("episode/actions", actions)
        if returns:
            tf.summary.histogram("episode/rewards", returns)


def check_header(args: argparse.Namespace) -> None:
    """Raises UserError where frames meet an mlp, or rows of numbers convolutions."""
    if data.is_atari(args.env_name) == (args.network_header_type == "mlp"):
        fitting = "mlp" if args.network_header_type != "mlp" else "nips or nature"
        raise UserError(
            f"--network_header_type {args.network_header_type} does not fit {args.env_name}",
            f"give --network_header_type {fitting}",
        )


def tell(args: argparse.Namespace, network: keras.Model) -> None:
    """Says what is trained, on what."""
    _, *shape = network.input_shape
    print(f"training on {args.env_name}: states of shape {tuple(shape)}, {network.output_shape[1]} "
          f"actions, {network.count_params():,} parameters, a replay of "
          f"{args.memory_size * args.scale:,} observations")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book")


def act(
    agent: Agent, step: int, q_values: episodes.QValues, epsilon: float, args: argparse.Namespace
) -> None:
    """Takes one step in the environment whose turn it is, and remembers it.

    The first in a round chooses for all.
    """
    turn = (step - 1) % len(agent.players)
    if turn == 0:
        agent.chosen = episodes.choose(q_values, agent.players, epsilon, agent.rng)
    player, action = agent.players[turn], agent.chosen[turn]
    observation = player.state[-1].copy()
    reward, terminal, ended = player.step(action)
    reward = min(max(reward, args.min_r), args.max_r)
    agent.replay.add(observation, action, reward, terminal, turn)
    agent.window["reward"] += reward
    agent.window["actions"].append(action)
    if ended:
        agent.replay.close(player.state[-1], turn)
        agent.window["returns"].append(player.score)
        player.start(player.episode + len(agent.players))


def learn(
    agent: Agent, step: int, update: Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]],
    args: argparse.Namespace,
) -> None:
    """Updates the network from batches of the replay."""
    replay, weights = agent.replay, np.ones(args.batch_size, np.float32)
    for _ in range(args.gradient_steps):
        rows = replay.draw(args.batch_size, agent.rng)
        if args.prioritized:
            weights = replay.weights(rows, beta_at(step, args))
        # A tf.function takes longer to convert arrays itself.
        loss, q, errors = update(*map(tf.constant, (*replay.batch(rows), weights)))
        if args.prioritized:
            replay.prioritise(rows, errors.numpy())
        agent.window["losses"].append(float(loss))
        agent.window["q"].append(float(q))


def evaluate(
    monitor: Monitor, step: int, judge: episodes.Player, q_values: episodes.QValues,
    network: keras.Model, held_out: np.ndarray, args: argparse.Namespace,
) -> float:
    """Plays whole episodes and logs their mean return, which it returns, and Q at `held_out`."""
    played = episodes.play_episodes(judge, q_values, args.ep_test, args.eval_episodes)
    mean_return = float(played.returns.mean())
    q = tf.reduce_mean(tf.reduce_max(network(held_out, training=False), axis=1))
    monitor.scalars(step, {"episodic_return": mean_return, "q": q}, "val")
    return mean_return


def train(args: argparse.Namespace) -> dict[str, float]:
    """Trains, or goes on training.

    Returns:
        Steps, and the mean return of the best evaluation if there was one.
    """
    total, every = min(args.max_steps, args.t_train_max * args.scale), args.t_test * args.scale
    learn_start, target_freq = (n * args.scale for n in
                                (args.t_learn_start, args.t_target_q_update_freq))
    env, judged = data.make_env(args), data.make_env(args, "rgb_array" if args.video else None)
    check_header(args)
    online, target = build_network(args, env), build_network(args, env)
    tell(args, online)
    optimizer = make_optimizer(args)
    update = make_update(online, target, optimizer, args)
    agent = make_agent(args, env)
    judge = episodes.Player(judged, args.history_length, args.seed, episodes.VALIDATION)
    held_out = episodes.held_out_states(judged, args.history_length, args.seed)
    with rundir.open_run(args, dataset_sha256=data.digest(args),
                         parameters=online.count_params()) as run:
        state = AgentState(run, agent, {"online": online, "target": target},
                           {"optimizer": (optimizer, online.trainable_variables)})
        q_values, renew = make_q_function(online, args.network_header_type)
        start = int(state.step)
        refilled = 0 if len(agent.replay) else start  # learning waits for a full enough replay
        monitor = Monitor(run, start)
        # steps() shows the bar, saves every save_every steps, and leaves on Ctrl-C once it has.
        for step, _ in state.steps(itertools.repeat(None), total, args.save_every, monitor):
            epsilon = epsilon_at(step, args)
            act(agent, step, q_values, epsilon, args)
            if step > learn_start + refilled and step % args.t_train_freq == 0:
                optimizer.learning_rate = learning_rate_at(step, args)
                learn(agent, step, update, args)
                renew()
            if step % target_freq == 0:
                target.set_weights(online.get_weights())
            if step % (args.log_every or every) == 0:
                log_window(monitor, step, agent.window, {
                    "training/epsilon": epsilon,
                    "training/learning_rate": learning_rate_at(step, args)})
                agent.window = empty_window()
            if step % (args.eval_every or every) == 0:
                mean_return = evaluate(monitor, step, judge, q_values, online, held_out, args)
                if state.save_if_best(-mean_return) and args.video:
                    frames = film.film_game(judge, q_values, args.ep_test)
                    video.log_gif(monitor.writer("val"), step, "game", frames,
                                  film.FRAMES_PER_SECOND)
        monitor.close()
    print(f"{total:,} steps, {max(player.episode for player in agent.players):,} episodes")
    if math.isinf(best := 0.0 - float(state.best)):  # no -0.0
        return {"step": total}
    print(f"the best evaluation's mean return was {best:.1f}")
    return {"step": total, "best_return": best}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), PRESETS, CHAPTER, argv)


if __name__ == "__main__":
    raise SystemExit(main())
