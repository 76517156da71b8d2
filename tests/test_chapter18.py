"""Chapter 18: the rules of the maze, the update rules, the book's episodes, value iteration."""

import argparse
import io
import itertools
import json

import gymnasium as gym
import numpy as np
import pytest
import tensorflow as tf
from gymnasium.utils.env_checker import check_env
from helpers import state_of

from chapter18_q_learning import (
    animation,
    draw,
    env,
    episodes,
    eval,
    export,
    inference,
    planning,
    train,
)
from chapter18_q_learning.model import QTable, choose_action
from common import files, rundir

CHAPTER = "chapter18_q_learning"
UP, DOWN, LEFT, RIGHT = range(4)


class Draws:
    """A random number generator that returns given numbers, and fails when they run out."""

    def __init__(self, uniform=(), integers=()):
        self.uniform, self.integers = iter(uniform), iter(integers)

    def random_sample(self):
        return next(self.uniform)

    def randint(self, high):
        number = next(self.integers)
        assert number < high
        return number

    def choice(self, values):
        return values[self.randint(len(values))]


def flags(*argv):
    return train.build_parser().parse_args(list(argv))


def play(args, num_episodes=None, algorithm=train.q_learning, num_tables=1):
    """Trains with `--seed`; returns the maze, the tables, and the log of all episodes."""
    maze, rng, log = env.make_env(args), np.random.RandomState(args.seed), []
    shape = num_tables, maze.observation_space.n, 4
    tables = np.full(shape, args.initial_value).tolist()
    for _ in range(num_episodes or args.max_steps):
        algorithm(maze, tables, rng, args)
        log.append(inference.outcome(maze))
    return maze, tables, log


def walk(maze, *actions):
    maze.reset()
    return [maze.step(action) for action in actions]


# The environment


@pytest.mark.parametrize("render_mode", [None, "ansi", "rgb_array"])
@pytest.mark.parametrize("name", env.MAPS)
@pytest.mark.filterwarnings("error")
def test_the_maze_passes_gymnasiums_environment_checker(name, render_mode):
    maze = gym.make("Maze-v0", layout=name, render_mode=render_mode)
    assert maze.spec.id == "Maze-v0"
    check_env(maze.unwrapped, skip_render_check=render_mode is None)


def test_the_states_and_rules_of_the_books_maze():
    maze = env.make_env(flags())
    assert maze.reset(seed=3) == (10, {})  # row 1, column 1 of 9
    assert maze.observation_space == gym.spaces.Discrete(45)
    assert maze.action_space == gym.spaces.Discrete(4)
    # Actions into the wall above and to the left leave the agent where it is.
    assert [s[:2] for s in walk(maze, UP, LEFT, RIGHT, DOWN)] == [
        (10, 0.0), (10, 0.0), (11, 0.0), (20, 0.0)]
    steps = walk(maze, DOWN, *[RIGHT] * 5)
    assert [s[0] for s in steps] == [19, 20, 21, 22, 23, 24]
    assert steps[-1] == (24, 100.0, True, False, {})
    assert maze.unwrapped.num_steps == 6 and maze.unwrapped.total_reward == 100
    assert maze.unwrapped.found


def test_an_episode_is_truncated_not_terminated_at_its_limit():
    steps = walk(env.make_env(flags("--max_episode_steps", "3")), UP, UP, UP)
    assert [s[2:4] for s in steps] == [(False, False), (False, False), (False, True)]


def test_traps_vanish_until_the_next_episode_or_stay():
    path = [RIGHT, RIGHT, LEFT, RIGHT]  # twice over the trap at row 1, column 3
    maze = env.make_env(flags("--map", "traps"))
    for _ in range(2):
        assert [s[1] for s in walk(maze, *path)] == [0, -5, 0, 0]
    maze = env.make_env(flags("--map", "traps", "--no-vanishing_traps"))
    assert [s[1] for s in walk(maze, *path)] == [0, -5, 0, -5]
    maze = env.make_env(flags("--map", "traps", "--trap_reward", "2", "--step_reward", "-1",
                              "--treasure_reward", "7"))
    assert [s[1] for s in walk(maze, *path)] == [-1, 1, -1, -1]
    assert walk(maze, DOWN, *[RIGHT] * 5)[-1][1] == 6


def test_rendering_shows_the_remaining_traps():
    maze = env.make_env(flags("--map", "traps"), "ansi")
    walk(maze, RIGHT, RIGHT, RIGHT)
    assert maze.render().splitlines() == [
        ".........", ".   A   .", ".   x o .", ".       .", "........."]
    maze = env.make_env(flags("--map", "traps"), "rgb_array")
    maze.reset()
    image = maze.render()
    assert image.shape == (5 * 24, 9 * 24, 3) and image.dtype == np.uint8
    assert (image[36, 36] == env.COLORS["A"]).all()
    assert (image[60, 108] == env.COLORS["x"]).all()


def test_a_map_needs_no_border(tmp_path):
    path = tmp_path / "open.txt"
    for encoding in ("utf-8", "utf-16-le"):  # with the line ends and byte order mark of Windows
        path.write_bytes("\ufeffA \r\n o\r\n\r\n".encode(encoding))
        maze = env.make_env(flags("--map", str(path)))
        assert [s[0] for s in walk(maze, UP, LEFT, RIGHT, RIGHT, DOWN)] == [0, 0, 1, 1, 3]


@pytest.mark.parametrize(("text", "says"), [
    ("", "is empty"),
    ("...\n.A.\n.o.\n....\n", "line 4 of the map"),
    ("A..\n.o\n", "line 2 of the map"),
    ("A?o\n", "contains '?'"),
    (".....\n.  o.\n.....\n", "has 0 starts"),
    ("AAo\n", "has 2 starts"),
    ("A  \n", "has no treasure"),
    ("A.o\n", "cannot be reached"),
])
def test_an_invalid_map_is_refused(tmp_path, capfd, text, says):
    path = tmp_path / "map.txt"
    path.write_text(text, encoding="utf-8")
    assert train.main(["--map", str(path), "--name", "bad"]) == 2
    error, hint = capfd.readouterr().err.strip().splitlines()[-2:]
    assert says in error and hint.startswith("hint: ")
    assert not (rundir.runs_dir() / CHAPTER / "bad").exists()


def test_other_invalid_flags_are_refused(tmp_path, capfd):
    def fails(*argv, says):
        assert train.main(list(argv)) == 2
        assert says in capfd.readouterr().err

    fails("--map", "swamp", says="there is no map /")
    (tmp_path / "latin.txt").write_bytes(b"A\xe9o\n")
    fails("--map", str(tmp_path / "latin.txt"), says="not UTF-8")
    fails("--map", str(tmp_path), says=f"there is no map {tmp_path}")
    fails("--render", says="needs a terminal")
    fails("--epsilon", "1.5", says="from 0 to 1")
    fails("--gamma", "1", says="with --gamma 1 the values of a maze may be infinite")
    fails("--alpha", "0", says="above 0 and at most 1")
    fails("--trap_reward", "nan", says="nan is not a number")
    fails("--algorithm", "sarsa", says="invalid choice: 'sarsa'")
    fails("--speed", "20", says="--speed 20.0 has no effect with --no-render")
    fails("--trap_reward", "-9", says="has no effect with the map plain, which has no traps")


def test_a_run_refuses_a_map_that_has_changed(tmp_path, capfd):
    path = tmp_path / "mine.txt"
    path.write_text("A o\n", encoding="utf-8")
    assert train.main(["--map", str(path), "--name", "mine", "--max_steps", "2"]) == 0
    path.write_text("A  o\n", encoding="utf-8")
    assert eval.main(["--name", "mine"]) == 2
    assert "has changed" in capfd.readouterr().err


# Learning


def test_actions_are_chosen_in_the_order_of_the_books_draws():
    assert choose_action([0, 0, 0, 0], 0.1, "first", Draws([0.5], [2])) == 2
    assert choose_action([1, 3, 3, 2], 0.1, "first", Draws([0.9])) == 1
    assert choose_action([1, 3, 3, 2], 0.1, "first", Draws([0.91], [3])) == 3
    assert choose_action([1, 3, 3, 2], 0.1, "random", Draws([0.9], [1])) == 2
    assert choose_action([1, 3, 2, 2], 0.1, "random", Draws([0.9])) == 1
    assert choose_action([0, -1, 0, -1], 0.1, "first", Draws([0.0])) == 0


def test_q_learning_updates_a_value_by_equation_6_8():
    args = flags("--map", "traps", "--max_episode_steps", "2", "--alpha", "0.5")
    maze, q = env.make_env(args), np.zeros((45, 4)).tolist()
    q[10] = [0.0, 1.0, 2.0, 8.0]
    q[11] = [0.0, 0.0, 6.0, 10.0]
    q[12] = [4.0, 1.0, 2.0, 3.0]
    train.q_learning(maze, [q], Draws([0.0, 0.0]), args)
    assert q[10] == [0, 1, 2, 8 + 0.5 * (0 + 0.9 * 10 - 8)]
    assert q[11] == [0, 0, 6, 10 + 0.5 * (-5 + 0.9 * 4 - 10)]  # truncated is not terminated
    assert q[12] == [4, 1, 2, 3]


def test_double_q_learning_updates_one_table_by_equation_6_10():
    args = flags("--map", "traps", "--max_episode_steps", "2", "--alpha", "0.5")
    for coin, moved in ((0.4, 0), (0.6, 1)):
        tables = np.zeros((2, 45, 4)).tolist()
        tables[0][10], tables[1][10] = [0, 0, 0, 8.0], [0, 0, 9.0, 4.0]  # 12 against 9: right
        tables[0][11], tables[1][11] = [0, 6.0, 0, 1.0], [0, 2.0, 0, 7.0]  # 8 against 8: down
        expected = json.loads(json.dumps(tables))
        old = tables[moved][10][3]
        # The updated table selects the action, the other evaluates it: 2 for down, 1 for right.
        expected[moved][10][3] = old + 0.5 * (0.9 * (2.0, 1.0)[moved] - old)
        old = expected[moved][11][1]
        expected[moved][11][1] = old + 0.5 * (0 - old)
        train.double_q_learning(
            env.make_env(args), tables, Draws([0.0, coin, 0.0, coin]), args)
        assert tables == expected


@pytest.mark.parametrize("algorithm", train.ALGORITHMS.values())
def test_the_treasure_is_terminal(algorithm):
    args = flags("--initial_value", "500", "--alpha", "1")
    maze, tables = env.make_env(args), np.full((2, 45, 4), 500.0).tolist()
    tables = tables[: 2 if algorithm is train.double_q_learning else 1]
    for q in tables:
        for state in range(45):
            q[state][RIGHT if state >= 19 else DOWN] = 1000.0
    algorithm(maze, tables, np.random.RandomState(0), argparse.Namespace(
        **{**vars(args), "epsilon": 0.0}))
    assert sum(q[23][RIGHT] == 100 for q in tables) == 1


def test_the_books_episodes_are_reproduced():
    """The original's episodes with seed 0 (NumPy's legacy generator)."""
    maze, tables, log = play(flags())
    lengths = [record["episode_steps"] for record in log]
    assert lengths[:10] == [17, 30, 30, 13, 13, 30, 30, 24, 30, 17]
    assert np.mean(lengths[-50:]) == 6.62
    assert sum(record["success"] for record in log) == 192
    q = np.array(tables[0])
    text = "".join(maze.unwrapped.lines)
    assert {text[cell] for cell in np.flatnonzero(q.any(axis=1))} <= {" ", "A"}
    assert not q[24].any()  # the treasure's row is never updated
    _, _, log = play(flags("--map", "traps"))
    assert np.mean([record["episode_steps"] for record in log][-50:]) == 9.24
    assert sum(record["success"] for record in log) == 174


def test_tie_breaking_makes_a_difference_only_with_traps():
    def learned(*options):
        return play(flags(*options))[1:]

    assert learned("--tie_breaking", "random") == learned()
    assert learned("--map", "traps", "--tie_breaking", "random") != learned("--map", "traps")


def test_best_finds_the_optimal_path_through_one_trap():
    args = argparse.Namespace(**{**vars(flags()), **train.PRESETS["best"]})
    for seed in range(3):
        args.seed = seed
        maze, tables, _ = play(args)
        greedy = inference.play_greedily(maze, np.array(tables[0]), args.gamma)
        assert greedy == {"discounted_return": pytest.approx(55.404, abs=5e-4), "return": 95,
                          "episode_steps": 6, "success": 1}


def test_the_generators_state_is_restored():
    rng = np.random.RandomState(7)
    rng.random_sample(1001)
    other = episodes.generator_with(episodes.state_of(rng))
    assert (rng.randint(0, 1000, 2000) == other.randint(0, 1000, 2000)).all()


# The optimum


def brute_force(maze, gamma, longest):
    """Returns the best discounted return of all action sequences up to a length."""
    best = -np.inf
    for actions in itertools.product(range(4), repeat=longest):
        full_state, total, ended = maze.start, 0.0, False
        for step, action in enumerate(actions):
            full_state, reward, ended = maze.transition(full_state, action)
            total += gamma**step * reward
            if ended:
                break
        best = max(best, total)
    return best


@pytest.mark.parametrize(("text", "trap_reward", "vanishing"), [
    ("Axo\n", -5, True), ("Axo\n   \n", -60, True), ("A o\nx  \n", 50, True),
    ("A o\nx  \n", -50, False),
])
def test_value_iteration_equals_brute_force(tmp_path, text, trap_reward, vanishing):
    path = tmp_path / "small.txt"
    path.write_text(text, encoding="utf-8")
    maze = env.Maze(str(path), 10.0, trap_reward, -0.5, vanishing)
    best = planning.find_optimum(maze, 0.6, 30)
    assert best.discounted_return == pytest.approx(brute_force(maze, 0.6, 7), abs=1e-9)


@pytest.mark.parametrize(("options", "discounted", "total", "steps"), [
    (["--map", "plain"], 59.049, 100, 6),
    (["--map", "traps"], 55.404, 95, 6),
    (["--map", "traps", "--trap_reward", "-1000"], 47.830, 100, 8),
    (["--map", "traps", "--gamma", "0.99"], 100 * 0.99**7, 100, 8),
])
def test_the_optimum_of_the_books_maps(options, discounted, total, steps):
    args = flags(*options)
    best = planning.find_optimum(env.make_env(args).unwrapped, args.gamma, 30)
    assert best.discounted_return == pytest.approx(discounted, abs=5e-4)
    assert (best.total_reward, best.num_steps) == (total, steps)
    greedy = inference.play_greedily(env.make_env(args), best.values, args.gamma)
    assert greedy["discounted_return"] == pytest.approx(discounted, abs=5e-4)


def test_a_treasure_beyond_the_limit_of_steps_is_refused(tmp_path, capfd):
    path = tmp_path / "far.txt"
    path.write_text("A" + 30 * " " + "o\n", encoding="utf-8")
    assert train.main(["--map", str(path), "--name", "far"]) == 2
    assert "is 31 steps away, an episode has at most 30" in capfd.readouterr().err
    assert env.make_env(flags("--map", str(path), "--max_episode_steps", "31")
                        ).unwrapped.fewest_steps == 31


def test_too_many_vanishing_traps_have_no_optimum(tmp_path, capfd):
    path = tmp_path / "field.txt"
    path.write_text("A" + 20 * "x" + "o\n", encoding="utf-8")
    maze = env.Maze(str(path), trap_reward=-0.1)  # in a row they can only vanish in order
    assert planning.find_optimum(maze, 0.9, 30).num_steps == 21
    path.write_text("\n".join(["A" + 8 * "x", 9 * "x", 8 * "x" + "o"]), encoding="utf-8")
    assert planning.find_optimum(env.Maze(str(path)), 0.9, 30) is None
    maze = env.Maze(str(path), trap_reward=-0.1, vanishing_traps=False)
    assert planning.find_optimum(maze, 0.9, 30).num_steps == 10
    assert train.main(["--map", str(path), "--max_steps", "1", "--name", "field"]) == 0
    assert eval.main(["--name", "field"]) == 0
    assert "(optimum: unknown: more than 200,000 states)" in capfd.readouterr().out
    metrics = files.read_json(rundir.runs_dir() / CHAPTER / "field" / "eval.json")["metrics"]
    assert "greedy" in metrics and "optimum" not in metrics


# Figures, the animation, evaluation and export


def test_arrows_show_the_best_actions():
    maze = env.Maze("traps")
    values = np.zeros((45, 4))
    values[10, RIGHT], values[11, DOWN], values[12], values[24, UP] = 1, 2, 3, 4
    assert draw.show_policy(maze, values).splitlines()[1:3] == [".→↓     .", ".     o ."]


def test_a_large_map_has_colors_in_place_of_numbers(tmp_path, monkeypatch):
    found = []
    monkeypatch.setattr(draw.figures, "save_figure", lambda png, figure: found.append(figure))
    path, texts = tmp_path / "large.txt", 0
    for side, size, numbers in ((7, (6, 3), 48), (20, (6, 5), 0), (40, (10, 10), 0),
                                (200, (12, 12), 0)):
        path.write_text("\n".join(["A" + " " * (side - 2) + "o"] + [" " * side] * (side - 1)))
        maze = env.Maze(str(path))
        assert draw.panel_size(maze) == (*size, numbers > 0)
        if side <= 20:
            values = np.full((side * side, 4), -5.0)  # all alike: no arrows
            draw.draw_policies(maze, {"first": values, "second": values}, path)
            texts = [text.get_text() for text in found[-1].axes[0].texts]
            assert texts.count("-5") == numbers
    assert len(found[-1].axes) == 4  # with two color bars


def test_the_animation_is_drawn_in_place(monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(animation.sys, "stderr", Terminal())
    args = flags("--max_episode_steps", "2")
    maze = animation.Animation(env.make_env(args, "ansi"), 1e6)
    print("printed before the first step", file=animation.sys.stderr)
    train.q_learning(maze, np.zeros((1, 45, 4)).tolist(), Draws([0, 0], [RIGHT, RIGHT]), args)
    frames = animation.sys.stderr.getvalue().split("\033[H")
    assert len(frames) == 4 and frames[0].endswith("\033[2J")  # cleared, the start, two steps
    assert "episode 1: step 2, reward 0" in frames[-1] and ".  A    ." in frames[-1]


def test_eval_and_export_of_the_books_run(capfd):
    assert train.main(["--preset", "book", "--name", "book"]) == 0
    out = capfd.readouterr().out
    assert ".→→→→→↓" in out and "greedy policy: 6 steps, return 100" in out
    run = rundir.runs_dir() / CHAPTER / "book"
    assert eval.main([]) == 0
    metrics = json.loads((run / "eval.json").read_text(encoding="utf-8"))["metrics"]
    assert metrics["last_episodes"]["episode_steps"] == 6.62
    assert metrics["greedy"]["discounted_return"] == pytest.approx(59.049)
    assert {path.name for path in run.glob("*.png")} == {
        "learning_curve.png", "policy.png", "optimum.png"}
    assert export.main([]) == 0
    act = tf.saved_model.load(str(run / "export" / "1")).signatures["serving_default"]
    answer = act(states=tf.constant([10, 15], tf.int64))
    assert answer["actions"].numpy().tolist() == [RIGHT, DOWN]
    expected = np.array(play(flags())[1][0])
    np.testing.assert_allclose(answer["values"], expected[[10, 15]], rtol=1e-12)
    with pytest.raises(tf.errors.InvalidArgumentError, match="states must be from 0 to"):
        act(states=tf.constant([45], tf.int64))


def test_the_values_of_two_tables_are_their_mean():
    table = QTable(3, 4, 2)
    table.tables.assign(np.stack([np.ones((3, 4)), 3 * np.ones((3, 4))]))
    np.testing.assert_array_equal(table.values(), 2 * np.ones((3, 4)))


# Other environments than the maze


LAKE = ("--env_name", "FrozenLake-v1", "--save_every", "7", "--eval_every", "10")


def run_folder(name):
    return rundir.runs_dir() / CHAPTER / name


def learned(name):
    run = argparse.Namespace(run_dir=run_folder(name), checkpoint="latest")
    config = files.read_json(run_folder(name) / "config.json")["flags"]
    _, table = inference.load_run(run, argparse.Namespace(**config))
    text = (run_folder(name) / "metrics.jsonl").read_text(encoding="utf-8")
    curve = [record for record in map(json.loads, text.splitlines())
             if record["split"] == "train" or record["step"] % 10 == 0]
    return table.tables.numpy(), curve


@pytest.mark.parametrize("algorithm", train.ALGORITHMS)
def test_a_slippery_lake_resumes_to_the_last_bit(algorithm):
    argv = [*LAKE, "--algorithm", algorithm]
    assert train.main([*argv, "--name", "whole", "--max_steps", "40"]) == 0
    assert train.main([*argv, "--name", "parts", "--max_steps", "13"]) == 0
    assert train.main(["--name", "parts", "--max_steps", "40"]) == 0
    (table, curve), (again, rest) = learned("whole"), learned("parts")
    np.testing.assert_array_equal(table, again)
    assert curve == rest and len(curve) == 40 + 4  # with the evaluations


def test_an_episode_is_a_function_of_the_seed_and_its_number():
    def walked(env):
        env.reset()
        return [env.step(action % 4)[0] for action in (1, 2, 1, 2)]

    args = flags(*LAKE)
    whole, late = env.make_env(args), env.make_env(args, None, 3)
    walks = [walked(whole) for _ in range(6)]
    assert [walked(late) for _ in range(3)] == walks[3:]
    assert len(set(map(tuple, walks))) > 1
    other = env.make_env(flags(*LAKE, "--seed", "1"))
    assert [walked(other) for _ in range(6)] != walks


def test_a_run_killed_after_its_last_episode_repeats_the_same_ones():
    assert train.main([*LAKE, "--episodes", "40", "--save_every", "20", "--name", "lake"]) == 0
    before = state_of(run_folder("lake"))
    (run_folder("lake") / ".running").touch()
    assert train.main(["--name", "lake"]) == 0
    after = state_of(run_folder("lake"))
    assert [name for name in before if not np.array_equal(before[name], after[name])] == []


def test_a_frozen_lake_that_is_not_slippery_is_crossed(capfd):
    argv = [*LAKE, "--env_kwargs", "is_slippery=False", "--episodes", "300", "--name", "lake"]
    assert train.main(argv) == 0
    out = capfd.readouterr().out
    assert "q_learning on FrozenLake-v1: 16 states, 4 actions, at most 100 steps" in out
    assert "the policy is not drawn" in out and "greedy policy: 6 steps, return 1;" in out
    assert not (run_folder("lake") / "policy.png").exists()
    assert (run_folder("lake") / "learning_curve.png").stat().st_size > 0
    config = files.read_json(run_folder("lake") / "config.json")["flags"]
    assert config["env_kwargs"] == "is_slippery=false" and config["env_name"] == "FrozenLake-v1"
    assert eval.main([]) == 0
    assert "optimum.png is drawn in the maze alone" in capfd.readouterr().out
    metrics = files.read_json(run_folder("lake") / "eval.json")["metrics"]
    assert metrics["greedy"] == {"mean_return": 1, "standard_error": 0, "mean_steps": 6,
                                 "terminated": 100, "episodes": 100}
    assert 0 <= metrics["chance"]["mean_return"] < 0.1
    assert export.main([]) == 0
    folder = run_folder("lake") / "export" / "1"
    act = tf.saved_model.load(str(folder)).signatures["serving_default"]
    assert act(states=tf.constant([14], tf.int64))["actions"] == 2  # right, to the goal
    assert "FrozenLake-v1" in (folder / "signature.json").read_text(encoding="utf-8")
    assert train.main(["--name", "lake", "--env_kwargs", "is_slippery=true"]) == 2
    assert "--env_kwargs is_slippery=true contradicts" in capfd.readouterr().err


def test_an_environment_of_ones_own_is_learned(mine, capfd):
    argv = ["--env_name", f"{mine}:Walk-v0", "--env_kwargs", "size=6,slip=0", "--name", "own",
            "--gamma", "1", "--max_steps", "60"]
    assert train.main(argv) == 0
    assert "greedy policy: 4 steps, return -4" in capfd.readouterr().out
    assert eval.main([]) == 0
    assert files.read_json(run_folder("own") / "eval.json")["dataset"] == "mine-Walk-v0"


@pytest.mark.parametrize(("argv", "says", "hint"), [
    (["--env_name", "CartPole-v1"], "CartPole-v1 has observations Box", "chapter 20"),
    (["--env_name", "Blackjack-v1"], "has observations Tuple", "chapter 21"),
    (["--env_name", "Pendulum-v1"], "and actions Box", "chapter 21"),
    (["--env_name", "mine:Walk-v0", "--env_kwargs", "start=1"], "Discrete(4, start=1)", "chapter"),
    (["--env_name", "mine:Walk-v0", "--env_kwargs", "size=2000000"], "2,000,000 states", "network"),
    (["--env_name", "Taxi-v4", "--render"], "--render needs a terminal", "add --no-render"),
    (["--env_name", "mine:Walk-v0", "--render"], "mine:Walk-v0 renders no text", "omit the flag"),
    (["--env_name", "FrozenLak-v1"], "knows no environment FrozenLak-v1", "FrozenLake-v1"),
    (["--env_name", "Taxi-v4", "--map", "traps"], "--map traps has no effect with --env_name Taxi",
     "omit it"),
    (["--env_name", "Taxi-v4", "--preset", "best"], "--preset best has the settings of Maze-v0",
     "omit --preset"),
    (["--env_name", "Taxi-v4", "--preset", "cliff"], "the settings of CliffWalking-v1", "omit"),
    (["--env_kwargs", "layout=traps"], "--env_kwargs layout=traps has no effect with", "omit it"),
])
def test_environments_and_flags_that_do_not_fit_are_refused(mine, capfd, argv, says, hint):
    assert train.main([*argv, "--name", "bad"]) == 2
    error, advice = capfd.readouterr().err.strip().splitlines()[-2:]
    assert says in error and hint in advice and not run_folder("bad").exists()


def test_env_shows_other_environments(mine, capfd):
    assert env.main(["--env_name", "Taxi-v4"]) == 0
    out = capfd.readouterr().out
    assert "+---------+" in out and "500 states, 6 actions" in out
    assert "random actions: 200 steps" in out
    assert env.main(["--env_name", f"{mine}:Walk-v0"]) == 0
    assert "4 states, 2 actions" in capfd.readouterr().out
    assert env.main(["--env_name", "Taxi-v4", "--map", "traps"]) == 2
