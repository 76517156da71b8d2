"""Chapter 21: REINFORCE's loss and weights, episodes, when training ends, videos."""

from functools import partial
from types import SimpleNamespace

import cv2
import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf

from chapter21_policy_gradient import data, play, train
from chapter21_policy_gradient import eval as evaluation
from chapter21_policy_gradient.model import (
    action_logits,
    build_policy,
    discounted_returns,
    greedy,
    logits_in_numpy,
    normalize,
    policy_gradient_loss,
    sampling,
)
from common import rundir
from common.errors import UserError


def test_the_books_network():
    policy = build_policy(4, 2)
    assert policy.count_params() == 50
    observations = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    right = tf.sigmoid(policy(observations))[:, 0]
    probabilities = tf.nn.softmax(action_logits(policy, observations))
    np.testing.assert_allclose(probabilities[:, 1], right, rtol=1e-6)


@pytest.mark.parametrize("num_actions", [2, 5])
def test_numpy_reckons_as_the_network(num_actions):
    policy = build_policy(6, num_actions, hidden_size=8, seed=3)
    observations = np.random.default_rng(1).normal(size=(9, 6)).astype(np.float32)
    found = [logits_in_numpy(policy.get_weights(), observation) for observation in observations]
    np.testing.assert_allclose(found, action_logits(policy, observations), atol=1e-6)


def test_returns_are_discounted_sums_of_what_follows():
    np.testing.assert_allclose(discounted_returns(np.array([1.0, 0.0, 2.0]), 0.5), [1.5, 1, 2])
    returns = discounted_returns(np.ones(200), 0.99)
    np.testing.assert_allclose(returns[0], (1 - 0.99**200) / 0.01)


def test_normalizing_is_no_floor_division():
    """The original's `//` leaves whole numbers whose mean is about -0.5."""
    returns = discounted_returns(np.ones(200), 0.99)
    found = normalize(returns)
    np.testing.assert_allclose([found.mean(), found.std()], [0, 1], atol=1e-12)
    floored = (returns - returns.mean()) // returns.std()
    assert np.bincount(floored.astype(int) + 3).tolist() == [9, 30, 45, 82, 34]
    np.testing.assert_array_equal(normalize(np.ones(3)), 0)


def test_the_loss_and_its_gradient():
    logits = tf.Variable([[0.0, 1.0, -1.0], [0.0, 2.0, 0.5]])
    actions, weights = np.array([2, 0]), np.float32([0.3, -0.7])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    with tf.GradientTape() as tape:
        loss = policy_gradient_loss(logits, actions, weights)
    np.testing.assert_allclose(loss, -(0.3 * np.log(p[0, 2]) - 0.7 * np.log(p[1, 0])), rtol=1e-6)
    expected = weights[:, None] * (p - np.eye(3)[actions])
    np.testing.assert_allclose(tape.gradient(loss, logits), expected, atol=1e-6)


def test_a_probability_of_zero_is_no_nan():
    logits = tf.Variable([[0.0, 1000.0]])
    with tf.GradientTape() as tape:
        loss = policy_gradient_loss(logits, np.array([0]), np.float32([1.0]))
    assert float(loss) == 1000
    np.testing.assert_array_equal(tape.gradient(loss, logits), [[-1, 1]])


def episode(steps: int) -> data.Episode:
    return data.Episode(np.zeros((steps, 4), np.float32), np.zeros(steps, np.int64), np.ones(steps))


def test_weights_of_actions():
    """Each episode alone counts as much as another; over the batch, the short one is all bad."""
    episodes = [episode(4), episode(40)]
    alone = train.action_weights(episodes, 0.99, "episode")
    np.testing.assert_allclose([alone[:4].sum(), alone[4:].sum()], 0, atol=1e-6)
    np.testing.assert_allclose(np.sum(alone[:4] ** 2) * 4 * 4, 1, rtol=1e-5)
    together = train.action_weights(episodes, 0.99, "batch")
    assert (together[:4] < 0).all() and abs(together.sum()) < 1e-6 and together.shape == (44,)


def test_chance_follows_the_probabilities():
    weights = build_policy(4, 3, seed=1).get_weights()
    observation = np.float32([1, -2, 0.5, 3])
    rng = np.random.default_rng(0)
    choose = sampling(weights, rng)
    counts = np.bincount([choose(observation) for _ in range(4000)], minlength=3)
    expected = tf.nn.softmax(logits_in_numpy(weights, observation)).numpy()
    np.testing.assert_allclose(counts / 4000, expected, atol=0.03)
    assert greedy(weights, rng)(observation) == expected.argmax()


def test_episodes_are_a_function_of_their_key():
    env = data.make_env("CartPole-v0")
    act = partial(sampling, build_policy(4, 2).get_weights())
    first, again, other = (data.play_episodes(env, act, 3, 5, key) for key in (1, 1, 2))
    for one, two in zip(first, again, strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0].observations[0], other[0].observations[0])
    assert not np.array_equal(first[0].observations[0], first[1].observations[0])
    np.testing.assert_array_equal(data.returns(first), [len(e.actions) for e in first])


def test_an_episode_ends_when_the_pole_falls_or_time_is_up():
    env = data.make_env("CartPole-v0", max_episode_steps=12)
    left = data.play_episode(env, lambda observation: 0, np.random.default_rng(0))
    assert len(left.rewards) < 12  # fell
    upright = data.play_episode(env, lambda o: int(o[2] + o[3] > 0), np.random.default_rng(0))
    assert len(upright.rewards) == 12
    assert data.make_env("CartPole-v0").spec.max_episode_steps == 200


def test_what_has_no_cap_gets_one(monkeypatch):
    spec = gym.spec("CartPole-v1")
    gym.register("Endless-v0", spec.entry_point)
    try:
        assert data.make_env("Endless-v0").spec.max_episode_steps == data.STEP_CAP
    finally:
        del gym.registry["Endless-v0"]


@pytest.mark.parametrize(("name", "says", "hint"), [
    ("CartPol-v0", "knows no environment CartPol-v0", "CartPole-v0"),
    ("Pendulum-v1", "actions Box", "one of some actions"),
    ("FrozenLake-v1", "observations Discrete", "row of numbers"),
])
def test_environments_that_no_policy_here_can_act_in(name, says, hint):
    with pytest.raises(UserError, match=says) as error:
        data.make_env(name)
    assert hint in error.value.hint


def test_when_training_ends():
    spec = SimpleNamespace(max_episode_steps=200, reward_threshold=195.0)
    at_cap, fallen = [episode(200)] * 5, [episode(200)] * 4 + [episode(199)]
    enough, few = np.full(100, 195.0), np.full(99, 200.0)
    assert train.is_solved("batch_at_cap", spec, at_cap, few)
    assert not train.is_solved("batch_at_cap", spec, fallen, enough)
    assert train.is_solved("mean_of_100", spec, fallen, enough)
    assert not train.is_solved("mean_of_100", spec, at_cap, few)
    assert not train.is_solved("mean_of_100", spec, at_cap, enough - 0.1)
    assert not train.is_solved("never", spec, at_cap, enough)
    nothing = SimpleNamespace(max_episode_steps=200, reward_threshold=None)
    assert not train.is_solved("mean_of_100", nothing, at_cap, enough)


@pytest.mark.slow
def test_the_demo_solves_cartpole(capsys):
    assert train.main(["--name", "demo"]) == 0
    assert "solved after" in capsys.readouterr().out
    assert evaluation.main(["--name", "demo"]) == 0
    scores = rundir.read_json(rundir.runs_dir() / train.CHAPTER / "demo" / "eval.json")["metrics"]
    assert scores["greedy"]["mean_return"] >= 195 and scores["sampled"]["mean_return"] >= 185
    assert scores["training"]["solved"] == 1 and scores["training"]["episodes"] % 5 == 0
    assert scores["training"]["env_steps"] < 200 * scores["training"]["episodes"]
    assert train.main(["--name", "demo", "--max_steps", "5000"]) == 2
    assert "has reached --stop mean_of_100" in capsys.readouterr().err


@pytest.fixture
def run():
    assert train.main(["--name", "run", "--max_steps", "2", "--max_episode_steps", "20"]) == 0


def test_a_video_shows_each_step(run, tmp_path, capsys):
    video = tmp_path / "pole.mp4"
    assert play.main(["--record", str(video), "--num_episodes", "2", "--sample"]) == 0
    steps = sum(int(line.split()[2]) for line in capsys.readouterr().out.splitlines()
                if line.startswith("episode"))
    reader = cv2.VideoCapture(str(video))
    frames = 0
    while reader.read()[0]:
        frames += 1
    assert frames == steps > 0
    assert list(tmp_path.glob("*.part*")) == []


def test_what_cannot_be_shown(run, tmp_path, monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for argv, says in ((["--display"], "no screen"),
                       (["--display", "--record", "a.mp4"], "both"),
                       (["--record", str(tmp_path / "absent" / "a.mp4")], "cannot write a video"),
                       (["--record", str(tmp_path / "a.gif")], "cannot write a video")):
        capsys.readouterr()
        assert play.main(argv) == 2
        printed = capsys.readouterr()
        assert says in printed.err and "episode" not in printed.out
