"""Chapter 21: REINFORCE, its critic, PPO, episodes, rollouts, stopping criteria, videos."""

import re
from functools import partial
from types import SimpleNamespace

import cv2
import gymnasium as gym
import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from chapter21_policy_gradient import (
    actor_critic,
    baseline,
    data,
    export,
    play,
    train,
    train_ppo,
)
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
from chapter21_policy_gradient.normalization import Moments, Normalizer
from chapter21_policy_gradient.rollout import Actors
from common import files, rundir
from common.errors import UserError
from common.monitor import read_curve

CHAPTER = "chapter21_policy_gradient"
GAME = "ALE/Breakout-v5"


def make_env(name: str, *argv: str, by_ppo: bool = False) -> gym.Env:
    parser = data.build_parser()
    return data.make_env(parser.parse_args(["--env_name", name, *argv]), by_ppo=by_ppo)


def test_the_books_network():
    policy = build_policy(4, 2)
    assert policy.count_params() == 50
    observations = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    right = tf.sigmoid(policy(observations))[:, 0]
    probabilities = tf.nn.softmax(action_logits(policy, observations))
    np.testing.assert_allclose(probabilities[:, 1], right, rtol=1e-6)


@pytest.mark.parametrize("num_actions", [2, 5])
def test_numpy_computes_the_networks_logits(num_actions):
    policy = build_policy(6, num_actions, hidden_size=8, seed=3)
    observations = np.random.default_rng(1).normal(size=(9, 6)).astype(np.float32)
    found = [logits_in_numpy(policy.get_weights(), observation) for observation in observations]
    np.testing.assert_allclose(found, action_logits(policy, observations), atol=1e-6)


def test_discounted_returns():
    np.testing.assert_allclose(discounted_returns(np.array([1.0, 0.0, 2.0]), 0.5), [1.5, 1, 2])
    returns = discounted_returns(np.ones(200), 0.99)
    np.testing.assert_allclose(returns[0], (1 - 0.99**200) / 0.01)


def test_normalizing_is_not_floor_division():
    """The original's `//` gives integers whose mean is about -0.5."""
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


def test_a_probability_of_zero_gives_no_nan():
    logits = tf.Variable([[0.0, 1000.0]])
    with tf.GradientTape() as tape:
        loss = policy_gradient_loss(logits, np.array([0]), np.float32([1.0]))
    assert float(loss) == 1000
    np.testing.assert_array_equal(tape.gradient(loss, logits), [[-1, 1]])


def episode(steps: int) -> data.Episode:
    return data.Episode(np.zeros((steps, 4), np.float32), np.zeros(steps, np.int64), np.ones(steps),
                        np.ones(4, np.float32), terminated=False)


def test_action_weights():
    """Each episode has the same weight; over the batch, a short episode has negative weights."""
    episodes = [episode(4), episode(40)]
    alone = train.action_weights(episodes, 0.99, "episode")
    np.testing.assert_allclose([alone[:4].sum(), alone[4:].sum()], 0, atol=1e-6)
    np.testing.assert_allclose(np.sum(alone[:4] ** 2) * 4 * 4, 1, rtol=1e-5)
    together = train.action_weights(episodes, 0.99, "batch")
    assert (together[:4] < 0).all() and abs(together.sum()) < 1e-6 and together.shape == (44,)


def test_sampling_follows_the_probabilities():
    weights = build_policy(4, 3, seed=1).get_weights()
    observation = np.float32([1, -2, 0.5, 3])
    rng = np.random.default_rng(0)
    choose = sampling(weights, rng)
    counts = np.bincount([choose(observation) for _ in range(4000)], minlength=3)
    expected = tf.nn.softmax(logits_in_numpy(weights, observation)).numpy()
    np.testing.assert_allclose(counts / 4000, expected, atol=0.03)
    assert greedy(weights, rng)(observation) == expected.argmax()


def test_episodes_are_a_function_of_their_key():
    env = make_env("CartPole-v0")
    act = partial(sampling, build_policy(4, 2).get_weights())
    first, again, other = (data.play_episodes(env, act, 3, 5, key) for key in (1, 1, 2))
    for one, two in zip(first, again, strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)
        assert one.terminated and not np.array_equal(one.last_observation, one.observations[-1])
    assert not np.array_equal(first[0].observations[0], other[0].observations[0])
    assert not np.array_equal(first[0].observations[0], first[1].observations[0])
    lengths = [len(episode.actions) for episode in first]
    np.testing.assert_array_equal(data.returns(first), lengths)
    np.testing.assert_array_equal(data.play_returns(env, act, 3, 5, 1), lengths)


def test_an_episode_ends_by_termination_or_truncation():
    env = make_env("CartPole-v0", "--max_episode_steps", "12")
    left = data.play_episode(env, lambda observation: 0, np.random.default_rng(0))
    assert len(left.rewards) < 12  # fell
    upright = data.play_episode(env, lambda o: int(o[2] + o[3] > 0), np.random.default_rng(0))
    assert len(upright.rewards) == 12
    assert left.terminated and not upright.terminated
    assert make_env("CartPole-v0").spec.max_episode_steps == 200


@pytest.mark.parametrize(("name", "says", "hint"), [
    ("CartPol-v0", "knows no environment CartPol-v0", "CartPole-v0"),
    ("Pendulum-v1", "actions Box", "python train_ppo.py --env_name Pendulum-v1"),
    ("FrozenLake-v1", "observations Discrete", "observations Box(n,)"),
])
def test_environments_that_do_not_fit_are_refused(name, says, hint):
    with pytest.raises(UserError, match=says) as error:
        make_env(name)
    assert hint in error.value.hint


def test_actions_without_bounds_are_refused_before_anything_is_written(mine, tmp_path, capsys):
    argv = ["--env_name", f"{mine}:Push-v0", "--name", "own"]
    assert train_ppo.main(argv) == 2
    error = capsys.readouterr().err
    assert "mine:Push-v0 has actions without bounds, Box(-inf, inf, (1,), float64)" in error
    assert "hint: give its action_space finite bounds" in error
    assert not (tmp_path / CHAPTER).exists()
    assert train.main(argv) == 2
    assert "python train_ppo.py --env_name mine:Push-v0" in capsys.readouterr().err


@pytest.mark.parametrize(("script", "name", "argv"), [
    (train, "Row-v0", ["dtype=int64,size=2", "--batch_size", "2", "--max_episode_steps", "9"]),
    (train_ppo, "Push-v0", ["bound=2", "--num_envs", "2", "--num_steps", "8",
                            "--minibatch_size", "8"]),
])
def test_an_environment_of_ones_own(mine, script, name, argv, capsys):
    argv = ["--env_name", f"{mine}:{name}", "--name", "own", "--env_kwargs", *argv]
    assert script.main([*argv, "--max_steps", "2", "--log_every", "1"]) == 0
    assert script.main(["--name", "own", "--max_steps", "3"]) == 0
    run = rundir.runs_dir() / CHAPTER / "own"
    assert files.read_json(run / "config.json")["flags"]["env_kwargs"] == argv[5]
    assert evaluation.main([]) == 0
    assert files.read_json(run / "eval.json")["dataset"] == f"mine-{name}"
    assert export.main([]) == 0
    assert play.main(["--num_episodes", "1", "--sample"]) == 0
    assert script.main(["--name", "own", "--env_kwargs", "size=7"]) == 2
    assert "--env_kwargs size=7 contradicts" in capsys.readouterr().err


def test_stopping_criteria():
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
    scores = files.read_json(rundir.runs_dir() / CHAPTER / "demo" / "eval.json")["metrics"]
    assert scores["greedy"]["mean_return"] >= 195 and scores["sampled"]["mean_return"] >= 185
    assert scores["training"]["solved"] == 1 and scores["training"]["episodes"] % 5 == 0
    assert scores["training"]["env_steps"] < 200 * scores["training"]["episodes"]
    assert train.main(["--name", "demo", "--max_steps", "5000"]) == 2
    assert "has reached --stop mean_of_100" in capsys.readouterr().err


@pytest.fixture
def run():
    assert train.main(["--name", "run", "--max_steps", "2", "--max_episode_steps", "20"]) == 0


def test_a_video_has_one_frame_per_step(run, tmp_path, capsys):
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


def test_an_invalid_video_path_is_refused_before_any_episode(run, tmp_path, capsys):
    assert play.main(["--record", str(tmp_path / "absent" / "a.mp4")]) == 2
    printed = capsys.readouterr()
    assert "cannot write a video" in printed.err and "episode" not in printed.out


BUTTONS = gym.spaces.Discrete(3)
LEVERS = gym.spaces.Box(np.float32([-0.5, 0]), np.float32([0.5, 0.25]))


def slow_advantages(rewards, values, next_values, terminated, ended, discount, gae_lambda):
    """The definition: for each step a sum of TD errors up to the end of its episode."""
    found = []
    for t in range(len(rewards)):
        total, weight = 0.0, 1.0
        for k in range(t, len(rewards)):
            after = 0.0 if terminated[k] else next_values[k]
            total += weight * (rewards[k] + discount * after - values[k])
            weight *= discount * gae_lambda
            if ended[k]:
                break
        found.append(total)
    return found


def test_advantages_equal_their_definition():
    rng = np.random.default_rng(0)
    rewards, values, next_values = rng.normal(size=(3, 40, 2))
    terminated = rng.random((40, 2)) < 0.1
    ended = terminated | (rng.random((40, 2)) < 0.1)
    assert terminated.any() and (ended & ~terminated).any()
    found = actor_critic.estimate_advantages(rewards, values, next_values, terminated, ended, 0.9,
                                             0.8)
    for env in range(2):
        arrays = (a[:, env] for a in (rewards, values, next_values, terminated, ended))
        np.testing.assert_allclose(found[:, env], slow_advantages(*arrays, 0.9, 0.8))


def test_only_a_truncated_episode_has_a_next_value():
    arrays = np.array([1.0]), np.array([3.0]), np.array([10.0])
    ended = np.array([True])
    terminated = actor_critic.estimate_advantages(*arrays, np.array([True]), ended, 0.5, 0.9)
    truncated = actor_critic.estimate_advantages(*arrays, np.array([False]), ended, 0.5, 0.9)
    assert terminated == [1 - 3] and truncated == [1 + 0.5 * 10 - 3]


def test_the_critic_of_reinforce():
    """With λ = 1, the targets are the discounted returns, plus the value after a truncation."""
    critic = actor_critic.build_critic(4, 8, seed=0)
    weights = critic.get_weights()
    cut = episode(5)
    found, targets = baseline.episode_advantages(cut, weights, 0.9, 1.0)
    last = float(critic(cut.last_observation[None])[0, 0])
    expected = discounted_returns(np.array([1, 1, 1, 1, 1 + 0.9 * last]), 0.9)
    np.testing.assert_allclose(targets, expected, rtol=1e-5)
    value = float(critic(cut.observations[:1])[0, 0])
    np.testing.assert_allclose(found, expected - value, rtol=1e-5)
    _, targets = baseline.episode_advantages(cut._replace(terminated=True), weights, 0.9, 1.0)
    np.testing.assert_allclose(targets, discounted_returns(np.ones(5), 0.9), rtol=1e-5)


def test_the_critic_of_reinforce_learns():
    args = SimpleNamespace(discount=0.9, gae_lambda=1.0, update_epochs=50, learning_rate=0.01,
                           seed=0)
    critic, _, weigh = baseline.make_value_baseline(4, args)
    over = episode(5)._replace(terminated=True)
    for _ in range(10):
        weights = weigh([over, over])
    assert weights.shape == (10,) and weights.dtype == np.float32
    np.testing.assert_allclose([weights.sum(), np.sum(weights**2) * 10], [0, 1], atol=1e-5)
    mean = discounted_returns(np.ones(5), 0.9).mean()  # all observations are alike
    np.testing.assert_allclose(critic(over.observations[:1]), [[mean]], rtol=0.01)


def test_log_probabilities_and_entropies():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5, 3)).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    actions = np.array([0, 2, 1, 1, 0])
    np.testing.assert_allclose(
        actor_critic.log_probability(tf.constant(logits), tf.constant(actions)),
        np.log(p[range(5), actions]), rtol=1e-5)
    np.testing.assert_allclose(actor_critic.entropy(tf.constant(logits), discrete=True),
                               scipy.stats.entropy(p, axis=1), rtol=1e-5)
    means, logs, actions = rng.normal(size=(3, 5, 2)).astype(np.float32)
    outputs, normal = tf.concat([means, logs], axis=1), scipy.stats.norm(means, np.exp(logs))
    np.testing.assert_allclose(actor_critic.log_probability(outputs, tf.constant(actions)),
                               normal.logpdf(actions).sum(axis=1), rtol=1e-4)
    np.testing.assert_allclose(actor_critic.entropy(outputs, discrete=False),
                               normal.entropy().sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("space", [BUTTONS, LEVERS], ids=["discrete", "box"])
def test_numpy_computes_the_actors_outputs(space):
    actor = actor_critic.build_actor(4, space, hidden_size=8, seed=3)
    actor.set_weights([weight + 0.3 for weight in actor.get_weights()])
    observations = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    outputs = actor(observations).numpy()
    forward = actor_critic.forward(actor)
    np.testing.assert_allclose(forward(observations), outputs, atol=1e-6)
    greedy_actions = [actor_critic.choosing(forward, space)(o) for o in observations]
    exported = export.answer(actor, space, True, observations)
    np.testing.assert_allclose(greedy_actions, exported["actions"], atol=1e-6)
    if space is LEVERS:
        np.testing.assert_allclose(outputs[:, 2:], 0.3, rtol=1e-6)
        np.testing.assert_allclose(exported["deviations"], np.exp(0.3) * np.ones((6, 2)), rtol=1e-6)
        assert (np.abs(outputs[:, :2]) > 0.5).any()
        assert all(LEVERS.contains(action) for action in greedy_actions)


def test_samples_follow_the_policy():
    rng, observations = np.random.default_rng(0), np.tile(np.float32([1, -2, 0.5, 3]), (4000, 1))
    for space in (BUTTONS, LEVERS):
        actor = actor_critic.build_actor(4, space, 8, seed=1)
        actor.set_weights([weight + 0.3 for weight in actor.get_weights()])
        noise = actor_critic.make_noise(rng, (4000,), space)
        drawn = actor_critic.draw(actor_critic.forward(actor)(observations), noise, space)
        (outputs,) = actor(observations[:1]).numpy()
        if space is BUTTONS:
            np.testing.assert_allclose(np.bincount(drawn, minlength=3) / 4000,
                                       tf.nn.softmax(outputs), atol=0.03)
        else:
            np.testing.assert_allclose(drawn.mean(axis=0), outputs[:2], atol=0.08)
            np.testing.assert_allclose(drawn.std(axis=0), np.exp(outputs[2:]), rtol=0.05)


def test_the_clipped_loss_and_where_its_gradient_is_zero():
    """Positive and negative advantages, each on both sides of the clip range."""
    log_p = tf.Variable(np.log(np.float32([1.5, 0.5, 0.5, 1.5])))
    advantages = np.float32([2.0, 2.0, -1.0, -1.0])
    with tf.GradientTape() as tape:
        loss = train_ppo.clipped_loss(log_p, tf.zeros(4), advantages, 0.2)
    np.testing.assert_allclose(loss, -(1.2 * 2 + 0.5 * 2 - 0.8 - 1.5) / 4, rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(loss, log_p),
                               [0, -0.5 * 2 / 4, 0, 1.5 / 4], rtol=1e-6)


def test_an_epoch_takes_each_row_once():
    rows = train_ppo.draw_minibatches(np.random.default_rng(0), 12, 4, 3)
    assert rows.shape == (9, 4) and rows.dtype == np.int32
    epochs = rows.reshape(3, 12)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(12), (3, 1)))
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.parametrize("space", [BUTTONS, LEVERS], ids=["discrete", "box"])
def test_an_update(space):
    """In the first step all ratios are 1; after several steps every weight has changed."""
    rng = np.random.default_rng(0)
    policy = actor_critic.build_actor(4, space, 8, seed=0)
    critic = actor_critic.build_critic(4, 8, seed=0)
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build([*policy.trainable_variables, *critic.trainable_variables])
    update = train_ppo.make_update(policy, critic, optimizer, 0.0)
    observations = rng.normal(size=(8, 4)).astype(np.float32)
    actions = np.array([space.sample() for _ in range(8)])
    advantages = rng.normal(size=8).astype(np.float32)
    targets = rng.normal(size=8).astype(np.float32)
    before = [*policy.get_weights(), *critic.get_weights()]
    errors = critic(observations)[:, 0] - targets
    rows = np.arange(8, dtype=np.int32)[None]
    *once, used = update(observations, actions, advantages, targets, rows, tf.constant(0.2)).numpy()
    once = dict(zip(train_ppo.METRICS, once, strict=True))
    np.testing.assert_allclose(once["policy_loss"], 0, atol=1e-6)  # advantages have mean 0
    np.testing.assert_allclose(once["value_loss"], np.mean(errors**2), rtol=1e-5)
    assert once["approximate_kl"] == once["clip_fraction"] == 0
    assert used == 1
    *later, used = update(observations, actions, advantages, targets, np.tile(rows, (20, 1)),
                          tf.constant(0.2)).numpy()
    assert used == 20
    later = dict(zip(train_ppo.METRICS, later, strict=True))
    assert later["policy_loss"] < 0 and later["value_loss"] < once["value_loss"]
    assert later["approximate_kl"] > 0 and 0 < later["clip_fraction"] < 1
    after = [*policy.get_weights(), *critic.get_weights()]
    assert all((a != b).any() for a, b in zip(before, after, strict=True))


def test_the_entropy_bonus_flattens_the_policy():
    """With advantages of 0 and a perfect critic nothing else moves it."""
    observations = np.float32(np.random.default_rng(0).normal(size=(8, 4)))
    entropies = []
    for coefficient in (0.0, 0.1):
        policy, critic = (build(4, *rest, 8, seed=0) for build, *rest in
                          ((actor_critic.build_actor, BUTTONS), (actor_critic.build_critic,)))
        policy.layers[-1].kernel.assign(300 * policy.layers[-1].kernel)  # far from flat
        optimizer = keras.optimizers.Adam(0.01)
        optimizer.build([*policy.trainable_variables, *critic.trainable_variables])
        train_ppo.make_update(policy, critic, optimizer, coefficient)(
            observations, np.zeros(8, np.int64), np.zeros(8, np.float32),
            critic(observations)[:, 0], np.int32(np.arange(8))[None].repeat(20, axis=0),
            tf.constant(0.2))
        entropies.append(float(tf.reduce_mean(
            actor_critic.entropy(policy(observations), discrete=True))))
    assert entropies[1] > entropies[0] + 0.05


def test_rate_and_clip_range_fall_linearly_and_rewards_are_clipped(monkeypatch):
    clips, rewards = [], []
    args = train_ppo.build_parser().parse_args(
        ["--env_name", "Pendulum-v1", "--num_envs", "3", "--num_steps", "4", "--minibatch_size",
         "12", "--anneal_steps", "4", "--clip_rewards", "--clip", "0.2", "--learning_rate", "0.01"])
    actors, _ = make_actors("Pendulum-v1", 10)
    policy, critic = actor_critic.build_networks(actors.envs[0], 8, seed=0)
    optimizer = train_ppo.make_optimizer(policy, critic, args.learning_rate)

    def make_update(*rest):
        def update(*data):
            clips.append(float(data[-1]))
            return tf.zeros(len(train_ppo.METRICS) + 1)
        return update

    def estimate(rollout, *rest):
        rewards.append(rollout.rewards)
        return np.zeros((4, 3)), np.zeros((4, 3))

    monkeypatch.setattr(train_ppo, "make_update", make_update)
    monkeypatch.setattr(train_ppo, "estimate", estimate)
    learn = train_ppo.make_learner(actors, Normalizer((), 3, 0.9), policy, critic, optimizer, args)
    rates = [learn(step)["learning_rate"] for step in (1, 2, 3, 4)]
    assert rates == pytest.approx([0.01, 0.0075, 0.005, 0.0025])
    assert clips == pytest.approx([0.2, 0.15, 0.1, 0.05])
    assert np.unique(rewards).tolist() == [-1]  # those of the pendulum are negative


def make_actors(name: str, cap: int) -> tuple[Actors, actor_critic.Outputs]:
    envs = [make_env(name, "--max_episode_steps", str(cap), by_ppo=True) for _ in range(3)]
    policy, _ = actor_critic.build_networks(envs[0], 8, seed=0)
    return Actors(envs, 7, data.TRAINING), actor_critic.forward(policy)


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])
def test_actors_are_restored_in_the_middle_of_episodes(name):
    actors, policy = make_actors(name, 13)
    actors.collect(policy, 30, np.random.default_rng(0))
    saved = actors.serialize()
    again, _ = make_actors(name, 13)
    again.deserialize(saved)
    assert again.serialize() == saved and len(actors.recent) > 3
    assert any(actors.actions)  # in the middle of an episode
    (one, returns), (two, same) = (some.collect(policy, 30, np.random.default_rng(1))
                                   for some in (actors, again))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert returns == same and actors.serialize() == again.serialize()


def test_a_rollout_distinguishes_termination_from_truncation():
    actors, policy = make_actors("CartPole-v1", 15)
    rollout, returns = actors.collect(policy, 60, np.random.default_rng(0))
    cut = rollout.ended & ~rollout.terminated
    assert rollout.terminated.any() and cut.any() and rollout.ended[rollout.terminated].all()
    fell = np.abs(rollout.next_observations[..., 2]) > 12 * np.pi / 180  # the pole
    np.testing.assert_array_equal(rollout.terminated, fell)
    here, there = rollout.observations[1:], rollout.next_observations[:-1]
    on = ~rollout.ended[:-1]
    np.testing.assert_array_equal(here[on], there[on])
    assert (np.abs(here[~on]) <= 0.05).all()  # each new episode starts upright
    assert len(returns) == rollout.ended.sum() and max(returns) == 15


def test_actions_are_clipped_for_the_environment_only():
    actors, policy = make_actors("Pendulum-v1", 200)
    rollout, _ = actors.collect(policy, 100, np.random.default_rng(0))
    assert rollout.actions.dtype == np.float32 and np.abs(rollout.actions).max() > 2
    assert np.abs(actors.actions).max() == 2


def test_the_networks_of_a_game_share_their_layers():
    env = make_env(GAME, by_ppo=True)
    policy, critic = actor_critic.build_networks(env, 16, seed=0)
    frames = np.stack([env.reset(seed=seed)[0] for seed in range(6)])
    assert frames.shape == (6, 4, 80, 80) and frames.dtype == np.uint8
    logits, values = actor_critic.make_both(policy, critic)(frames, training=False)
    np.testing.assert_allclose(logits, policy(frames), atol=1e-6)
    np.testing.assert_allclose(values, critic(frames), atol=1e-6)
    found = actor_critic.forward(policy)(frames.reshape(2, 3, 4, 80, 80))
    np.testing.assert_allclose(found.reshape(6, -1), logits, atol=1e-5)
    np.testing.assert_allclose(actor_critic.forward(policy)(frames[0]), logits[0], atol=1e-5)
    # Three convolutions, a hidden layer, four logits and a value, each with biases.
    layers = (256 * 32, 512 * 64, 576 * 64, 2304 * 16, 16 * 4, 16), (32, 64, 64, 16, 4, 1)
    variables = actor_critic.all_variables(policy, critic)
    assert sum(np.size(variable) for variable in variables) == sum(map(sum, layers))


def test_a_lost_life_ends_returns_but_not_the_game():
    envs = [make_env(GAME, by_ppo=True) for _ in range(2)]
    actors, again = Actors(envs, 7), Actors([make_env(GAME, by_ppo=True) for _ in envs], 7)

    def serve(frames):  # again and again, without moving
        return np.tile(np.float32([0, 9, 0, 0]), (len(frames), 1))

    rollout, returns = actors.collect(serve, 60, np.random.default_rng(0))
    lost = rollout.terminated
    assert lost.any() and not returns and actors.episodes == [0, 0]
    np.testing.assert_array_equal(rollout.ended, lost)
    np.testing.assert_array_equal(rollout.observations[1:], rollout.next_observations[:-1])
    again.deserialize(actors.serialize())
    np.testing.assert_array_equal(again.observations, actors.observations)
    assert again.scores == actors.scores


def test_moments_of_batches_are_those_of_all_numbers():
    numbers = np.random.default_rng(0).normal(3, 5, (90, 2))
    moments = Moments((2,))
    np.testing.assert_array_equal(moments.deviation, [1, 1])
    for batch in np.split(numbers, [20, 21, 70]):
        moments.update(batch)
    np.testing.assert_allclose(moments.mean, numbers.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.deviation, numbers.std(axis=0), rtol=1e-8)


def test_rewards_are_divided_by_the_deviation_of_discounted_returns():
    """Of two environments; an episode of the first ends after its second step."""
    normalizer = Normalizer((1,), 2, 0.5)
    rewards = np.array([[4.0, 0], [2, 8], [6, 80]])
    ended = np.array([[False, False], [True, False], [False, False]])
    returns = [4, 0, 2 + 2, 8, 6, 80 + 4]
    np.testing.assert_allclose(normalizer.scale(rewards, ended),
                               np.clip(rewards / np.std(returns), -10, 10), rtol=1e-6)
    np.testing.assert_array_equal(normalizer.running, [6, 84])
    again = Normalizer((1,), 2, 0.5)
    again.deserialize(normalizer.serialize())
    assert again.serialize() == normalizer.serialize()
    np.testing.assert_array_equal(again.scale(rewards, ended), normalizer.scale(rewards, ended))


@pytest.mark.parametrize("space", [BUTTONS, LEVERS], ids=["discrete", "box"])
def test_a_standardizing_network(space):
    """It sees (x − mean) / deviation, in TensorFlow and in NumPy."""
    actor = actor_critic.build_actor(4, space, 8, seed=3, standardize=True)
    plain = actor_critic.build_actor(4, space, 8, seed=3)
    mean, deviation = np.float32([1, 2, 3, 4]), np.float32([0.5, 2, 1, 0.01])
    actor.layers[0].mean.assign(mean)
    actor.layers[0].deviation.assign(deviation)
    observations = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    seen = np.clip((observations - mean) / deviation, -10, 10)
    assert (np.abs(seen) == 10).any() and len(actor.trainable_variables) == len(
        plain.trainable_variables)
    np.testing.assert_allclose(actor(observations), plain(seen), atol=1e-6)
    np.testing.assert_allclose(actor_critic.forward(actor)(observations), plain(seen), atol=1e-6)


def test_an_update_ends_where_the_policy_has_moved_too_far():
    """All optimizer steps before do the same as without a limit."""
    rng = np.random.default_rng(0)
    observations, advantages = (np.float32(rng.normal(size=shape)) for shape in ((8, 4), 8))
    actions, rows = np.array([BUTTONS.sample() for _ in range(8)]), np.int32(np.arange(8))[None]

    def weights(target_kl, passes):
        policy = actor_critic.build_actor(4, BUTTONS, 8, seed=0)
        critic = actor_critic.build_critic(4, 8, seed=0)
        optimizer = keras.optimizers.Adam(0.01)
        optimizer.build([*policy.trainable_variables, *critic.trainable_variables])
        update = train_ppo.make_update(policy, critic, optimizer, 0.0, target_kl)
        *means, used = update(observations, actions, advantages, advantages,
                              np.tile(rows, (passes, 1)), tf.constant(0.2)).numpy()
        return policy.get_weights(), dict(zip(train_ppo.METRICS, means, strict=True)), int(used)

    limited, metrics, used = weights(0.004, 30)
    assert 1 < used < 30 and metrics["approximate_kl"] < 1.5 * 0.004
    free, _, all_used = weights(None, used)
    assert all_used == used
    for a, b in zip(limited, free, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert weights(None, 30)[2] == 30


def test_the_best_weights_are_kept():
    argv = ["--name", "kept", *PPO, "--max_steps", "4", "--eval_every", "1"]
    assert train_ppo.main(argv) == 0
    run = rundir.runs_dir() / CHAPTER / "kept"
    steps, returns = read_curve(run, "val", "episodic_return")
    (best,) = (run / "checkpoints" / "best").glob("*.index")
    assert best.stem == f"ckpt-{steps[np.argmax(returns)]}"
    assert evaluation.main(["--name", "kept", "--checkpoint", "best"]) == 0


PPO = ("--hidden_size", "8", "--num_envs", "2", "--num_steps", "8", "--minibatch_size", "8",
       "--update_epochs", "2", "--anneal_steps", "9")
CRITIC = ("--preset", "best", "--baseline", "value", "--batch_size", "2", "--update_epochs", "3",
          "--max_episode_steps", "20")


FRAMES = ("--preset", "breakout", *PPO)
NORMALIZED = (*PPO, "--normalize_observations", "--normalize_rewards", "--target_kl", "0.01")


@pytest.mark.parametrize(("script", "flags"), [(train_ppo, PPO), (train_ppo, NORMALIZED),
                                               (train_ppo, FRAMES), (train, CRITIC)],
                         ids=["ppo", "normalized", "game", "critic"])
def test_a_resumed_run_equals_an_uninterrupted_one(script, flags):
    assert script.main(["--name", "whole", *flags, "--max_steps", "5"]) == 0
    assert script.main(["--name", "parts", *flags, "--max_steps", "3"]) == 0
    assert script.main(["--name", "parts", "--max_steps", "5"]) == 0
    a, b = (tf.train.load_checkpoint(str(rundir.runs_dir() / CHAPTER / name / "checkpoints"))
            for name in ("whole", "parts"))
    names = [name for name in a.get_variable_to_shape_map()
             if re.match("policy|critic|actors|normalizer|adam|env_steps|window", name)]
    assert len(names) > 12
    for name in names:
        np.testing.assert_array_equal(a.get_tensor(name), b.get_tensor(name))


@pytest.mark.parametrize(("script", "argv", "says"), [
    (train_ppo, (*PPO, "--num_steps", "10"), "--minibatch_size 8 does not divide the 20 steps"),
    (train_ppo, (*PPO, "--max_steps", "10"), "--max_steps 10 exceeds --anneal_steps 9"),
    (train_ppo, (*FRAMES, "--normalize_observations"),
     "--normalize_observations does not apply to the frames of ALE/Breakout-v5"),
    (train_ppo, ("--env_name", GAME), "the settings of CartPole-v1, which do not fit"),
    (train_ppo, ("--preset", "breakout", "--env_name", "CartPole-v1"), "do not fit CartPole-v1"),
    (train, ("--env_name", GAME), "is an Atari game, and REINFORCE's network takes vectors"),
    (train_ppo, ("--stop", "never"), "unrecognized arguments: --stop never"),
    (train, ("--clip", "0.1"), "unrecognized arguments: --clip 0.1"),
    (train, ("--gae_lambda", "0.5"), "--gae_lambda 0.5 has no effect with --baseline none"),
    (train, ("--baseline", "value", "--normalize_over", "batch"),
     "--normalize_over batch has no effect with --baseline value"),
])
def test_contradicting_flags_are_refused(script, argv, says, capsys):
    assert script.main(["--max_steps", "5", *argv]) == 2
    error, hint = capsys.readouterr().err.strip().splitlines()[-2:]
    assert says in error and hint.startswith("hint: ")
    assert not (rundir.runs_dir() / CHAPTER).exists()


def test_a_run_is_resumed_by_the_script_that_trained_it(capsys):
    argv = ["--name", "run", "--max_steps", "1", "--max_episode_steps", "20"]
    assert train_ppo.main([*argv, *PPO]) == 0
    config = rundir.read_config(rundir.runs_dir() / CHAPTER / "run", CHAPTER)
    assert config["flags"]["algorithm"] == "ppo"
    assert train.main(["--name", "run", "--max_steps", "2"]) == 2
    error, hint = capsys.readouterr().err.strip().splitlines()[-2:]
    assert "was made by train_ppo.py, not by train.py" in error
    assert hint.startswith("hint: python train_ppo.py --run_dir ")


def test_result_names_contain_the_algorithm(monkeypatch, tmp_path):
    monkeypatch.setattr(evaluation.results, "RESULTS", tmp_path)
    argv = ["--max_steps", "1", "--max_episode_steps", "20"]
    for script, name in ((train_ppo, "CartPole-v1-ppo"), (train, "CartPole-v0-demo")):
        assert script.main([*argv, "--name", script.__name__.split(".")[1]]) == 0
        assert evaluation.main(["--num_episodes", "1", "--publish", "tiny"]) == 0
        assert (tmp_path / CHAPTER / f"{name}-tiny-seed0.json").exists()


@pytest.mark.slow
def test_ppo_learns_cartpole():
    assert train_ppo.main(["--max_steps", "80", "--name", "run"]) == 0
    assert evaluation.main(["--name", "run"]) == 0
    run = rundir.runs_dir() / CHAPTER / "run"
    scores = files.read_json(run / "eval.json")["metrics"]
    assert scores["training"]["env_steps"] == 80 * 8 * 32
    assert scores["chance"]["mean_return"] < 40 and scores["greedy"]["mean_return"] > 100
