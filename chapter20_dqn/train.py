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

import keras
import numpy as np
import tensorflow as tf

from chapter20_dqn import data, episodes
from chapter20_dqn.agent import Agent, Window, make_agent
from chapter20_dqn.film import FRAMES_PER_SECOND, film_game
from chapter20_dqn.flags import add_flags, check_header, idle_flags, in_steps
from chapter20_dqn.inference import build_network
from chapter20_dqn.model import huber, make_q_function, td_targets
from chapter20_dqn.state import AgentState
from common import cli, rundir, video
from common.monitor import Monitor

# Rewards of 1 are clipped to 0.02: no value is then above 2. Rewards of 1 were worse (README).
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
    "max_r": 0.02,
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
    "book": {"env_name": "ALE/Breakout-v5"},
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


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.training_parser(__file__, __doc__, PRESETS, free=["eval_episodes", "video"])
    add_flags(parser)
    return parser


def epsilon_at(step: int, args: argparse.Namespace) -> float:
    """Returns ε, which falls linearly to its end once learning has begun."""
    left = args.t_ep_end - max(0, step - args.t_learn_start)
    return args.ep_end + (args.ep_start - args.ep_end) * max(0.0, left / args.t_ep_end)


def learning_rate_at(step: int, args: argparse.Namespace) -> float:
    """Returns the learning rate, which falls in steps to its minimum, if it is given one."""
    if args.learning_rate_minimum is None:
        return args.learning_rate
    rate = args.learning_rate * args.learning_rate_decay**(step // args.learning_rate_decay_step)
    return max(args.learning_rate_minimum, rate)


def beta_at(step: int, args: argparse.Namespace) -> float:
    """Returns β, the exponent of the importance weights, which rises linearly to 1."""
    share = min(1.0, step / args.t_beta_end)
    return args.priority_beta + (1 - args.priority_beta) * share


def make_optimizer(args: argparse.Namespace) -> keras.Optimizer:
    """Builds the original's RMSProp, or Adam."""
    if args.optimizer == "adam":
        return keras.optimizers.Adam(args.learning_rate)
    return keras.optimizers.RMSprop(args.learning_rate, args.decay, args.momentum, epsilon=0.01)


def make_update(
    online: keras.Model, target: keras.Model, optimizer: keras.Optimizer, args: argparse.Namespace
) -> Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    """Compiles one update; it returns the loss, the mean Q and the TD errors of the batch."""
    optimizer.build(online.trainable_variables)

    @tf.function(jit_compile=args.jit_compile)
    def update(
        states: tf.Tensor, actions: tf.Tensor, rewards: tf.Tensor, next_states: tf.Tensor,
        discounts: tf.Tensor, weights: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        # The targets: reward plus the discounted value of the next state's best action.
        next_online_q = online(next_states, training=False) if args.double_q else None
        targets = td_targets(rewards, discounts, target(next_states, training=False),
                             next_online_q)
        # The TD errors of the actions taken, and Huber's loss of them.
        with tf.GradientTape() as tape:
            q = online(states, training=True)  # (batch, num_actions)
            errors = targets - tf.gather(q, actions, axis=1, batch_dims=1)  # (batch,)
            if args.max_delta is not None:
                errors = tf.minimum(errors, args.max_delta)
            if args.min_delta is not None:
                errors = tf.maximum(errors, args.min_delta)
            loss = tf.reduce_mean(weights * huber(errors))
        # A step of the optimizer.
        gradients = tape.gradient(loss, online.trainable_variables)
        if args.max_grad_norm is not None:
            gradients = [tf.clip_by_norm(g, args.max_grad_norm) for g in gradients]
        optimizer.apply(gradients, online.trainable_variables)
        return loss, tf.reduce_mean(q), errors

    # Finding its graph takes a tf.function as long as running it: there is one, so call that.
    states = tf.TensorSpec((args.batch_size, *online.input_shape[1:]), online.inputs[0].dtype)
    actions, numbers = (tf.TensorSpec(args.batch_size, kind) for kind in (tf.int64, tf.float32))
    return update.get_concrete_function(states, actions, numbers, states, numbers, numbers)


def act(
    agent: Agent, q_values: episodes.QValues, epsilon: float, args: argparse.Namespace
) -> None:
    """Takes one step, ε-greedily, and remembers it with its reward clipped."""
    step = agent.players.step(q_values, epsilon, agent.rng)
    reward = min(max(step.reward, args.min_r), args.max_r)
    agent.replay.add(step.observation, step.action, reward, step.terminal, step.env)
    agent.window.reward += reward
    agent.window.actions.append(step.action)
    if step.last_observation is not None:  # the episode has ended
        agent.replay.close(step.last_observation, step.env)
        agent.window.returns.append(step.episode_return)


def learn(
    agent: Agent, update: Callable[..., tuple[tf.Tensor, tf.Tensor, tf.Tensor]], beta: float,
    args: argparse.Namespace,
) -> None:
    """Draws a batch from the replay and updates the network, `--gradient_steps` times."""
    replay, weights = agent.replay, np.ones(args.batch_size, np.float32)
    for _ in range(args.gradient_steps):
        rows = replay.draw(args.batch_size, agent.rng)
        if args.prioritized:
            weights = replay.weights(rows, beta)
        # A tf.function takes longer to convert arrays itself.
        loss, q, errors = update(*map(tf.constant, (*replay.batch(rows), weights)))
        if args.prioritized:
            replay.prioritise(rows, errors.numpy())
        agent.window.losses.append(float(loss))
        agent.window.q.append(float(q))


def evaluate(
    judge: episodes.Player, q_values: episodes.QValues, network: keras.Model,
    held_out: np.ndarray, args: argparse.Namespace,
) -> dict[str, float]:
    """Plays whole episodes; returns their mean return, and the mean greatest Q at `held_out`."""
    played = episodes.play_episodes(judge, q_values, args.ep_test, args.eval_episodes)
    q = tf.reduce_mean(tf.reduce_max(network(held_out, training=False), axis=1))
    return {"episodic_return": float(played.returns.mean()), "q": float(q)}


def check_flags(args: argparse.Namespace) -> None:
    """Raises UserError where flags do not fit together, or one has no effect."""
    check_header(args)
    for beside, idle in idle_flags(args).items():
        cli.refuse_idle(args, idle, beside)


def introduce(args: argparse.Namespace, network: keras.Model) -> None:
    """Prints what is trained on what, and in the demo the command of the book's run."""
    _, *shape = network.input_shape
    print(f"training on {args.env_name}: states of shape {tuple(shape)}, {network.output_shape[1]} "
          f"actions, {network.count_params():,} parameters, a replay of {args.memory_size:,} "
          "observations")
    if args.preset == "demo":
        print("the book's run: python train.py --preset book")


def train(flags: argparse.Namespace) -> dict[str, float]:
    """Trains a new network, or one that is resumed, up to `--max_steps`.

    Returns:
        Steps, and the mean return of the best evaluation if there was one.
    """
    args = in_steps(flags)
    env, judged = data.make_env(args), data.make_env(args, "rgb_array" if args.video else None)
    check_flags(flags)
    online, target = build_network(args, env), build_network(args, env)
    introduce(args, online)
    optimizer = make_optimizer(args)
    update = make_update(online, target, optimizer, args)
    agent = make_agent(args, env)
    judge = episodes.Player(judged, args.history_length, args.seed, episodes.VALIDATION)
    held_out = episodes.held_out_states(judged, args.history_length, args.seed)
    with rundir.open_run(flags, dataset_sha256=data.digest(args),
                         parameters=online.count_params()) as run:
        state = AgentState(run, agent, {"online": online, "target": target},
                           {"optimizer": (optimizer, online.trainable_variables)})
        q_values, renew = make_q_function(online, args.network_header_type)
        start = int(state.step)
        refilled = 0 if len(agent.replay) else start  # learning waits for a full enough replay
        monitor = Monitor(run, start)
        # steps() shows the bar, saves every save_every steps, and leaves on Ctrl-C once it has.
        for step, _ in state.steps(itertools.repeat(None), args.max_steps, args.save_every,
                                   monitor):
            # Act ε-greedily, and remember what came of it.
            epsilon, rate = epsilon_at(step, args), learning_rate_at(step, args)
            act(agent, q_values, epsilon, args)
            # Learn from batches of what is remembered.
            if step > args.t_learn_start + refilled and step % args.t_train_freq == 0:
                optimizer.learning_rate = rate
                learn(agent, update, beta_at(step, args), args)
                renew()
            # Copy the weights to the target network.
            if step % args.t_target_q_update_freq == 0:
                target.set_weights(online.get_weights())
            # Log the statistics since the last log line.
            if step % args.log_every == 0:
                agent.window.log(monitor, step, {"training/epsilon": epsilon,
                                                 "training/learning_rate": rate})
                agent.window = Window()
            # Evaluate; keep the best weights, and film the first of the games that they played.
            if step % args.eval_every == 0:
                scores = evaluate(judge, q_values, online, held_out, args)
                monitor.scalars(step, scores, "val")
                if state.save_if_best(scores["episodic_return"], highest=True) and args.video:
                    video.log_gif(monitor.writer("val"), step, "game",
                                  film_game(judge, q_values, args.ep_test), FRAMES_PER_SECOND)
    print(f"{args.max_steps:,} steps, {max(p.episode for p in agent.players.players):,} episodes")
    if math.isinf(best := float(state.best)):  # nothing was evaluated
        return {"step": args.max_steps}
    print(f"the best evaluation's mean return was {best:.1f}")
    return {"step": args.max_steps, "best_return": best}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_training(train, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
