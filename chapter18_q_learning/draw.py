"""Figures: the best action in every cell and its value, and learning curves."""

from pathlib import Path
from typing import Any

import numpy as np

from chapter18_q_learning.env import FREE, MOVES, START, TRAP, TREASURE, WALL, Maze
from common import figures
from common.figures import plt
from common.monitor import read_curve

ARROWS = "↑↓←→"  # by action
MEAN_OVER = 10  # episodes
PANEL, MAX_SIDE = (6, 3), 12  # inches: width and height of a policy, larger for a large map
CELL, DETAILED = 0.25, 0.4  # inches: side of a cell, and the least one that has room for text


def best_actions(maze: Maze, values: np.ndarray) -> dict[int, int]:
    """Returns the best action of every free cell whose action values are not all equal.

    Args:
        maze: the maze.
        values: action values of shape (states, actions).
    """
    text = "".join(maze.lines)
    return {cell: int(row.argmax()) for cell, row in enumerate(values)
            if text[cell] not in (WALL, TREASURE) and np.ptp(row) > 0}


def show_policy(maze: Maze, values: np.ndarray) -> str:
    """Returns the map as text, with an arrow for the best action in each cell."""
    marks = list("".join(maze.lines).replace(START, FREE).replace(TRAP, FREE))
    for cell, action in best_actions(maze, values).items():
        marks[cell] = ARROWS[action]
    return "\n".join("".join(row) for row in np.reshape(marks, (-1, maze.columns)))


def draw_policy(
    axes: Any, maze: Maze, values: np.ndarray, scale: tuple[float, float], detailed: bool
) -> None:
    """Draws the best actions as arrows, over their values as colors between two limits.

    If `detailed`, values and names are written into the cells, else in a color bar and a legend.
    """
    rows = np.array([list(line) for line in maze.lines])  # (rows, columns)
    heat = values.max(axis=1).reshape(rows.shape)
    heat = np.ma.masked_where((rows == WALL) | (rows == TREASURE), heat)
    axes.imshow(np.where(rows == WALL, 0.35, 1.0), cmap="gray", vmin=0, vmax=1)
    colors = axes.imshow(heat, cmap="YlGn", vmin=scale[0], vmax=scale[1])
    if detailed:
        for (row, column), value in np.ma.ndenumerate(heat):
            axes.text(column, row - 0.34, str(round(value)), ha="center", va="center", fontsize=6)
    for mark, color, name in ((START, "tab:blue", "start"), (TRAP, "tab:red", "trap"),
                               (TREASURE, "goldenrod", "treasure")):
        for row, column in np.argwhere(rows == mark):
            patch = plt.Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, label=name,
                                  edgecolor=color, linewidth=2.5 if detailed else 1)
            axes.add_patch(patch)
            if detailed:
                axes.text(column, row + 0.34, name, color=color, ha="center", va="center",
                          fontsize=6)
    draw_arrows(axes, maze, best_actions(maze, values), detailed)
    axes.set(xticks=[], yticks=[])
    if not detailed:
        names = {patch.get_label(): patch for patch in axes.patches}
        axes.legend(names.values(), names, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3)
        axes.figure.colorbar(colors, ax=axes, shrink=0.6)


def draw_arrows(axes: Any, maze: Maze, actions: dict[int, int], detailed: bool) -> None:
    """Draws an arrow per action, given by cell; the plain ones are many times as fast."""
    cells = np.array(list(actions), int)
    moves = np.array([MOVES[action] for action in actions.values()]).reshape(-1, 2)
    if not detailed:
        axes.quiver(cells % maze.columns, cells // maze.columns, moves[:, 1], moves[:, 0],
                    angles="xy", scale_units="xy", scale=1.4, units="xy", width=0.09, pivot="mid")
        return
    for cell, (down, right) in zip(cells, moves, strict=True):
        row, column = divmod(int(cell), maze.columns)
        axes.annotate("", (column + 0.3 * right, row + 0.3 * down),
                      (column - 0.3 * right, row - 0.3 * down), arrowprops={"arrowstyle": "->"})


def panel_size(maze: Maze) -> tuple[float, float, bool]:
    """Returns width and height of a policy's panel, and whether its cells have room for text."""
    shape = maze.columns, len(maze.lines)
    width, height = (float(np.clip(CELL * cells, least, MAX_SIDE))
                     for cells, least in zip(shape, PANEL, strict=True))
    return width, height, min(width / shape[0], height / shape[1]) >= DETAILED


def draw_policies(maze: Maze, policies: dict[str, np.ndarray], png: Path) -> None:
    """Draws policies side by side, see `draw_policy`; the keys are their titles."""
    width, height, detailed = panel_size(maze)
    figure, grid = plt.subplots(1, len(policies), figsize=(width * len(policies), height),
                                squeeze=False, layout="constrained")
    best = np.stack([values.max(axis=1) for values in policies.values()])
    scale = min(0, best.min()), max(best.max(), 1.3 * best.max())
    for axes, (title, values) in zip(grid.flat, policies.items(), strict=True):
        draw_policy(axes, maze, values, scale, detailed)
        axes.set_title(title, fontsize=10)
    figures.save_figure(png, figure)


def draw_learning_curve(run_dir: Path, png: Path) -> None:
    """Draws the steps of every episode, by success, and their moving average."""
    episodes, steps = read_curve(run_dir, "train", "episode_steps")
    found = read_curve(run_dir, "train", "success")[1] == 1
    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    axes.plot(episodes[found], steps[found], "o", color="goldenrod", markersize=3,
              label="treasure found")
    axes.plot(episodes[~found], steps[~found], "x", color="tab:red", markersize=4,
              label="not found")
    if len(steps) >= MEAN_OVER:
        means = np.convolve(steps, np.ones(MEAN_OVER) / MEAN_OVER, mode="valid")
        axes.plot(episodes[MEAN_OVER - 1 :], means, label=f"moving average of {MEAN_OVER}")
    axes.set(xlabel="episode", ylabel="steps", ylim=(0, None))
    axes.legend()
    figures.save_figure(png, figure)


def draw_returns(run_dir: Path, png: Path) -> None:
    """Draws the return of every episode in another environment, and the moving average."""
    episodes, returns = read_curve(run_dir, "train", "return")
    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    axes.plot(episodes, returns, ".", color="tab:gray", markersize=3, label="episode")
    if len(returns) >= MEAN_OVER:
        means = np.convolve(returns, np.ones(MEAN_OVER) / MEAN_OVER, mode="valid")
        axes.plot(episodes[MEAN_OVER - 1 :], means, label=f"moving average of {MEAN_OVER}")
    axes.set(xlabel="episode", ylabel="return")
    axes.legend()
    figures.save_figure(png, figure)
