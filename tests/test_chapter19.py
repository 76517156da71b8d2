"""Chapter 19: each update rule by hand, the book's episodes, the comparison."""

import json

import numpy as np
import pytest

from chapter18_q_learning import env, inference
from chapter19_sarsa import cliff, compare, train
from common import results
from tests.test_chapter18 import Draws, play

DOWN, RIGHT = 1, 3


def flags(*argv):
    return train.build_parser().parse_args(list(argv))


def two_steps(*options):
    """Returns a maze of two steps, a table that leads over the first trap, and the flags."""
    args = flags("--map", "traps", "--max_episode_steps", "2", "--alpha", "0.5", *options)
    q = np.zeros((45, 4)).tolist()
    q[10], q[11], q[12] = [0.0, 1.0, 2.0, 8.0], [0.0, 0.0, 6.0, 10.0], [4.0, 1.0, 2.0, 3.0]
    return env.make_env(args), q, args


def test_sarsa_updates_a_value_by_equation_6_7():
    maze, q, args = two_steps()
    # The first two actions are greedy, the one after the last step is random: left.
    train.sarsa(maze, [q], Draws([0.0, 0.0, 0.95], [2]), args)
    assert q[10] == [0, 1, 2, 8 + 0.5 * (0.9 * 10 - 8)]
    assert q[11] == [0, 0, 6, 10 + 0.5 * (-5 + 0.9 * 2 - 10)]


def test_expected_sarsa_updates_a_value_by_equation_6_9():
    maze, q, args = two_steps("--epsilon", "0.2")
    train.expected_sarsa(maze, [q], Draws([0.0, 0.0]), args)
    assert q[10][RIGHT] == pytest.approx(8 + 0.5 * (0.9 * (0.8 * 10 + 0.2 * 16 / 4) - 8))
    assert q[11][RIGHT] == pytest.approx(10 + 0.5 * (-5 + 0.9 * (0.8 * 4 + 0.2 * 10 / 4) - 10))


def test_sarsa_lambda_also_updates_earlier_values():
    maze, q, args = two_steps("--trace_decay", "0.5")
    train.sarsa_lambda(maze, [q], Draws([0.0, 0.0, 0.0]), args)
    first, second = 0.9 * 10 - 8, -5 + 0.9 * 4 - 10
    assert q[10][RIGHT] == pytest.approx(8 + 0.5 * first + 0.5 * second * 0.9 * 0.5)
    assert q[11][RIGHT] == pytest.approx(10 + 0.5 * second)


def test_a_trace_is_replaced_when_a_pair_is_visited_again():
    args = flags("--max_episode_steps", "2", "--alpha", "0.5", "--trace_decay", "1")
    q = np.zeros((45, 4)).tolist()
    q[10] = [8.0, 0.0, 0.0, 0.0]  # up, against the wall, twice
    train.sarsa_lambda(env.make_env(args), [q], Draws([0.0, 0.0, 0.0]), args)
    value = 8 + 0.5 * (0.9 * 8 - 8)
    assert q[10][0] == pytest.approx(value + 0.5 * (0.9 * value - value))


def test_sarsa_lambda_with_trace_decay_0_is_sarsa():
    args = flags("--map", "traps", "--trace_decay", "0", "--seed", "4")
    expected = play(args, 60, train.sarsa)[1:]
    assert play(args, 60, train.sarsa_lambda)[1:] == expected


def test_only_sarsa_lambda_takes_the_trace_decay(capsys):
    assert train.main(["--trace_decay", "0.5"]) == 2
    assert "--trace_decay 0.5 has no effect with --algorithm sarsa" in capsys.readouterr().err
    argv = ["--algorithm", "sarsa_lambda", "--trace_decay", "0.5", "--max_steps", "1"]
    assert train.main(argv) == 0


@pytest.mark.parametrize("algorithm", train.ALGORITHMS.values())
def test_the_treasure_is_terminal(algorithm):
    args = flags("--initial_value", "500", "--alpha", "1", "--epsilon", "0", "--trace_decay", "0")
    q = np.full((45, 4), 500.0).tolist()
    for state in range(45):
        q[state][RIGHT if state >= 19 else DOWN] = 1000.0
    algorithm(env.make_env(args), [q], np.random.RandomState(0), args)
    assert q[23][RIGHT] == 100


def test_the_books_episodes_are_reproduced():
    """The original's episodes with seed 1 (NumPy's legacy generator)."""
    args = flags("--seed", "1")
    _, _, log = play(args, algorithm=train.sarsa)
    lengths = [record["episode_steps"] for record in log]
    assert lengths[:10] == [33, 50, 50, 50, 50, 50, 50, 39, 39, 6]
    assert np.mean(lengths[-50:]) == 7.28
    assert sum(record["success"] for record in log) == 194
    args = flags("--seed", "1", "--map", "traps")
    _, _, log = play(args, algorithm=train.sarsa)
    assert sum(record["success"] for record in log) == 2
    assert {record["episode_steps"] for record in log[-50:]} == {50}


def test_the_books_agent_ends_in_a_corner():
    """With an optimistic initial value it takes the optimal path through a trap instead."""
    args = flags("--seed", "1", "--map", "traps")
    maze, tables, _ = play(args, algorithm=train.sarsa)
    q = np.array(tables[0])
    maze.reset()
    cells = [10]
    for _ in range(9):
        cells.append(maze.step(q[cells[-1]].argmax())[0])
    assert cells == [10, 19, *[28] * 8]  # the corner farthest from the traps, against its wall
    assert q[28].max() < 0  # even there the values are negative, but less so than elsewhere
    assert q[19].max() < 0 and q[10].max() < 0
    args = flags("--seed", "1", "--map", "traps", "--tie_breaking", "random",
                 "--initial_value", "60")
    maze, tables, _ = play(args, algorithm=train.sarsa)
    greedy = inference.play_greedily(maze, np.array(tables[0]), args.gamma)
    assert greedy["discounted_return"] == pytest.approx(55.404, abs=5e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("case", "successes", "lost"), [
    (("q_learning", "traps", "first"), 27, 0),
    (("q_learning", "traps", "random"), 30, 0),
    (("sarsa", "traps", "first"), 12, 16),
    (("sarsa", "traps", "random"), 21, 8),
    (("sarsa", "traps", "greedy"), 30, 0),
    (("sarsa", "plain", "random"), 30, 0),
    (("sarsa", "traps", "optimistic"), 30, 0),
])
def test_thirty_seeds(case, successes, lost):
    row = compare.score(*case, 30)
    assert (row["successes"], row["lost"]) == (successes, lost)


def test_a_row_has_wilsons_interval(monkeypatch):
    shares = iter([1.0] * 27 + [0.9, 0.5, 0.0])
    monkeypatch.setattr(compare, "learn", lambda args: (next(shares), 55.404 * (args.seed < 4)))
    row = compare.score("sarsa", "traps", "first", 30)
    assert row["successes"] == 27 and row["lost"] == 1
    assert row["interval"] == [74.4, 96.5]
    assert row["optimal"] == 4


def test_compare_publishes(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(compare, "learn", lambda args: (1.0, 0.0))
    assert compare.main(["--seeds", "2", "--publish"]) == 0
    text = (tmp_path / "results" / "chapter19_sarsa" / "compare.json").read_text(encoding="utf-8")
    rows = json.loads(text)["rows"]
    assert len(rows) == 5 * 2 * 4 and {row["seeds"] for row in rows} == {2}
    assert (tmp_path / "chapter19_sarsa" / "compare" / "compare.png").stat().st_size > 0
    assert json.loads(capfd.readouterr().out.splitlines()[-1]) == {"cases": 40, "seeds": 2}


# Beside the cliff


def test_how_far_a_path_keeps_from_the_cliff():
    up, down = [36, 24], [35, 47]
    assert cliff.clearance([*up, *range(25, 35), *down]) == 1
    assert cliff.clearance([*up, 12, *range(13, 24), *down]) == 2
    assert cliff.clearance([*up, 12, *range(12), 23, *down]) == 3
    assert cliff.clearance([*up, 25, 36]) == 0  # fell, and is at the start again


def test_sarsa_keeps_from_the_cliff_and_gains_more_than_q_learning(monkeypatch, tmp_path, capfd):
    """Both claims of example 6.6: the higher online return, and the safe greedy path."""
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    for script in compare.SCRIPTS.values():
        monkeypatch.setitem(script.PRESETS["cliff"], "max_steps", 250)
    assert compare.main(["--cliff", "--seeds", "6", "--publish"]) == 0
    assert json.loads(capfd.readouterr().out.splitlines()[-1]) == {"cases": 2, "seeds": 6}
    text = (tmp_path / "results" / "chapter19_sarsa" / "cliff.json").read_text(encoding="utf-8")
    q_learning, sarsa = json.loads(text)["rows"]
    assert (q_learning["algorithm"], sarsa["algorithm"]) == ("q_learning", "sarsa")
    assert sarsa["interval"][0] > q_learning["interval"][1]
    assert (q_learning["path"], q_learning["clearance"], q_learning["edge"]) == (13, 1, 6)
    assert sarsa["clearance"] > 1 and sarsa["farther"] > sarsa["edge"]
    assert (tmp_path / "chapter19_sarsa" / "compare" / "cliff.png").stat().st_size > 0


def test_one_seed_has_no_interval(capfd):
    assert compare.main(["--cliff", "--seeds", "1"]) == 2
    assert "--seeds 1 has no confidence interval" in capfd.readouterr().err


def test_the_cliff_presets_differ_in_the_algorithm_alone():
    scripts = [compare.SCRIPTS[name] for name in cliff.TITLES]
    one, other = (vars(script.build_parser().parse_args([])) | script.PRESETS["cliff"]
                  for script in scripts)
    differ = {flag for flag in one.keys() | other.keys() if one.get(flag) != other.get(flag)}
    assert differ <= {"algorithm", "max_maze_steps", "trace_decay"}  # of SARSA(λ)
    assert one["env_name"] == "CliffWalking-v1"
    assert train.build_parser().get_default("epsilon") == 0.1
