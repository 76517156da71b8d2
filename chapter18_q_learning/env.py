"""The maze as a Gymnasium environment: its maps, its rules, its pictures.

    python env.py                     # the book's plain map, and a walk at random
    python env.py --map traps
    python env.py --map FILE

A map is a text of lines of one length: `.` wall, a space a free cell, `A` where the agent starts,
`o` treasure, `x` trap. `chapter18_q_learning/maps/` holds the book's two.
"""

import argparse
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from common import cli, files
from common.errors import UserError, exit_status

MAPS = {path.stem: path for path in sorted((Path(__file__).parent / "maps").glob("*.txt"))}
WALL, FREE, START, TREASURE, TRAP = ". Aox"
ACTIONS = ("up", "down", "left", "right")  # numbered from 0, as in the book
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))  # rows and columns, by action
COLOURS = {WALL: (70, 70, 70), FREE: (245, 245, 240), START: (40, 110, 190),
           TREASURE: (235, 180, 30), TRAP: (200, 60, 50)}
CELL_PIXELS = 24

Situation = tuple[int, frozenset[int]]  # the agent's cell, and the traps that are left

gym.register("Maze-v0", entry_point=f"{__name__}:Maze", order_enforce=False,
             disable_env_checker=True)  # the tests check it; steps are three times as fast


def read_map(name: str) -> tuple[str, ...]:
    """Reads a map.

    Args:
        name: one of `MAPS`, or a text file.

    Returns:
        Its lines, of one length.

    Raises:
        UserError: there is no such map, or it is no maze; tells where and why.
    """
    path = MAPS.get(name, Path(name))
    hint = f"give one of {', '.join(MAPS)}, or a text file such as {MAPS['plain']}"
    try:
        lines = tuple(path.read_text(encoding="utf-8-sig").strip("\n").splitlines())
    except OSError as error:
        raise UserError(f"there is no map {path}: {error.strerror}", hint) from error
    except UnicodeDecodeError as error:
        raise UserError(f"the map {path} is not UTF-8 text", hint) from error
    if not lines:
        raise UserError(f"the map {path} is empty", hint)
    for number, line in enumerate(lines, 1):
        if len(line) != len(lines[0]):
            raise UserError(f"line {number} of the map {path} has {len(line)} cells, "
                            f"line 1 has {len(lines[0])}", "make all lines equally long")
        if odd := line.strip("".join(COLOURS)):
            raise UserError(f"line {number} of the map {path} holds {odd[0]!r}",
                            "use . for walls, spaces, A, o and x")
    text = "".join(lines)
    if text.count(START) != 1:
        raise UserError(f"the map {path} has {text.count(START)} starts", "give it one A")
    if TREASURE not in text:
        raise UserError(f"the map {path} has no treasure", "give it an o")
    return lines


class Maze(gym.Env[int, int]):
    """A treasure hunt (book, section 18.2).

    An observation is the agent's cell, row · columns + column; actions are `ACTIONS`. Into a wall,
    or over the edge of the map, the agent does not move. The treasure ends an episode; its length
    is limited by `gym.make(max_episode_steps=)`. With traps that vanish the cell alone is no
    Markov state: whether a trap is still there, the agent cannot see.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 10}

    def __init__(
        self,
        layout: str = "plain",
        treasure_reward: float = 100.0,
        trap_reward: float = -5.0,
        step_reward: float = 0.0,
        vanishing_traps: bool = True,
        render_mode: str | None = None,
    ):
        """Reads a map.

        Args:
            layout: its name or file, see `read_map`.
            treasure_reward: for reaching a treasure.
            trap_reward: for stepping on a trap.
            step_reward: what every step gives besides.
            vanishing_traps: a trap is gone once it was stepped on, until the next episode.
            render_mode: "ansi", a text, or "rgb_array", a picture.

        Raises:
            UserError: the map is no maze, or its treasure lies behind walls.
        """
        self.lines = read_map(layout)
        self.columns, text = len(self.lines[0]), "".join(self.lines)
        self.rewards = step_reward, treasure_reward, trap_reward
        self.vanishing_traps, self.render_mode = vanishing_traps, render_mode
        self.treasures = frozenset(i for i, mark in enumerate(text) if mark == TREASURE)
        traps = frozenset(i for i, mark in enumerate(text) if mark == TRAP)
        self.start = text.index(START), traps
        self.neighbours = [[self._neighbour(cell, move) for move in MOVES]
                           for cell in range(len(text))]
        if not self.treasures & self._reachable():
            raise UserError(f"no way leads to the treasure of the map {layout}", "open a wall")
        self.observation_space = gym.spaces.Discrete(len(text))
        self.action_space = gym.spaces.Discrete(len(ACTIONS))

    def _neighbour(self, cell: int, move: tuple[int, int]) -> int:
        """Returns the cell that a move leads to."""
        row, column = cell // self.columns + move[0], cell % self.columns + move[1]
        inside = 0 <= row < len(self.lines) and 0 <= column < self.columns
        return row * self.columns + column if inside and self.lines[row][column] != WALL else cell

    def _reachable(self) -> set[int]:
        """Returns the cells that can be reached from the start."""
        found, queue = {self.start[0]}, deque([self.start[0]])
        while queue:
            new = set(self.neighbours[queue.popleft()]) - found
            found |= new
            queue += new
        return found

    def digest(self) -> str:
        """Returns the sha256 of the map."""
        return files.sha256("\n".join(self.lines).encode())

    @property
    def found(self) -> bool:
        """Says whether the agent is at a treasure."""
        return self.situation[0] in self.treasures

    def outcome(self, situation: Situation, action: int) -> tuple[Situation, float, bool]:
        """Returns what an action leads to: the next situation, its reward, and whether it ends."""
        step_reward, treasure_reward, trap_reward = self.rewards
        cell, traps = situation
        cell = self.neighbours[cell][action]
        if cell in self.treasures:
            return (cell, traps), step_reward + treasure_reward, True
        if cell not in traps:
            return (cell, traps), step_reward, False
        left = traps - {cell} if self.vanishing_traps else traps
        return (cell, left), step_reward + trap_reward, False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Puts the agent to the start and all traps back; a maze draws no random numbers."""
        super().reset(seed=seed)
        self.situation, self.num_steps, self.total_reward = self.start, 0, 0.0
        return self.start[0], {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Moves; returns the new cell, the reward, terminated, truncated (False) and {}."""
        self.situation, reward, terminated = self.outcome(self.situation, action)
        self.num_steps += 1
        self.total_reward += reward
        return self.situation[0], reward, terminated, False, {}

    def render(self) -> str | np.ndarray | None:
        """Returns the map as it is now.

        Returns:
            A text of one line a row, or uint8 of shape (24 · rows, 24 · columns, 3) in [0, 255].
        """
        if self.render_mode is None:
            return None
        marks = [FREE if mark in (START, TRAP) else mark for mark in "".join(self.lines)]
        cell, traps = self.situation
        for trap in traps:
            marks[trap] = TRAP
        marks[cell] = START
        rows = np.reshape(marks, (-1, self.columns))
        if self.render_mode == "ansi":
            return "\n".join("".join(row) for row in rows)
        colours = np.array([[COLOURS[mark] for mark in row] for row in rows], np.uint8)
        return colours.repeat(CELL_PIXELS, axis=0).repeat(CELL_PIXELS, axis=1)


class Animation(gym.Wrapper):
    """Shows every step in place, at the top of the terminal; the bar stays below the map."""

    def __init__(self, env: gym.Env[int, int], steps_per_second: float, num_episodes: int = 0):
        """Waits for the first picture to clear the terminal; `num_episodes` were played before.

        Raises:
            UserError: stderr is no terminal.
        """
        super().__init__(env)
        if not sys.stderr.isatty():
            raise UserError("--render needs a terminal, and stderr is none", "leave --render away")
        self._seconds, self._episode = 1 / steps_per_second, num_episodes
        self._place = "\033[2J\033[H"  # the first time also away with what was printed before

    def _show(self) -> None:
        """Draws one picture and waits."""
        maze = self.unwrapped
        head = f"episode {self._episode}: step {maze.num_steps}, reward {maze.total_reward:g}"
        lines = [head, *self.render().splitlines()]
        picture = "".join(f"{line}\033[K\n" for line in lines)
        # Keeps the line of the bar and clears what an earlier one has left below.
        sys.stderr.write(f"{self._place}{picture}\033[K\n\n\033[J\033[A")
        sys.stderr.flush()
        self._place = "\033[H"
        time.sleep(self._seconds)

    def reset(self, **options: Any) -> tuple[int, dict[str, Any]]:
        """Begins an episode."""
        result = super().reset(**options)
        self._episode += 1
        self._show()
        return result

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Moves."""
        result = super().step(action)
        self._show()
        return result


finite = cli.number(float, -sys.float_info.max, sys.float_info.max, "a number")


def map_name(text: str) -> str:
    """Keeps the name of a map, makes the path of a file absolute (an argparse `type`)."""
    return text if text in MAPS else cli.path(text)


def add_flags(parser: argparse.ArgumentParser, max_episode_steps: int = 30) -> None:
    """Adds the flags that make the environment."""
    group = parser.add_argument_group("maze")
    group.add_argument("--map", type=map_name, default="plain",
                       help=f"{', '.join(MAPS)}, or a text file")
    group.add_argument("--treasure_reward", type=finite, default=100.0, help="of the treasure")
    group.add_argument("--trap_reward", type=finite, default=-5.0, help="of a trap")
    group.add_argument("--step_reward", type=finite, default=0.0, help="of every step besides")
    group.add_argument("--vanishing_traps", action=argparse.BooleanOptionalAction, default=True,
                       help="a trap is gone once it was stepped on, until the next episode")
    group.add_argument("--max_episode_steps", type=cli.positive_int, default=max_episode_steps,
                       help="steps after which an episode is broken off")


def make_env(args: argparse.Namespace, render_mode: str | None = None) -> gym.Env[int, int]:
    """Makes the environment that flags describe."""
    return gym.make(
        "Maze-v0", layout=args.map, treasure_reward=args.treasure_reward,
        trap_reward=args.trap_reward, step_reward=args.step_reward,
        vanishing_traps=args.vanishing_traps, max_episode_steps=args.max_episode_steps,
        render_mode=render_mode,
    )


def show(args: argparse.Namespace) -> None:
    """Prints a map and what comes of an episode at random."""
    env = make_env(args, "ansi")
    env.reset()
    print(env.render())
    rng, ended = np.random.default_rng(args.seed), False
    while not ended:
        _, _, terminated, truncated, _ = env.step(int(rng.integers(len(ACTIONS))))
        ended = terminated or truncated
    maze = env.unwrapped
    print(f"at random: {maze.num_steps} steps, reward {maze.total_reward:g}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    parser.add_argument("--seed", type=cli.seed, default=0, help="of the walk at random")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: show(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
