"""Trains a deep Q-network (book, chapter 20; Mnih et al. 2015).

    python train.py                                  # CartPole, a minute or two
    python train.py --preset breakout                # an hour of Breakout
    python train.py --preset book                    # the book's 50 million steps
    python train.py --env_name CorridorSmall-v5 --max_steps 10240

The network estimates Q(s, a), the discounted return after action a in state s. The agent acts
ε-greedily, stores every transition in a replay, and trains on batches drawn from it. The target of
Q(s, a) is the reward plus the discounted value of the best action in the next state.
"""

import argparse
import itertools
import math
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from chapter20_dqn import data, episodes
from chapter20_dqn.agent import Agent, Window, make_agent
from chapter20_dqn.film import FRAMES_PER_SECOND, film_game
from chapter20_dqn.flags import (
    add_flags,
    check_bounds,
    check_header,
    check_learning_start,
    check_preset,
    idle_flags,
    in_steps,
)
from chapter20_dqn.inference import build_network
from chapter20_dqn.model import huber, make_q_function, td_targets
from chapter20_dqn.state import AgentState
from common import checkpoint, cli, environments, rundir, video
from common.monitor import Monitor

CARTPOLE = {
    "env_name": "CartPole-v1",
    "n_action_repeat": 1,
    "history_length": 1,
    "network_header_type": "mlp",
    "mlp_units": [128, 128],
    "mlp_activation": "relu",
    "double_q": True,
    "scale": 1,
    "memory_size": 10_000,
    "t_learn_start": 500,
    "t_train_freq": 1,
    "t_target_q_update_freq": 200,
    "t_ep_end": 4000,
    "ep_end": 0.02,
    "t_beta_end": 20_000,
    "batch_size": 128,
    "optimizer": "adam",
    "learning_rate": 5e-4,
    "t_train_max": 50_000_000,
    "t_test": 1024,
    "ep_test": 0.0,
    "eval_episodes": 20,
    "save_every": 10_240,
}
PRESETS = {
    "demo": CARTPOLE | {"max_steps": 20_480},
    "book": {"env_name": "ALE/Breakout-v5", "network_output_type": "dueling"},
    "best": CARTPOLE | {"max_steps": 40_960},
    "breakout": {
        "env_name": "ALE/Breakout-v5",
        "double_q": True,
        "scale": 1000,
        "memory_size": 200,
        "t_learn_start": 20,
        "t_ep_end": 180,
        "t_beta_end": 1000,
        "n_step": 3,
        "num_envs": 4,
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "t_test": 10,
        "eval_every": 50_000,
        "max_steps": 1_000_000,
    },
}


FREE = ["eval_episodes", "learning_rate_decay", "learning_rate_decay_step",
        "learning_rate_minimum", "video"]


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__file__, __doc__, PRESETS, free=FREE)
    add_flags(parser)
    return parser


def epsilon_at(step: int, args: argparse.Namespace) -> float:
    """Returns ε, which decays linearly to `--ep_end` from `--t_learn_start` on."""
    left = args.t_ep_end - max(0, step - args.t_learn_start)
    return args.ep_end + (args.ep_start - args.ep_end) * max(0.0, left / args.t_ep_end)


def learning_rate_at(step: int, args: argparse.Namespace) -> float:
    """Returns the learning rate: a staircase decay to its minimum, constant without one."""
    if args.learning_rate_minimum is None:
        return args.learning_rate
    rate = args.learning_rate * args.learning_rate_decay**(step // args.learning_rate_decay_step)
    return max(args.learning_rate_minimum, rate)


def beta_at(step: int, args: argparse.Namespace) -> float:
    """Returns β, the importance-sampling exponent, which is annealed linearly to 1."""
    share = min(1.0, step / args.t_beta_end)
    return args.priority_beta + (1 - args.priority_beta) * share


def make_optimizer(args: argparse.Namespace) -> keras.Optimizer:
    """Builds Adam, or RMSprop with the original's ε."""
    if args.optimizer == "adam":
        return keras.optimizers.Adam(args.learning_rate, epsilon=args.adam_epsilon)
    return keras.optimizers.RMSprop(args.learning_rate, args.decay, args.momentum, epsilon=0.01)


def make_update(
    online: keras.Model, target: keras.Model, optimizer: keras.Optimizer, args: argparse.Namespace
) -> Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    """Compiles an update, which returns the loss, the mean Q and the TD errors of a batch.

    The update is a closure, since a `tf.function` traces the networks and the optimizer into its
    graph; its arguments are the tensors of one batch.
    """
    optimizer.build(online.trainable_variables)

    @tf.function(jit_compile=args.jit_compile)
    def update(
        states: tf.Tensor, actions: tf.Tensor, rewards: tf.Tensor, next_states: tf.Tensor,
        discounts: tf.Tensor, weights: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        # TD targets: r + γ max Q'(s', ·), with Q' the target network. In double Q-learning the
        # online network selects the next action and the target network evaluates it.
        next_online_q = online(next_states, training=False) if args.double_q else None
        targets = td_targets(rewards, discounts, target(next_states, training=False),
                             next_online_q)
        # Forward pass: the TD errors of the actions taken, clipped if the flags say so.
        with tf.GradientTape() as tape:
            q = online(states, training=True)  # (batch, num_actions)
            errors = targets - tf.gather(q, actions, axis=1, batch_dims=1)  # (batch,)
            if args.max_delta is not None:
                errors = tf.minimum(errors, args.max_delta)
            if args.min_delta is not None:
                errors = tf.maximum(errors, args.min_delta)
            # Mean Huber loss; the importance-sampling weights are 1 in a uniform replay.
            loss = tf.reduce_mean(weights * huber(errors))
        # Backward pass, gradient clipping per variable or of all, and a step of the optimizer.
        gradients = tape.gradient(loss, online.trainable_variables)
        if args.max_grad_norm is not None:
            gradients = [tf.clip_by_norm(g, args.max_grad_norm) for g in gradients]
        elif args.max_global_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, args.max_global_norm)
        optimizer.apply(gradients, online.trainable_variables)
        return loss, tf.reduce_mean(q), errors

    # A tf.function looks up the graph for its arguments, which takes as long as the update of a
    # small network. All batches have one signature, so that its only graph is called directly.
    states = tf.TensorSpec((args.batch_size, *online.input_shape[1:]), online.inputs[0].dtype)
    actions, numbers = (tf.TensorSpec(args.batch_size, kind) for kind in (tf.int64, tf.float32))
    return update.get_concrete_function(states, actions, numbers, states, numbers, numbers)


def act(
    agent: Agent, q_values: episodes.QValues, epsilon: float, args: argparse.Namespace
) -> None:
    """Takes one step ε-greedily and stores it in the replay, its reward scaled and clipped."""
    # Act in the environment whose turn it is (there is one, unless --num_envs says otherwise).
    step = agent.players.step(q_values, epsilon, agent.rng)
    # Scale and clip the reward, and store the transition.
    reward = min(max(step.reward * args.reward_scale, args.min_r), args.max_r)
    agent.replay.add(step.observation, step.action, reward, step.terminal, step.env)
    agent.window.reward += reward
    agent.window.actions.append(step.action)
    # At the end of an episode, store its last observation too: a truncated one still has a value.
    if step.last_observation is not None:
        agent.replay.close(step.last_observation, step.env)
        agent.window.returns.append(step.episode_return)


def learn(
    agent: Agent, update: Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]], beta: float,
    args: argparse.Namespace,
) -> None:
    """Updates the online network `--gradient_steps` times, each with a batch from the replay."""
    replay, weights = agent.replay, np.ones(args.batch_size, np.float32)
    for _ in range(args.gradient_steps):
        # Draw a batch, uniformly or by priority. Importance-sampling weights correct the latter.
        rows = replay.draw(args.batch_size, agent.rng)
        if args.prioritized:
            weights = replay.weights(rows, beta)
        # Update the network; converting the arrays here is faster than in the tf.function.
        loss, q, errors = update(*map(tf.constant, (*replay.batch(rows), weights)))
        # The new TD errors are the priorities of the drawn transitions.
        if args.prioritized:
            replay.update_priorities(rows, errors.numpy())
        agent.window.losses.append(float(loss))
        agent.window.q.append(float(q))


def evaluate(
    player: episodes.Player, q_values: episodes.QValues, network: keras.Model,
    held_out: np.ndarray, args: argparse.Namespace,
) -> dict[str, float]:
    """Plays whole episodes; returns their mean return, and the mean of max Q at `held_out`."""
    played = episodes.play_episodes(player, q_values, args.ep_test, args.eval_episodes)
    q = tf.reduce_mean(tf.reduce_max(network(held_out, training=False), axis=1))
    return {"episodic_return": float(played.returns.mean()), "q": float(q)}


def check_flags(flags: argparse.Namespace, args: argparse.Namespace) -> None:
    """Raises UserError if flags contradict each other, or a typed one has no effect.

    Args:
        flags: as `cli.resolve` returned them.
        args: the same from `in_steps`.
    """
    check_preset(flags, PRESETS)
    check_header(flags)
    for beside, idle in idle_flags(flags).items():
        cli.refuse_idle(flags, idle, beside)
    check_bounds(args)
    check_learning_start(args)


def introduce(args: argparse.Namespace, network: keras.Model) -> None:
    """Prints the environment and the network, and in the demo the command of the book's run."""
    _, *shape = network.input_shape
    print(f"training on {args.env_name}: states of shape {tuple(shape)}, {network.output_shape[1]} "
          f"actions, {network.count_params():,} parameters, replay of {args.memory_size:,} "
          "observations")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book")


def train(flags: argparse.Namespace) -> dict[str, float]:
    """Trains a run, new or resumed, up to `--max_steps`.

    Returns:
        The step, and the mean return of the best evaluation if there was one.
    """
    args = in_steps(flags)
    env = data.make_env(args)
    film = environments.can_render(env, "rgb_array") if args.video is None else args.video
    eval_env = data.make_env(args, "rgb_array" if film else None)
    check_flags(flags, args)
    online, target = build_network(args, env), build_network(args, env)
    checkpoint.start_from(flags, online=online, target=target)
    introduce(args, online)
    optimizer = make_optimizer(args)
    update = make_update(online, target, optimizer, args)
    agent = make_agent(args, env)
    evaluator = episodes.Player(eval_env, args.history_length, args.seed, episodes.VALIDATION)
    held_out = episodes.held_out_states(eval_env, args.history_length, args.seed)
    with rundir.open_run(flags, dataset_sha256=data.digest(args),
                         parameters=online.count_params()) as run:
        state = AgentState(run, agent, {"online": online, "target": target},
                           {"optimizer": (optimizer, online.trainable_variables)})
        q_values, refresh = make_q_function(online, args.network_header_type)
        monitor = Monitor(run, int(state.step))
        # steps() shows the progress bar, saves checkpoints, and stops after Ctrl-C.
        for step, _ in state.steps(itertools.repeat(None), args.max_steps, args.save_every,
                                   monitor):
            # Act ε-greedily, and store the transition in the replay.
            epsilon, rate = epsilon_at(step, args), learning_rate_at(step, args)
            act(agent, q_values, epsilon, args)
            # Once the replay holds enough, update the online network every few steps. A replay
            # that was not saved is filled again first.
            if (step > args.t_learn_start + agent.filled_from
                    and step % args.t_train_freq == 0):
                optimizer.learning_rate = rate
                learn(agent, update, beta_at(step, args), args)
                refresh()
            # Copy the weights of the online network to the target network.
            if step % args.t_target_q_update_freq == 0:
                target.set_weights(online.get_weights())
            # Log the statistics since the last log line.
            if step % args.log_every == 0:
                agent.window.log(monitor, step, {"training/epsilon": epsilon,
                                                 "training/learning_rate": rate})
                agent.window = Window()
            # Evaluate; save the best weights, and record the first game that they played.
            if step % args.eval_every == 0:
                scores = evaluate(evaluator, q_values, online, held_out, args)
                monitor.scalars(step, scores, "val")
                if state.save_if_best(scores["episodic_return"], highest=True) and film:
                    video.log_gif(monitor.writer("val"), step, "game",
                                  film_game(evaluator, q_values, args.ep_test), FRAMES_PER_SECOND)
    print(f"{args.max_steps:,} steps, {max(p.episode for p in agent.players.players):,} episodes")
    if math.isinf(best := float(state.best)):  # nothing was evaluated
        return {"step": args.max_steps}
    print(f"best evaluation: mean return {best:.1f}")
    return {"step": args.max_steps, "best_return": best}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
