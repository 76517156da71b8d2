"""Steps per second of deep Q-learning: ours, and Stable-Baselines3's DQN.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter20_dqn

The whole loop is measured in environment steps: acting, storing transitions, an update every 4
steps, copying weights to the target network. Updates alone are measured in updates: sampling from
the replay memory, gradients, Adam. Environment, network, batch size, replay memory and target
network are the same; both preprocess Breakout's frames with our wrapper. Nothing is logged or
saved. `ours_xla` is ours with `--jit_compile`.
"""

import argparse
import functools
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import harness

CARTPOLE = {"preset": "demo", "steps_per_call": 400, "updates_per_call": 100}
BREAKOUT = {"preset": "breakout", "steps_per_call": 80, "updates_per_call": 20}
SETTINGS = {
    "CartPole, whole loop": {**CARTPOLE, "updates_alone": False},
    "CartPole, updates alone": {**CARTPOLE, "updates_alone": True},
    "Breakout, whole loop": {**BREAKOUT, "updates_alone": False},
    "Breakout, updates alone": {**BREAKOUT, "updates_alone": True},
}
CAPACITY, LEARN_START, TRAIN_FREQ, TARGET_FREQ, EPSILON = 10_000, 300, 4, 200, 0.02


def flags_of(setting: dict[str, Any]) -> argparse.Namespace:
    """Returns the flags that both contenders train with."""
    from chapter20_dqn import flags, train

    args = harness.flags(
        train, setting["preset"], scale=1, memory_size=CAPACITY, t_train_freq=TRAIN_FREQ,
        t_target_q_update_freq=TARGET_FREQ, ep_start=EPSILON, ep_end=EPSILON, double_q=False,
        n_step=1, num_envs=1, max_r=1.0)
    if setting["preset"] == "breakout":
        args.network_header_type = "nature"  # Stable-Baselines3 has no smaller one
    return flags.in_steps(args)


def ours(setting: dict[str, Any], jit_compile: bool = False) -> tuple[Callable[[], Any], int]:
    """Measures chapter 20's functions in a loop like that of its train.py."""
    from chapter20_dqn import data, train
    from chapter20_dqn.agent import make_agent
    from chapter20_dqn.inference import build_network
    from chapter20_dqn.model import make_q_function

    args = flags_of(setting)
    args.jit_compile = jit_compile
    env = data.make_env(args)
    online, target = build_network(args, env), build_network(args, env)
    optimizer = train.make_optimizer(args)
    update = train.make_update(online, target, optimizer, args)
    agent = make_agent(args, env)
    q_values, renew = make_q_function(online, args.network_header_type)
    done = 0

    def act() -> None:
        nonlocal done
        done += 1
        train.act(agent, q_values, train.epsilon_at(done, args), args)

    def steps() -> None:
        for _ in range(setting["steps_per_call"]):
            act()
            if done % TRAIN_FREQ == 0:
                optimizer.learning_rate = train.learning_rate_at(done, args)
                train.learn(agent, update, train.beta_at(done, args), args)
                renew()
            if done % TARGET_FREQ == 0:
                target.set_weights(online.get_weights())

    def updates() -> None:
        train.learn(agent, update, train.beta_at(done, args), args)

    while done < LEARN_START:
        act()
    if not setting["updates_alone"]:
        return steps, setting["steps_per_call"]
    args.gradient_steps = setting["updates_per_call"]
    return updates, args.gradient_steps


def stable_baselines3(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures `DQN.learn` and `DQN.train`."""
    import gymnasium as gym
    from stable_baselines3 import DQN

    from chapter20_dqn import data

    args = flags_of(setting)
    env = data.make_env(args)
    policy, options = "MlpPolicy", {"net_arch": args.mlp_units}
    if setting["preset"] == "breakout":
        env = gym.wrappers.FrameStackObservation(env, args.history_length)
        policy, options = "CnnPolicy", {}
    model = DQN(policy, env, args.learning_rate, CAPACITY, LEARN_START, args.batch_size,
                gamma=args.discount_r, train_freq=TRAIN_FREQ, target_update_interval=TARGET_FREQ,
                exploration_initial_eps=EPSILON, exploration_final_eps=EPSILON,
                policy_kwargs=options, seed=0)
    model.learn(LEARN_START, log_interval=None)

    def steps() -> None:
        model.learn(setting["steps_per_call"], log_interval=None, reset_num_timesteps=False)

    def updates() -> None:
        model.train(setting["updates_per_call"], args.batch_size)

    if setting["updates_alone"]:
        return updates, setting["updates_per_call"]
    return steps, setting["steps_per_call"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, or one measurement of it."""
    contenders = {"ours": ours, "ours_xla": functools.partial(ours, jit_compile=True),
                  "stable_baselines3": stable_baselines3}
    return harness.run("chapter20_dqn", "steps/s", contenders, SETTINGS, argv)


if __name__ == "__main__":
    raise SystemExit(main())
