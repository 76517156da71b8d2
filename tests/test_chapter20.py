"""Chapter 20: the update, the replay, preprocessing, schedules, the corridor, exact resume."""

import argparse
import functools
import io
import json
import re
import subprocess
from types import SimpleNamespace

import cv2
import gymnasium as gym
import keras
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.utils.env_checker import check_env
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from chapter20_dqn import (
    atari,
    compare,
    data,
    episodes,
    export,
    film,
    play,
    replay,
    state,
    train,
)
from chapter20_dqn import eval as evaluation
from chapter20_dqn.agent import Agent, make_agent
from chapter20_dqn.corridor import MAPS, Corridor
from chapter20_dqn.flags import check_learning_start, in_steps
from chapter20_dqn.model import build_q_network, huber, make_q_function, td_targets
from chapter20_dqn.prioritized import PrioritizedReplay, SumTree
from chapter20_dqn.replay import Batch, Replay
from common import cli, files, rundir
from common.errors import UserError

GAME = ["--preset", "breakout", "--scale", "1", "--memory_size", "500", "--t_learn_start", "8",
        "--batch_size", "4", "--eval_episodes", "1", "--max_episode_steps", "12",
        "--log_every", "4", "--eval_every", "8", "--num_envs", "1", "--n_step", "1",
        "--no-prioritized"]


def flags(*argv: str):
    return in_steps(train.build_parser().parse_args(argv))


def test_parameters_are_the_originals():
    def count(header, output):
        return build_q_network((4, 80, 80), "uint8", 4, header, output).count_params()

    assert count("nips", "normal") == 537_908 and count("nips", "dueling") == 802_613
    assert count("nature", "normal") == 1_260_196 and count("nature", "dueling") == 1_786_021
    # From the convolutions on, of 3,136 outputs, two streams of 512 units.
    convolutions = 8_224 + 32_832 + 36_928
    network = build_q_network((4, 84, 84), "uint8", 4, "nature", "dueling_wang")
    assert network.count_params() == convolutions + 2 * 3137 * 512 + 513 + 513 * 4
    mlp = build_q_network((1, 64), "float32", 4, "mlp", "dueling")
    assert mlp.get_layer("value_hidden").units == 25 and mlp.get_layer("hidden2").units == 50


def test_frames_are_scaled_and_the_history_becomes_channels():
    network = build_q_network((4, 80, 80), "uint8", 3)
    frames = np.random.default_rng(0).integers(256, size=(2, 4, 80, 80), dtype=np.uint8)
    first = next(layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D))
    seen = keras.Model(network.input, first.input)(frames)
    np.testing.assert_allclose(seen, np.moveaxis(frames, 1, -1) / 255, rtol=1e-6)


@pytest.mark.parametrize("output", ["normal", "dueling"])
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_numpy_values_as_the_network(output, activation):
    network = build_q_network((2, 5), "float32", 3, "mlp", output, (8, 6), activation)
    states = np.random.default_rng(1).normal(size=(7, 2, 5)).astype(np.float32)
    q_values, refresh = make_q_function(network, "mlp")
    for _ in range(2):
        np.testing.assert_allclose(q_values(states), network(states), atol=1e-6)
        network.set_weights([w + 0.1 for w in network.get_weights()])
        refresh()


def test_the_advantages_of_a_dueling_network_have_mean_zero():
    network = build_q_network((1, 5), "float32", 4, "mlp", "dueling")
    states = np.random.default_rng(2).normal(size=(3, 1, 5)).astype(np.float32)
    value = keras.Model(network.input, network.get_layer("value").output)(states)
    np.testing.assert_allclose(np.mean(network(states), axis=1), value[:, 0], atol=1e-6)


def test_the_streams_of_wang_pass_less_gradient_back():
    """1/√2 of it reaches the convolutions; values and the streams' own gradients stay."""
    frames = np.random.default_rng(0).integers(256, size=(2, 4, 84, 84), dtype=np.uint8)
    network = build_q_network((4, 84, 84), "uint8", 3, "nips", "dueling_wang")
    flat = next(layer for layer in network.layers if isinstance(layer, keras.layers.Flatten))
    features = keras.Model(network.input, flat.output)(frames)

    def q(x):
        hidden = {name: network.get_layer(f"{name}_hidden")(x) for name in ("value", "advantage")}
        value, advantage = (network.get_layer(name)(hidden[name]) for name in hidden)
        return value + advantage - tf.reduce_mean(advantage, axis=1, keepdims=True)

    np.testing.assert_allclose(network(frames), q(features), rtol=1e-5)
    last = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)][-1].kernel
    stream = network.get_layer("value_hidden").kernel
    with tf.GradientTape(persistent=True) as tape:
        ours = tf.reduce_sum(network(frames)**2)
        plain = tf.reduce_sum(q(keras.Model(network.input, flat.output)(frames))**2)
    for variable, factor in ((last, 2**-0.5), (stream, 1)):
        np.testing.assert_allclose(tape.gradient(ours, variable.value),
                                   factor * tape.gradient(plain, variable.value),
                                   rtol=1e-3, atol=1e-4)


def test_targets_by_hand():
    rewards, discounts = tf.constant([1.0, -1.0, 0.5]), tf.constant([0.9, 0.0, 0.81])
    target = tf.constant([[2.0, 3], [5, 7], [4, 1]])
    online = tf.constant([[9.0, 8], [0, 1], [1, 2]])
    plain = td_targets(rewards, discounts, target)
    np.testing.assert_allclose(plain, [1 + 0.9 * 3, -1, 0.5 + 0.81 * 4], rtol=1e-6)
    double = td_targets(rewards, discounts, target, online)
    np.testing.assert_allclose(double, [1 + 0.9 * 2, -1, 0.5 + 0.81 * 1], rtol=1e-6)


def test_huber_by_hand():
    np.testing.assert_allclose(huber(tf.constant([0.5, -1.0, 3, -2])), [0.125, 0.5, 2.5, 1.5])


class TestUpdate:
    """One update against NumPy, on a network of a single layer."""

    BATCH = Batch(states=np.float32([[[1, 0]], [[0, 1]], [[0, 1]]]), actions=np.array([0, 1, 1]),
                  rewards=np.float32([1, -1, 8]),
                  next_states=np.float32([[[0, 1]], [[1, 0]], [[0, 1]]]),
                  discounts=np.float32([0.99, 0.99, 0]))

    def run(self, *argv: str, weights=(1, 1, 1)):
        args = flags("--optimizer", "rmsprop", "--learning_rate", "0.1", "--batch_size", "3", *argv)
        online, target = (keras.Sequential([keras.Input((1, 2)), keras.layers.Flatten(),
                                            keras.layers.Dense(2, use_bias=False)])
                          for _ in range(2))
        online.set_weights([np.float32([[1, 2], [3, 4]])])
        target.set_weights([np.float32([[1, 0.5], [0.2, 0.3]])])
        update = train.make_update(online, target, train.make_optimizer(args), args)
        loss, q, errors = update(*map(tf.constant, (*self.BATCH, np.float32(weights))))
        (moved,), (kept,) = online.get_weights(), target.get_weights()
        np.testing.assert_array_equal(kept, np.float32([[1, 0.5], [0.2, 0.3]]))
        return float(loss), float(q), errors.numpy(), moved - np.float32([[1, 2], [3, 4]])

    @pytest.mark.parametrize("compiler", ["--jit_compile", "--no-jit_compile"])
    def test_errors_and_loss(self, compiler):
        loss, q, errors, _ = self.run(compiler)
        expected = [1 + 0.99 * 0.3 - 1, -1 + 0.99 * 1 - 4, 8 - 4]
        np.testing.assert_allclose(errors, expected, rtol=1e-5)
        np.testing.assert_allclose(loss, (0.297**2 / 2 + 4.01 - 0.5 + 3.5) / 3, rtol=1e-5)
        np.testing.assert_allclose(q, (1 + 2 + 3 + 4 + 3 + 4) / 6, rtol=1e-6)

    def test_weights(self):
        loss, _, errors, moved = self.run(weights=(1, 0.5, 0))
        np.testing.assert_allclose(errors, self.run()[2])
        np.testing.assert_allclose(loss, (0.297**2 / 2 + (4.01 - 0.5) / 2) / 3, rtol=1e-5)
        gradient = 0.5 / 3  # of the second alone
        np.testing.assert_allclose(
            moved[1, 1], -0.1 * gradient / np.sqrt(0.1 * gradient**2 + 0.01), rtol=1e-4)

    def test_double_q(self):
        _, _, errors, _ = self.run("--double_q")
        np.testing.assert_allclose(errors[1], -1 + 0.99 * 0.5 - 4, rtol=1e-5)

    def test_clipped_errors(self):
        _, _, errors, _ = self.run("--max_delta", "2", "--min_delta", "-3")
        np.testing.assert_allclose(errors, [0.297, -3, 2], rtol=1e-5)

    def test_rmsprop_is_the_originals(self):
        """Only the values of actions that were done move, by lr · g / √(0.1 g² + 0.01)."""
        _, _, _, moved = self.run()
        gradient = np.array([[-0.297 / 3, 0], [0, (1 - 1) / 3]])
        expected = -0.1 * gradient / np.sqrt(0.1 * gradient**2 + 0.01)
        np.testing.assert_allclose(moved, expected, atol=1e-6)

    def test_gradient_norm(self):
        _, _, _, free = self.run()
        _, _, _, clipped = self.run("--max_grad_norm", "0.01")
        gradient = 0.01
        expected = 0.1 * gradient / np.sqrt(0.1 * gradient**2 + 0.01)
        np.testing.assert_allclose(clipped[0, 0], expected, rtol=1e-4)
        assert free[0, 0] > 2 * clipped[0, 0]

    def test_global_gradient_norm(self):
        """All gradients shrink alike, so that their norm is the limit."""
        _, _, _, moved = self.run("--max_global_norm", "0.01")
        gradient = np.array([[-0.297 / 3, 0], [0, (1 - 1) / 3]])
        gradient *= 0.01 / np.linalg.norm(gradient)
        expected = -0.1 * gradient / np.sqrt(0.1 * gradient**2 + 0.01)
        np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-7)


def filled(capacity: int, lengths: list[int], history_length: int, kind=Replay, **options):
    """Observation n of episode e is 100 e + n; the reward is the observation it followed."""
    memory = kind(capacity, (1,), np.float32, history_length, **options)
    for episode, length in enumerate(lengths):
        for n in range(length):
            number = 100 * episode + n
            memory.add(number, n % 3, number, n == length - 1)
        memory.close(100 * episode + length)
    return memory


def draw(memory: Replay, count: int, seed: int = 0) -> Batch:
    return memory.batch(memory.draw(count, np.random.default_rng(seed)))


@pytest.mark.parametrize("capacity", [1000, 31])
@pytest.mark.parametrize("kind", [Replay, functools.partial(PrioritizedReplay, alpha=0.6)])
def test_windows_never_cross_episodes(capacity, kind):
    lengths = [5, 2, 9, 1, 12, 7]
    memory = filled(capacity, lengths, history_length=3, kind=kind)
    batch = draw(memory, 2000)
    windows = np.concatenate([batch.states, batch.next_states[:, -1:]], axis=1)[..., 0]
    np.testing.assert_array_equal(np.diff(windows), 1)
    np.testing.assert_array_equal(batch.next_states[..., 0], windows[:, 1:])
    np.testing.assert_array_equal(windows[:, 2], batch.rewards)
    np.testing.assert_array_equal(windows[:, 2] % 100 % 3, batch.actions)
    allowed = {100 * e + n for e, length in enumerate(lengths) for n in range(2, length)}
    if capacity == 31:  # 42 rows were added: the first eleven are gone
        allowed -= {2, 3, 4, 202, 203}
    assert set(batch.rewards.astype(int)) == allowed
    last = {100 * e + length - 1 for e, length in enumerate(lengths)}
    np.testing.assert_array_equal(
        batch.discounts, np.where(np.isin(batch.rewards, list(last)), 0, np.float32(0.99)))


def test_draws_are_even():
    memory = filled(1000, [4, 9, 6], history_length=2)
    rewards = draw(memory, 16_000, seed=1).rewards
    _, counts = np.unique(rewards, return_counts=True)
    assert len(counts) == 3 + 8 + 5 and abs(counts - 1000).max() < 150


def test_the_newest_row_waits_for_its_next():
    memory = Replay(10, (1,), np.float32, 1)
    memory.add(1, 0, 1.0, False)
    with pytest.raises(UserError, match="no episode"):
        draw(memory, 1)
    memory.add(2, 0, 2.0, False)
    assert set(draw(memory, 20).rewards) == {1}


def test_episodes_may_be_too_short_for_the_history():
    with pytest.raises(UserError, match="has 4 observations followed by 1 more"):
        draw(filled(100, [2, 2, 2], history_length=4), 1)


def test_a_cut_off_episode_still_has_a_next_observation():
    memory = Replay(10, (1,), np.float32, 1)
    memory.add(1, 0, 1.0, False)
    memory.close(2)
    batch = draw(memory, 4)
    assert (batch.next_states[:, 0] == 2).all() and (batch.discounts == np.float32(0.99)).all()


def test_returns_of_three_steps_by_hand():
    """Of a game in which a life is lost at 13, that ends at 15, and of one cut off behind 23."""
    memory = Replay(100, (1,), np.float32, 2, n_step=3, discount=0.5)
    for number in (10, 11, 12, 13, 14, 15):
        memory.add(number, 0, number, number in (13, 15))
    memory.close(16)
    for number in (20, 21, 22, 23):
        memory.add(number, 0, number, False)
    memory.close(24)
    for number in (30, 31, 32, 33, 34):  # goes on: 32 and later have no three steps yet
        memory.add(number, 0, number, False)
    batch = draw(memory, 500)
    found = {int(state[-1, 0]): (float(reward), int(after[-1, 0]), float(discount))
             for state, reward, after, discount
             in zip(batch.states, batch.rewards, batch.next_states, batch.discounts, strict=True)}
    assert found == {
        11: (11 + 12 / 2 + 13 / 4, 14, 0), 12: (12 + 13 / 2, 14, 0), 13: (13, 14, 0),
        14: (14 + 15 / 2, 16, 0), 15: (15, 16, 0),
        21: (21 + 22 / 2 + 23 / 4, 24, 1 / 8), 22: (22 + 23 / 2, 24, 1 / 4), 23: (23, 24, 1 / 2),
        31: (31 + 32 / 2 + 33 / 4, 34, 1 / 8),
    }
    assert (batch.next_states[:, 1] - batch.next_states[:, 0] == 1).all()


@pytest.mark.parametrize("capacity", [400, 24])
def test_rings_of_several_environments(capacity):
    memory = Replay(capacity, (1,), np.float32, 2, num_envs=3)
    expected = set()
    for number in range(11):  # the third closes an episode behind 204
        for env in range(3):
            memory.add(100 * env + number, env, 100 * env + number, False, env)
        if number == 4:
            memory.close(205.5, env=2)
    batch = draw(memory, 3000)
    state, after = batch.states[..., 0], batch.next_states[..., 0]
    np.testing.assert_array_equal(state[:, 1] // 100, batch.actions)
    np.testing.assert_array_equal(state[:, 1], after[:, 0])
    oldest = 0 if capacity == 400 else 3  # of eight rows
    for env in range(3):
        expected |= {100 * env + number for number in range(oldest + 1, 10)}
    expected -= {205} | ({204} if capacity == 24 else set())  # a row of the third is no step
    assert set(batch.rewards.astype(int)) == expected
    closed = state[:, 1] == 204
    assert (after[closed, 1] == 205.5).all() and (np.diff(after[~closed]) == 1).all()
    counts = np.unique(batch.rewards, return_counts=True)[1]
    assert abs(counts / counts.mean() - 1).max() < 0.4


def test_the_sum_tree_as_a_cumulative_sum():
    rng = np.random.default_rng(3)
    for size in (1, 2, 5, 64, 1000):
        tree, values = SumTree(size), np.zeros(size)
        for _ in range(5):
            indices = rng.integers(size, size=7)
            new = rng.integers(5, size=7).astype(float)  # some are 0
            tree.set(indices, new)
            values[indices] = new
        np.testing.assert_array_equal(tree.values, values)
        assert tree.total == values.sum()
        if tree.total:
            points = rng.random(300) * tree.total
            expected = np.searchsorted(np.cumsum(values), points, side="right")
            np.testing.assert_array_equal(tree.find(points), expected)


def test_rounding_leads_to_no_value_of_zero():
    tree = SumTree(5)
    tree.set(np.arange(5), np.array([0.1, 0.2, 0.3, 0, 0]))
    np.testing.assert_array_equal(tree.find(np.array([0, np.nextafter(0.6, 1), 0.7])), [0, 2, 2])


def test_draws_are_in_proportion_to_priorities():
    memory = filled(50, [4, 6], 1, PrioritizedReplay, alpha=0.5)
    rows = np.array([0, 1, 2, 3, 5, 6, 7, 8, 9, 10])
    errors = np.array([1, -4, 9, 0, 1, 1, 1, 1, 1, 16.0])
    memory.update_priorities(rows, errors)
    drawn = np.concatenate([memory.draw(32, np.random.default_rng(seed)) for seed in range(500)])
    share = np.bincount(drawn, minlength=12) / len(drawn)
    expected = np.sqrt(np.abs(errors)) / np.sqrt(np.abs(errors)).sum()
    np.testing.assert_allclose(share[rows], expected, atol=0.01)
    assert share[[4, 11]].sum() == 0  # closing rows
    weights = memory.weights(np.array([1, 2, 10]), 0.4)
    np.testing.assert_allclose(weights, [1, (2 / 3) ** 0.4, (2 / 4) ** 0.4], rtol=1e-5)
    np.testing.assert_array_equal(memory.weights(rows, 0), 1)


def test_equal_priorities_are_a_uniform_replay():
    memory = filled(1000, [4, 9, 6], 2, PrioritizedReplay, alpha=0.6)
    rows = memory.draw(16_000, np.random.default_rng(1))
    np.testing.assert_array_equal(memory.weights(rows, 0.7), 1)
    counts = np.unique(rows, return_counts=True)[1]
    assert len(counts) == 3 + 8 + 5 and abs(counts - 1000).max() < 150


def test_the_new_have_the_greatest_priority():
    memory = filled(8, [5], 1, PrioritizedReplay, alpha=1.0)
    memory.update_priorities(np.arange(5), np.array([0.1, 0.2, 0.3, 0.2, 0.1]))
    for number in range(3):
        memory.add(100 + number, 0, 0.0, False)
    np.testing.assert_allclose(memory.state()["priorities"][0],
                               [0.3, 0.2, 0.3, 0.2, 0.1, 0, 0.3, 0.3], atol=1e-5)
    memory.update_priorities(np.array([2, 6, 7]), np.array([0.1, 0.1, 0.1]))
    assert memory.add(103, 0, 0.0, False) == 1  # 0.3 is gone, but it was the greatest
    np.testing.assert_allclose(memory.state()["priorities"][0, 1], 0.3, atol=1e-5)


@pytest.mark.parametrize("kind", [Replay, functools.partial(PrioritizedReplay, alpha=0.6)])
def test_a_replay_comes_back_whole(kind):
    memory = filled(31, [5, 2, 9, 1, 12, 7], 3, kind)
    memory.add(600, 0, 600, False)
    if hasattr(memory, "update_priorities"):
        memory.update_priorities(rows := np.arange(20, 25), rows / 10)
    copy = kind(31, (1,), np.float32, 3)
    copy.restore(saved := {name: array.copy() for name, array in memory.state().items()})
    for name in saved.keys() - {"greatest_priority"}:
        with pytest.raises(ValueError):
            kind(31, (1,), np.float32, 3).restore(saved | {name: saved[name][..., :1, None]})
    for m in (memory, copy):
        m.add(601, 1, 601, False)
        m.close(602)
    a, b = (draw(m, 50, seed=2) for m in (memory, copy))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_replay_larger_than_memory_is_not_allocated(monkeypatch):
    monkeypatch.setattr(replay, "free_memory", lambda: 2 * 10**9)
    with pytest.raises(UserError, match=r"1,000,000 observations needs 6\.4 GB of memory, 2\.0 GB"):
        Replay(1_000_000, (80, 80), np.uint8, 4)
    monkeypatch.undo()
    assert 10**8 < replay.free_memory() < 10**14


def test_schedules():
    args = flags("--preset", "book")
    found = [train.epsilon_at(step, args) for step in (0, 50_000, 550_000, 1_050_000, 2_000_000)]
    np.testing.assert_allclose(found, [1, 1, 0.505, 0.01, 0.01])
    args = flags("--learning_rate", "0.01", "--learning_rate_minimum", "0.009")
    found = [train.learning_rate_at(step, args) for step in (49_999, 50_000, 100_000, 150_000)]
    np.testing.assert_allclose(found, [0.01, 0.0096, 0.009216, 0.009])
    args = flags("--learning_rate", "1e-5")
    assert {train.learning_rate_at(step, args) for step in (0, 10**7)} == {1e-5}
    args = flags("--scale", "1", "--t_beta_end", "100")
    found = [train.beta_at(step, args) for step in (0, 50, 100, 200)]
    np.testing.assert_allclose(found, [0.4, 0.7, 1, 1])


def game(*argv: str):
    return data.make_env(flags("--env_name", "ALE/Breakout-v5", *argv))


def pole():
    return data.make_env(flags("--env_name", "CartPole-v1", "--n_action_repeat", "1"))


def play_some(env, seed: int, steps: int = 60):
    observation, _ = env.reset(seed=seed)
    frames, rng = [observation], np.random.default_rng(0)
    for _ in range(steps):
        frames.append(env.step(int(rng.integers(4)))[0])
    return np.array(frames)


@pytest.mark.parametrize("name", ["ALE/Breakout-v5", "ALE/Seaquest-v5"])
def test_a_game_is_a_function_of_its_seed_and_actions(name):
    one, two = game("--env_name", name), game("--env_name", name)
    first = play_some(one, 5)
    play_some(two, 6, 100)  # what came before leaves no trace; in Seaquest a reset alone does
    np.testing.assert_array_equal(play_some(two, 5), first)
    assert (play_some(two, 6) != first).any()
    assert first.shape == (61, 80, 80) and first.dtype == np.uint8 and first.max() > 60


class Emulator(gym.Env):
    """Stands for ALE: frame n is all n, drawn on even or on odd rows only."""

    def __init__(self):
        self.ale = self
        self.action_space = gym.spaces.Discrete(4)

    def reset(self, **options):
        self.frame, self.acted = 0, []
        return None, {}

    def cloneState(self, include_rng):  # noqa: N802
        assert include_rng
        return None

    def restoreState(self, state):  # noqa: N802
        pass

    def getMinimalActionSet(self):  # noqa: N802
        return [10, 11, 12, 13]

    def act(self, action):
        self.frame += 1
        self.acted.append(action)
        return float(self.frame)

    def lives(self):
        return 3 if self.frame < 6 else 2

    def game_over(self, with_truncation):
        return self.frame >= 10

    def game_truncated(self):
        return False

    def getScreenRGB(self):  # noqa: N802
        screen = np.zeros((80, 80, 3), np.uint8)
        screen[self.frame % 2::2] = self.frame
        return screen


@pytest.fixture
def emulator():
    return Emulator()


def test_a_step_is_four_frames_of_which_two_are_seen(emulator):
    env = atari.AtariFrames(emulator, max_no_ops=0, stickiness=0.0)
    env.reset(seed=0)
    observation, reward, over, cut, info = env.step(2)
    assert emulator.acted == [12] * 4 and reward == 1 + 2 + 3 + 4 and not (over or cut)
    assert (observation[::2] == 4).all() and (observation[1::2] == 3).all()
    assert not info["life_lost"]
    assert env.step(1)[4]["life_lost"]
    _, reward, over, _, info = env.step(0)  # two frames more, and the game is over
    assert over and reward == 9 + 10 and not info["life_lost"]


def test_rewards_can_be_the_last_frames(emulator):
    env = atari.AtariFrames(emulator, max_no_ops=0, stickiness=0.0, cumulate=False)
    env.reset(seed=0)
    assert env.step(0)[1] == 4


def test_no_ops_and_sticky_actions(emulator):
    env = atari.AtariFrames(emulator, max_no_ops=5, stickiness=0.0)
    starts = set()
    for seed in range(60):
        env.reset(seed=seed)
        assert set(emulator.acted) <= {10}
        starts.add(len(emulator.acted))
    assert starts == set(range(6))
    env = atari.AtariFrames(emulator, num_repeats=1, max_no_ops=0, stickiness=0.25)
    repeated = 0
    for seed in range(200):
        env.reset(seed=seed)
        env.step(1)
        env.step(2)
        repeated += emulator.acted[1] != 12
    assert 30 < repeated < 70


def test_luminance(emulator):
    env = atari.AtariFrames(emulator, size=(40, 36))
    screen = np.zeros((210, 160, 3), np.uint8)
    screen[:] = 100, 200, 50
    np.testing.assert_array_equal(env._shrink(screen), np.full((40, 36), 168))


def test_a_lost_life_ends_nothing_but_what_is_to_be_gained():
    player = episodes.Player(game("--max_random_start", "0"), 4, 0)
    assert (player.state == player.state[0]).all()
    lost, ended, rng = 0, False, np.random.default_rng(0)
    while not ended:
        _, terminal, ended = player.step(int(rng.integers(4)))
        lost += terminal
    assert lost == 5


def test_a_player_gets_to_where_it_was():
    one, two = (episodes.Player(game(), 4, 7) for _ in range(2))
    rng = np.random.default_rng(0)
    one.start(3)
    for _ in range(40):
        one.step(int(rng.integers(4)))
    two.resume(one.episode, list(one.actions))
    np.testing.assert_array_equal(one.state, two.state)
    assert one.score == two.score and one.step(1) == two.step(1)


def test_states_at_the_start_repeat_the_first_observation():
    player = episodes.Player(pole(), 3, 0)
    first = player.state[0].copy()
    player.step(0)
    np.testing.assert_array_equal(player.state[:2], [first, first])
    assert (player.state[2] != first).any()
    player.start(1)
    assert (player.state == player.state[2]).all() and player.actions == []


def test_held_out_states_are_always_the_same():
    env = pole()
    one, two = (episodes.held_out_states(env, 2, 5, 9) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.shape == (9, 2, 4) and len(np.unique(one[:, 0, 0])) == 9


def test_the_corridor():
    for map_name, fields in MAPS.items():
        env = Corridor(map_name, 10)
        check_env(env, skip_render_check=True)
        assert sum(row.count("S") for row in fields) == sum(row.count("D") for row in fields) == 1
        assert all(len(row) == len(fields) for row in fields)
    env = Corridor("4x4", 5)
    assert env.reset(seed=0)[0] == 12
    assert env.step(3)[:3] == (8, 1.0, False)  # up, to new floor
    assert env.step(4)[:3] == (8, 0.0, False)  # nothing, on floor already seen
    assert env.step(1)[:3] == (12, 0.0, False)  # back to the start
    assert env.step(0)[:3] == (12, 0.0, False)  # against the wall
    assert env.step(2)[:3] == (13, -1.0, False)  # hot
    assert env.step(2)[:3] == (14, 1.0, False)  # the alcove
    assert env.step(4)[:3] == (14, 0.0, False)  # pays once
    assert env.step(2)[:3] == (15, 10.0, True)  # the door


def test_states_are_one_hot_and_actions_are_repeated():
    env = data.make_env(flags("--env_name", "CorridorSmall-v10", "--n_action_repeat", "2"))
    observation, _ = env.reset(seed=0)
    assert observation.shape == (16,) and observation.argmax() == 12 and observation.sum() == 1
    assert env.action_space.n == 10
    observation, reward, *_ = env.step(3)
    assert observation.argmax() == 4 and reward == 2
    env = data.make_env(flags("--env_name", "CorridorSmall-v5", "--n_action_repeat", "3",
                              "--no-use_cumulated_reward"))
    env.reset(seed=0)
    assert env.step(2)[1] == 10
    assert data.make_env(flags("--env_name", "FrozenLake8x8-v1")).observation_space.shape == (64,)


@pytest.mark.parametrize(("name", "says", "hint"), [
    ("ALE/Breakot-v5", "knows no environment ALE/Breakot-v5", "ALE/Breakout-v5"),
    ("CoridorSmall-v5", "knows no environment", "CorridorSmall-v5"),
    ("Pendulum-v1", "actions Box", "Atari frames"),
    ("Blackjack-v1", "observations Tuple", "state numbers"),
])
def test_environments_that_no_agent_here_can_act_in(name, says, hint):
    with pytest.raises(UserError, match=says) as error:
        data.make_env(flags("--env_name", name))
    assert hint in error.value.hint


@pytest.mark.parametrize(("argv", "says"), [
    (["--network_header_type", "nips"], "nips does not fit CartPole-v1"),
    (["--preset", "breakout", "--network_header_type", "mlp"], "mlp does not fit ALE/Breakout-v5"),
    (["--observation_dims", "[80]"], "[80] is not a height and a width"),
    (["--memory_size", "10000000000000"], "GB are free"),
    (["--num_envs", "8", "--memory_size", "15"], "has 1 for each of 8 environments, a transition"),
    (["--momentum", "0.5"], "--momentum 0.5 has no effect with --optimizer adam"),
    (["--learning_rate_decay", "0.5"], "with a constant learning rate (no --learning_rate"),
    (["--priority_alpha", "0.5"], "--priority_alpha 0.5 has no effect with --no-prioritized"),
    (["--observation_dims", "[84, 84]"], "has no effect with CartPole-v1"),
    (["--preset", "breakout", "--mlp_units", "[8]"], "no effect with --network_header_type nips"),
    (["--env_name", "ALE/Pong-v5"], "hint: give --preset book or breakout"),
    (["--env_name", "ALE/Pong-v5", "--network_header_type", "nips"], "which do not fit ALE/Pong"),
    (["--preset", "book", "--env_name", "Acrobot-v1"], "hint: give --preset demo or best"),
    (["--min_r", "0.02"], "--min_r 0.02 is not below --max_r 0.02"),
    (["--max_delta", "-1", "--min_delta", "1"], "--min_delta 1 is not below --max_delta -1"),
    (["--max_r", "nan"], "nan is not a number from -1e12 to 1e12"),
    (["--min_delta=-inf"], "-inf is not a number"),
    (["--t_learn_start", "0"], "the first update, at step 1, finds no complete transition"),
    (["--t_learn_start", "12", "--num_envs", "2", "--n_step", "7"], "complete at step 15"),
])
def test_bad_flags(argv, says, capsys):
    assert train.main(argv) == 2
    assert says in capsys.readouterr().err
    assert not list(rundir.runs_dir().glob(f"{compare.CHAPTER}/*"))


@pytest.mark.parametrize(("name", "rewards"), [
    ("ALE/Pong-v5", [-1, 1, 0.5]), ("CartPole-v0", [-1, 0.02, 0.02]),
    ("CliffWalking-v1", [-100, 7, 0.5]),
])
def test_rewards_are_clipped_as_fits_the_environment(name, rewards):
    args = flags("--env_name", name)
    assert [min(max(r, args.min_r), args.max_r) for r in (-100, 7, 0.5)] == rewards
    args = flags("--env_name", name, "--max_r", "5")
    assert (args.min_r, args.max_r) == (flags("--env_name", name).min_r, 5)


@pytest.mark.parametrize("name", train.PRESETS)
def test_learning_starts_with_the_first_complete_transition(name, capsys):
    args = in_steps(argparse.Namespace(**vars(flags()) | train.PRESETS[name]))
    check_learning_start(args)
    assert not capsys.readouterr().err
    args.max_steps = args.t_learn_start
    check_learning_start(args)
    assert "nothing is learned in" in capsys.readouterr().err
    args.t_train_freq, needed = 1, args.num_envs * (args.history_length + args.n_step - 1)
    memory = Replay(100 * args.num_envs, (1,), np.float32, args.history_length, args.n_step,
                    num_envs=args.num_envs)
    for step in range(needed):
        memory.add(np.zeros(1), 0, 0.0, False, step % args.num_envs)
    args.t_learn_start = needed - 1
    with pytest.raises(UserError, match="no complete transition"):
        check_learning_start(args)
    with pytest.raises(UserError, match="no episode in the replay"):
        memory.draw(4, np.random.default_rng(0))
    memory.add(np.zeros(1), 0, 0.0, False, 0)
    args.t_learn_start = needed
    check_learning_start(args)
    memory.draw(4, np.random.default_rng(0))


def test_rewards_are_scaled_and_clipped_for_learning_alone():
    args = flags("--env_name", "CorridorSmall-v5", "--n_action_repeat", "1", "--max_r", "1",
                 "--reward_scale", "0.5")
    env = data.make_env(args)
    players = episodes.Players([episodes.Player(env, 1, 0)])
    agent = Agent(players, Replay(50, (16,), np.float32, 1), np.random.default_rng(0))
    for _ in range(3):
        go_right = lambda states: np.float32([[0, 0, 1, 0, 0]])  # noqa: E731 - -1, 1, 10
        train.act(agent, go_right, 0.0, args)
    assert agent.window.returns == [10.0] and agent.window.reward == 1.0
    assert agent.window.actions == [2, 2, 2]
    assert players.players[0].episode == 1 and len(agent.replay) == 4
    np.testing.assert_array_equal(agent.replay.state()["rewards"], [[-0.5, 0.5, 1, 0]])


def test_environments_take_turns_and_share_a_call_of_the_network():
    args = flags("--env_name", "CorridorSmall-v5", "--n_action_repeat", "1", "--num_envs", "3",
                 "--scale", "1", "--memory_size", "30", "--history_length", "1")
    agent = make_agent(args, data.make_env(args))
    calls = []

    def q_values(states):
        calls.append(states.shape)
        return np.eye(5)[[2, 3, 4]]  # right, up, nothing

    for _ in range(9):
        train.act(agent, q_values, 0.0, args)
    assert calls == [(3, 1, 16)] * 3
    players = agent.players.players
    assert [player.episode for player in players] == [3, 1, 2]  # right ends at the door
    assert [player.actions for player in players] == [[], [3, 3, 3], [4, 4, 4]]
    assert len(agent.replay) == 3 * 3 + 1


def test_an_agent_comes_back_in_the_midst_of_a_round():
    args = flags("--env_name", "CorridorSmall-v5", "--n_action_repeat", "1", "--num_envs", "3",
                 "--scale", "1", "--memory_size", "60", "--history_length", "1")
    one, two = (make_agent(args, data.make_env(args)) for _ in range(2))
    q_values = lambda states: states[:, 0, :5]  # noqa: E731
    for _ in range(10):
        train.act(one, q_values, 0.5, args)
    two.restore(one.snapshot())
    two.replay.restore({name: array.copy() for name, array in one.replay.state().items()})
    for agent in (one, two):
        for _ in range(10):
            train.act(agent, q_values, 0.5, args)
    assert one.snapshot() == two.snapshot()


@pytest.mark.parametrize("more", [
    [], ["--num_envs", "2", "--t_learn_start", "15", "--prioritized", "--n_step", "3",
         "--jit_compile"]])
def test_a_game_resumes_to_the_last_bit(more):
    """The run that is cut in two ends its first part in the midst of a game, and of a round."""
    assert train.main(["--name", "whole", *GAME, *more, "--max_steps", "29"]) == 0
    assert train.main(["--name", "parts", *GAME, *more, "--max_steps", "17"]) == 0
    assert train.main(["--name", "parts", "--max_steps", "29"]) == 0
    folder = rundir.runs_dir() / compare.CHAPTER
    whole, parts = (folder / name for name in ("whole", "parts"))
    assert (whole / "metrics.jsonl").read_bytes() == (parts / "metrics.jsonl").read_bytes()
    a, b = (np.load(run / "checkpoints" / "agent-29.npz") for run in (whole, parts))
    assert a.files == b.files and a["rewards"].size > 29
    assert ("priorities" in a.files) == bool(more)
    assert all((a[name] == b[name]).all() for name in a.files)
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").open()]
    assert {"average/loss", "average/q", "average/reward", "episode/avg reward", "q",
            "training/epsilon"} <= {key for line in lines for key in line}
    a, b = (tf.train.load_checkpoint(str(run / "checkpoints")) for run in (whole, parts))
    for name in a.get_variable_to_shape_map():
        if name.startswith(("online/", "target/", "optimizer_optimizer/")):
            np.testing.assert_array_equal(a.get_tensor(name), b.get_tensor(name))


def test_a_large_replay_is_filled_anew(monkeypatch, capsys):
    monkeypatch.setattr(state, "MAX_SAVED", 499)
    assert train.main(["--name", "large", *GAME, "--max_steps", "12"]) == 0
    assert train.main(["--name", "large", "--max_steps", "32"]) == 0
    assert "filled again" in capsys.readouterr().err
    run = rundir.runs_dir() / compare.CHAPTER / "large"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    learnt = [line["step"] for line in lines if "average/loss" in line]
    assert learnt == [12, 24, 28, 32]  # not at 16 and 20: chance and the policy fill the replay


def agent_file(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize("content", [
    b"", b"PK\x03\x04 and no more", "half", None, b"\x93NUMPY\x01\x00", agent_file(a=np.zeros(3)),
    agent_file(snapshot=np.array("[1, 2]")), agent_file(snapshot=np.array({}, object)),
    agent_file(snapshot=np.array('{"players": [[0, [9]]]}')),
])
def test_a_damaged_agent_is_named(content, tmp_path, capsys):
    args = flags("--preset", "demo", "--env_name", "CorridorSmall-v5", "--n_action_repeat", "1",
                 "--scale", "1")
    agent = make_agent(args, data.make_env(args))
    saved = state.AgentState(tmp_path, agent, {}, {})
    saved.step.assign(2)
    saved.save()
    path = tmp_path / "checkpoints" / "agent-2.npz"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:400] if content == "half" else content)
    with pytest.raises(UserError, match=f"{path} cannot be read") as error:
        state.AgentState(tmp_path, agent, {}, {})
    assert f"delete {path.parent}/*-2.* to use the checkpoint before it" in error.value.hint


@pytest.mark.parametrize("most", [10**8, 0])
def test_every_checkpoint_has_its_agent(most, monkeypatch, capsys):
    """An earlier checkpoint resumes to the last bit, or fills a replay that was too large."""
    monkeypatch.setattr(state, "MAX_KEPT", most)
    folder = rundir.runs_dir() / compare.CHAPTER / "kept" / "checkpoints"
    argv = ["--name", "kept", *GAME, "--save_every", "2", "--max_steps"]
    assert train.main([*argv, "12"]) == 0
    steps = {6, 8, 10, 12} | {4}  # the latest five
    assert {int(path.stem[6:]) for path in folder.glob("agent-*")} == steps
    assert {int(path.stem[5:]) for path in folder.glob("ckpt-*.index")} == steps
    with np.load(folder / "agent-12.npz") as file:
        whole = dict(file)
    for path in folder.glob("*-12.*"):
        path.unlink()
    capsys.readouterr()
    assert train.main([*argv, "12"]) == 0
    assert ("filled again" in capsys.readouterr().err) == (most == 0)
    with np.load(folder / "agent-12.npz") as file:
        again = dict(file)
    if most:
        assert all((whole[name] == again[name]).all() for name in whole)
    else:
        assert json.loads(str(again["snapshot"]))["filled_from"] == 10
        assert again["counters"][0] < whole["counters"][0]


@pytest.fixture
def run():
    assert train.main(["--name", "run", "--max_steps", "2"]) == 0


def test_a_video_shows_each_step(run, tmp_path, capsys):
    video = tmp_path / "pole.mp4"
    assert play.main(["--record", str(video), "--num_episodes", "2", "--epsilon", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    steps = sum(int(line.split()[2]) for line in lines if line.startswith("episode"))
    reader = cv2.VideoCapture(str(video))
    frames = 0
    while reader.read()[0]:
        frames += 1
    assert frames == steps > 0


def test_a_picture_of_the_corridor():
    env = data.make_env(flags("--env_name", "CorridorSmall-v5", "--n_action_repeat", "1"),
                        "rgb_array")
    env.reset(seed=0)
    before = env.render()
    env.step(3)
    changed = (env.render() != before).any(axis=-1)[20::40, 20::40]  # one pixel a field
    np.testing.assert_array_equal(np.argwhere(changed), [[2, 0], [3, 0]])


def test_what_an_evaluation_says():
    returns = np.array([1.0, 3, 5, 7])
    found = evaluation.summary(episodes.Played(returns, np.array([2, 2, 4, 4])))
    error = np.std(returns, ddof=1) / 2
    np.testing.assert_allclose([found["standard_error"], found["lower_95"]],
                               [error, 4 - 1.96 * error])
    assert found["highest_return"] == 7 and found["mean_steps"] == 3 and found["episodes"] == 4


def read_videos(run):
    """Returns the GIFs that TensorBoard would show, by step."""
    events = EventAccumulator(str(run / "tb" / "val"), size_guidance={"tensors": 0}).Reload()
    assert events.SummaryMetadata("game").plugin_data.plugin_name == "images"
    return {event.step: [tf.make_ndarray(event.tensor_proto)[n] for n in range(3)]
            for event in events.Tensors("game")}


@pytest.mark.parametrize(("argv", "size"), [
    (["--eval_every", "2", "--max_steps", "4"], (160, 106)),
    ([*GAME, "--max_steps", "8"], (80, 80)),
])
def test_tensorboard_shows_a_game_of_the_best_evaluation(argv, size):
    assert train.main(["--name", "seen", *argv]) == 0
    videos = read_videos(rundir.runs_dir() / compare.CHAPTER / "seen")
    width, height, gif = next(iter(videos.values()))
    picture = Image.open(io.BytesIO(gif))
    assert picture.format == "GIF" and picture.size == size == (int(width), int(height))
    assert picture.n_frames > 1 and len(gif) < 200_000


def test_a_film_shows_the_game_that_was_judged():
    args = flags("--env_name", "ALE/Breakout-v5")
    player = episodes.Player(data.make_env(args), 4, 0, episodes.VALIDATION)
    q_values = lambda states: states[:, -1, 60:64, 40].astype(float)  # noqa: E731
    seen = []
    episodes.play_episodes(player, q_values, 0.5, 1, lambda p: seen.append(p.state[-1].copy()))
    frames = film.film_game(player, q_values, 0.5)
    assert len(frames) == min(film.MAX_FRAMES, (len(seen) + 1) // 2)
    np.testing.assert_array_equal(frames, seen[::2][: len(frames)])


def test_no_video(monkeypatch):
    monkeypatch.setattr(train, "film_game", None)
    argv = ["--name", "blind", "--no-video", "--eval_every", "2", "--max_steps", "2"]
    assert train.main(argv) == 0


def test_an_evaluation_is_repeated_exactly():
    env = pole()
    network = build_q_network((2, 4), "float32", 2, "mlp")
    q_values, _ = make_q_function(network, "mlp")
    player = episodes.Player(env, 2, 0, episodes.EVALUATION)
    one, two = (episodes.play_episodes(player, q_values, 0.5, 4) for _ in range(2))
    np.testing.assert_array_equal(one.returns, two.returns)
    np.testing.assert_array_equal(one.returns, one.steps)


def test_a_row_of_the_comparison_by_hand():
    evaluations = np.array([[10.0, 480, 490], [20, 30, 40], [475, 100, 500]])
    q = np.array([[0.1, 0.2, 1.0], [0.1, 0.2, 2.0], [0.1, 0.2, 2.25]])
    row = compare.score("double", evaluations, np.array([100, 200, 300]), q, 475)
    assert row == {"addition": "double", "seeds": 3, "mean_return": 238.3, "range": [30.0, 358.3],
                   "last_q": 1.75, "solved": 2, "median_steps": 150}
    row = compare.score("none", evaluations[1:2], np.array([100, 200, 300]), q[1:2], 475)
    assert (row["solved"], row["median_steps"], row["range"]) == (0, "–", [30.0, 30.0])
    assert "solved" not in compare.score("none", evaluations, np.array([1, 2, 3]), q, None)


@pytest.mark.slow
def test_the_comparison_trains_what_it_says_and_only_once(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(compare.results, "RESULTS", tmp_path / "results")
    (tmp_path / "results" / compare.CHAPTER).mkdir(parents=True)
    argv = ["--preset", "demo", "--max_steps", "1024", "--seeds", "1", "--additions", "none",
            "three steps"]
    assert compare.main(argv) == 0
    folder = rundir.runs_dir() / compare.CHAPTER / "compare"
    steps = {}
    for name in ("demo-1024-none-0", "demo-1024-three_steps-0"):
        config = rundir.read_config(folder / name, compare.CHAPTER)
        steps[name] = config["flags"]["n_step"]
        assert not config["flags"]["double_q"] and len(config["history"]) == 1
    assert list(steps.values()) == [1, 3]
    monkeypatch.setattr(compare, "subprocess", None)
    assert compare.main([*argv, "--publish"]) == 0
    published = tmp_path / "results" / compare.CHAPTER / "compare-CartPole-v1-demo.json"
    rows = json.loads(published.read_text(encoding="utf-8"))["rows"]
    assert [row["addition"] for row in rows] == ["none", "three steps"]
    assert (folder / "compare-CartPole-v1-demo.png").stat().st_size > 0


def test_settings_of_papers_are_for_games_only(capsys):
    assert compare.main(["--preset", "demo", "--additions", "dueling, Wang"]) == 2
    assert "has no addition 'dueling, Wang'" in capsys.readouterr().err
    for settings in compare.WITH_SETTINGS.values():
        typed = ["--preset", "breakout", *compare.PLAIN, *settings]
        args = cli.resolve(train.build_parser(), typed)
        train.check_flags(args, in_steps(args))
    assert train.main(["--network_output_type", "dueling_wang"]) == 2
    assert "begins at convolutions" in capsys.readouterr().err


def test_a_comparison_tells_of_a_training_that_failed(monkeypatch, capsys):
    monkeypatch.setattr(compare, "ADDITIONS", {"none": ["--n_step", "0"]})
    argv = ["--preset", "demo", "--max_steps", "1024", "--seeds", "1"]
    assert compare.main(argv) == 2
    said = capsys.readouterr().err
    assert "failed" in said and "--n_step" in said and "hint:" in said
    stopped = subprocess.CompletedProcess([], 130)
    monkeypatch.setattr(compare, "subprocess", SimpleNamespace(run=lambda *_, **options: stopped))
    assert compare.main(argv) == 130
    assert "stopped and saved" in capsys.readouterr().err


@pytest.mark.slow
def test_the_demo_balances_the_pole():
    assert train.main(["--name", "demo"]) == 0
    assert evaluation.main(["--name", "demo"]) == 0
    scores = files.read_json(rundir.runs_dir() / compare.CHAPTER / "demo" / "eval.json")["metrics"]
    assert scores["network"]["mean_return"] > 300 > 100 > scores["chance"]["mean_return"]


TINY = ("--t_learn_start", "12", "--batch_size", "4", "--mlp_units", "[8]", "--eval_every", "20",
        "--eval_episodes", "1", "--max_episode_steps", "9", "--max_steps", "40")


def test_an_environment_of_ones_own(mine, tmp_path, capsys):
    argv = ["--env_name", f"{mine}:Row-v0", "--env_kwargs", "size=2,dtype=int64", *TINY]
    assert train.main([*argv, "--name", "own"]) == 0
    flags = files.read_json(rundir.runs_dir() / compare.CHAPTER / "own" / "config.json")["flags"]
    assert flags["env_kwargs"] == "dtype=int64,size=2"
    assert evaluation.main(["--num_episodes", "2"]) == 0
    scores = files.read_json(rundir.runs_dir() / compare.CHAPTER / "own" / "eval.json")
    assert scores["dataset"] == "mine-Row-v0" and scores["metrics"]["network"]["mean_steps"] <= 9
    assert export.main([]) == 0
    assert play.main(["--num_episodes", "1"]) == 0
    for verb, words in ((play, ["--record", str(tmp_path / "a.gif")]),
                        (train, [*argv, "--video", "--name", "seen"])):
        assert verb.main(words) == 2
        assert "mine:Row-v0 renders no images" in capsys.readouterr().err
    assert train.main(["--name", "own", "--env_kwargs", "size=3", "--max_steps", "50"]) == 2
    assert "--env_kwargs size=3 contradicts" in capsys.readouterr().err
    assert {path.name for path in tmp_path.glob("chapter20_dqn/*")} == {"own"}


@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_rows_of_any_type_are_float32_for_the_network(mine, dtype):
    args = flags("--env_name", f"{mine}:Row-v0", "--env_kwargs", f"dtype={dtype}",
                 "--n_action_repeat", "1")
    env = data.make_env(args)
    assert make_agent(args, env).replay._rows["observations"].dtype == np.float32
    before = data.digest(args)
    args.env_kwargs = "dtype=int8"
    assert data.digest(args) != before


def test_arguments_of_a_game():
    data.make_env(flags("--env_name", "ALE/Breakout-v5", "--env_kwargs", "difficulty=1"))
    for text, says in (("difficulty=7", "Invalid difficulty"),
                       ("frameskip=2", "--env_kwargs frameskip of a game")):
        with pytest.raises(UserError, match=says):
            data.make_env(flags("--env_name", "ALE/Breakout-v5", "--env_kwargs", text))


@pytest.mark.filterwarnings("error")
def test_the_readmes_example_is_an_environment(tmp_path, monkeypatch):
    text = (files.ROOT / "chapter20_dqn" / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(# my_walk\.py\n.*?)```", text, re.DOTALL)
    (tmp_path / "my_walk.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    env = data.make_env(flags("--env_name", "my_walk:Walk-v0", "--env_kwargs", "length=5",
                              "--n_action_repeat", "1"))
    check_env(env.unwrapped, skip_render_check=True)
    place = int(env.reset(seed=0)[0][0])
    ends = [env.step(1)[2] for _ in range(5 - place)]
    assert ends == [False] * (4 - place) + [True]
    del gym.registry["Walk-v0"]
