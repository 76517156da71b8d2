"""The maze as a Gymnasium environment: maps, rules and rendering.

    python env.py                     # the book's plain map, and one episode of random actions
    python env.py --map traps
    python env.py --map FILE
    python env.py --env_name Taxi-v4  # another environment of Gymnasium

A map is a text file whose lines have the same length: `.` is a wall, a space a free cell, `A` the
start, `o` a treasure, `x` a trap. `chapter18_q_learning/maps/` holds the book's two maps.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from chapter18_q_learning import tabular
from common import cli, environments, files
from common.errors import UserError, exit_status
from common.flags import typed_flags
from common.text import read_text

MAPS = {path.stem: path for path in sorted((Path(__file__).parent / "maps").glob("*.txt"))}
WALL, FREE, START, TREASURE, TRAP = ". Aox"
ACTIONS = ("up", "down", "left", "right")  # numbered from 0, as in the book
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))  # rows and columns, by action
COLORS = {WALL: (70, 70, 70), FREE: (245, 245, 240), START: (40, 110, 190),
          TREASURE: (235, 180, 30), TRAP: (200, 60, 50)}
CELL_PIXELS = 24

# The full state: the agent's cell and the remaining traps. The agent observes the cell only.
FullState = tuple[int, frozenset[int]]

NAME = "Maze-v0"
gym.register(NAME, entry_point=f"{__name__}:Maze", order_enforce=False,
             disable_env_checker=True)  # the tests run it; without it steps are much faster


def read_map(name: str) -> tuple[str, ...]:
    """Reads a map.

    Args:
        name: one of `MAPS`, or the path of a text file.

    Returns:
        Its lines, all of the same length.

    Raises:
        UserError: the file cannot be read, or is not a valid map.
    """
    path = MAPS.get(name, Path(name))
    hint = f"use one of {', '.join(MAPS)}, or a text file such as {MAPS['plain']}"
    if not path.is_file():
        raise UserError(f"there is no map {path}", hint)
    lines = tuple(read_text(path).strip("\r\n").splitlines())
    if not lines:
        raise UserError(f"the map {path} is empty", hint)
    for number, line in enumerate(lines, 1):
        if len(line) != len(lines[0]):
            raise UserError(f"line {number} of the map {path} has {len(line)} cells, "
                            f"line 1 has {len(lines[0])}", "make all lines the same length")
        if odd := line.strip("".join(COLORS)):
            raise UserError(f"line {number} of the map {path} contains {odd[0]!r}",
                            "use only . for a wall, space, A, o and x")
    text = "".join(lines)
    if text.count(START) != 1:
        raise UserError(f"the map {path} has {text.count(START)} starts",
                        "mark exactly one cell with A")
    if TREASURE not in text:
        raise UserError(f"the map {path} has no treasure", "mark a cell with o")
    return lines


class Maze(gym.Env[int, int]):
    """A grid world with a treasure and traps (book, section 18.2.1).

    An observation is the agent's cell, row · columns + column; actions are `ACTIONS`. An action
    into a wall or over the edge of the map leaves the agent where it is. A treasure terminates the
    episode; `gym.make(max_episode_steps=)` truncates it. With vanishing traps the observation is
    not a Markov state: the agent cannot see whether a trap is still there.
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
            layout: name or file of the map, see `read_map`.
            treasure_reward: reward for reaching a treasure.
            trap_reward: reward for stepping on a trap.
            step_reward: added to the reward of every step.
            vanishing_traps: remove a trap once it was stepped on, until the next episode.
            render_mode: "ansi" for text, "rgb_array" for an image.

        Raises:
            UserError: the map is not valid, or no treasure can be reached from the start.
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
        self.fewest_steps = self._fewest_steps()
        if self.fewest_steps is None:
            raise UserError(f"the treasure of the map {layout} cannot be reached", "open a wall")
        self.observation_space = gym.spaces.Discrete(len(text))
        self.action_space = gym.spaces.Discrete(len(ACTIONS))

    def _neighbour(self, cell: int, move: tuple[int, int]) -> int:
        """Returns the cell after a move."""
        row, column = cell // self.columns + move[0], cell % self.columns + move[1]
        inside = 0 <= row < len(self.lines) and 0 <= column < self.columns
        return row * self.columns + column if inside and self.lines[row][column] != WALL else cell

    def _fewest_steps(self) -> int | None:
        """Returns the fewest steps to a treasure; None if none can be reached."""
        found = edge = {self.start[0]}
        for steps in range(len(self.neighbours)):
            if edge & self.treasures:
                return steps
            edge = {after for cell in edge for after in self.neighbours[cell]} - found
            found = found | edge
        return None

    def digest(self) -> str:
        """Returns the sha256 of the map."""
        return files.sha256("\n".join(self.lines).encode())

    @property
    def found(self) -> bool:
        """Returns whether the agent is on a treasure."""
        return self.full_state[0] in self.treasures

    def transition(self, full_state: FullState, action: int) -> tuple[FullState, float, bool]:
        """Returns the next full state, the reward, and whether the next state is terminal."""
        step_reward, treasure_reward, trap_reward = self.rewards
        cell, traps = full_state
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
        """Moves the agent to the start and restores all traps; draws no random numbers."""
        super().reset(seed=seed)
        self.full_state, self.num_steps, self.total_reward = self.start, 0, 0.0
        return self.start[0], {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Returns the new cell, the reward, `terminated`, `truncated` (always False) and {}."""
        self.full_state, reward, terminated = self.transition(self.full_state, action)
        self.num_steps += 1
        self.total_reward += reward
        return self.full_state[0], reward, terminated, False, {}

    def render(self) -> str | np.ndarray | None:
        """Renders the current full state.

        Returns:
            Text with one line per row, or an image: uint8 of shape (24 · rows, 24 · columns, 3) in
            [0, 255].
        """
        if self.render_mode is None:
            return None
        marks = [FREE if mark in (START, TRAP) else mark for mark in "".join(self.lines)]
        cell, traps = self.full_state
        for trap in traps:
            marks[trap] = TRAP
        marks[cell] = START
        rows = np.reshape(marks, (-1, self.columns))
        if self.render_mode == "ansi":
            return "\n".join("".join(row) for row in rows)
        colors = np.array([[COLORS[mark] for mark in row] for row in rows], np.uint8)
        return colors.repeat(CELL_PIXELS, axis=0).repeat(CELL_PIXELS, axis=1)


def map_name(text: str) -> str:
    """Returns the name of a map, or the absolute path of a file (argparse `type`)."""
    return text if text in MAPS else cli.path(text)


def add_flags(parser: argparse.ArgumentParser, max_episode_steps: int = 30) -> None:
    """Adds the flags of the environment; the maximum number of steps is that of the maze."""
    parser.set_defaults(max_maze_steps=max_episode_steps)
    group = parser.add_argument_group("environment")
    environments.add_name_flags(group, NAME)
    group.add_argument("--max_episode_steps", type=cli.positive_int,
                       help="steps after which an episode is truncated (default: "
                            f"{max_episode_steps} in the maze, else the environment's own limit or "
                            f"{environments.STEP_CAP})")
    group = parser.add_argument_group("maze")
    group.add_argument("--map", type=map_name, default="plain",
                       help=f"{', '.join(MAPS)}, or a text file")
    group.add_argument("--treasure_reward", type=environments.reward, default=100.0,
                       help="reward for reaching the treasure")
    group.add_argument("--trap_reward", type=environments.reward, default=-5.0,
                       help="reward for stepping on a trap")
    group.add_argument("--step_reward", type=environments.reward, default=0.0,
                       help="reward added to every step")
    group.add_argument("--vanishing_traps", action=argparse.BooleanOptionalAction, default=True,
                       help="remove a trap once it was stepped on, until the next episode")


def is_maze(args: argparse.Namespace) -> bool:
    """Returns whether the flags describe the maze, not another environment."""
    return args.env_name == NAME


def idle_flags(args: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    """Returns flags of the environment without effect, by the setting that makes them so."""
    traps = "trap_reward", "vanishing_traps"
    if not is_maze(args):
        return {f"--env_name {args.env_name}": ("map", "treasure_reward", "step_reward", *traps)}
    idle: dict[str, tuple[str, ...]] = {f"--env_name {NAME}": ("env_kwargs",)}
    if not any(TRAP in line for line in read_map(args.map)):
        idle[f"the map {Path(args.map).stem}, which has no traps"] = traps
    return idle


def make_env(
    args: argparse.Namespace, render_mode: str | None = None, num_episodes: int = 0
) -> gym.Env[int, int]:
    """Returns the environment that the flags describe; see `tabular.make_env`."""
    if not is_maze(args):
        return tabular.make_env(args, render_mode, num_episodes)
    return gym.make(
        NAME, layout=args.map, treasure_reward=args.treasure_reward,
        trap_reward=args.trap_reward, step_reward=args.step_reward,
        vanishing_traps=args.vanishing_traps,
        max_episode_steps=args.max_episode_steps or args.max_maze_steps, render_mode=render_mode,
    )


def check_steps(env: gym.Env[int, int]) -> None:
    """Raises UserError if the episodes of a maze end before a treasure can be reached."""
    if not isinstance(env.unwrapped, Maze):
        return
    fewest, limit = env.unwrapped.fewest_steps, env.spec.max_episode_steps
    if fewest > limit:
        raise UserError(f"the treasure is {fewest} steps away, an episode has at most {limit}",
                        f"give --max_episode_steps {fewest} or more")


def digest(env: gym.Env[int, int]) -> str:
    """Returns the sha256 of the map, or of another environment's specification."""
    if isinstance(env.unwrapped, Maze):
        return env.unwrapped.digest()
    return files.sha256(environments.to_json(env.spec))


def show(args: argparse.Namespace) -> None:
    """Prints the environment as text, if it renders any, and one episode of random actions."""
    env = make_env(args)
    if environments.can_render(env, "ansi"):
        env = make_env(args, "ansi")
    env.reset()
    if env.render_mode:
        print(env.render())
    print(f"{env.observation_space.n} states, {env.action_space.n} actions")
    rng, ended = np.random.default_rng(args.seed), False
    while not ended:
        _, _, terminated, truncated, _ = env.step(int(rng.integers(env.action_space.n)))
        ended = terminated or truncated
    steps, total_reward = map(env.get_wrapper_attr, ("num_steps", "total_reward"))
    print(f"random actions: {steps} steps, return {total_reward:g}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of the random actions")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    def action() -> None:
        parser = build_parser()
        args = parser.parse_args(argv)
        args.typed = typed_flags(parser, argv)
        for beside, idle in idle_flags(args).items():
            cli.refuse_idle(args, idle, beside)
        show(args)

    return exit_status(action)


if __name__ == "__main__":
    raise SystemExit(main())
