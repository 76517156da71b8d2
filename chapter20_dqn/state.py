"""Exact resume of an agent: saves beside the checkpoints what is not a tensor.

checkpoints/agent-<step>.npz, one file per checkpoint, holds the replay, the actions of the running
episodes, the random state and the statistics for the next log line.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from chapter20_dqn.agent import Agent
from common.checkpoint import TrainState
from common.errors import UserError

MAX_SAVED = 200_000  # observations; 1.3 GB of frames of 80 x 80
MAX_KEPT = 100 * 10**6  # bytes: the replay of an earlier checkpoint is deleted above it


class AgentState(TrainState):
    """The whole state of a run: that of `TrainState`, and the agent.

    A run that is killed at any time keeps a checkpoint with its file: the new file is complete
    before the new checkpoint is written, and the old ones are removed afterwards.
    """

    def __init__(
        self,
        run_dir: Path,
        agent: Agent,
        models: dict[str, Any],
        optimizers: dict[str, Any],
    ):
        """Restores the latest checkpoint of the run, if it has one, and the agent.

        Args:
            run_dir: the run folder.
            agent: its replay is saved if its capacity is at most `MAX_SAVED` observations.
            models: see `TrainState`.
            optimizers: see `TrainState`.
        """
        self._folder, self._agent = run_dir / "checkpoints", agent
        self._last: tuple[Path, str] | None = None  # latest file of the agent, and its snapshot
        super().__init__(run_dir, models, optimizers)
        if int(self.step):
            self._restore_agent()

    def _path(self) -> Path:
        return self._folder / f"agent-{int(self.step)}.npz"

    def _restore_agent(self) -> None:
        """Restores the agent that was saved with the latest checkpoint."""
        step, path = int(self.step), self._path()
        try:
            with np.load(path) as file:
                self._last = path, str(file["snapshot"])
                self._agent.restore(self._last[1])
                if "counters" in file:
                    self._agent.replay.restore(file)
                    return
        except Exception as error:  # whatever a damaged file leads to
            raise UserError(
                f"{path} cannot be read ({error})",
                f"delete {self._folder}/*-{step}.* to use the checkpoint before it, if there is one"
            ) from error
        self._agent.filled_from = step
        print("the replay of this checkpoint was too large to be kept: it is filled again before "
              "learning resumes, so that the run differs from an uninterrupted one",
              file=sys.stderr)

    def save(self, best: bool = False) -> None:
        """Writes the agent and then a checkpoint; see `TrainState.save`."""
        if best:  # for evaluation, not for resuming
            super().save(best)
            return
        replay, path, snapshot = self._agent.replay, self._path(), self._agent.snapshot()
        self._folder.mkdir(parents=True, exist_ok=True)
        write_agent(path, snapshot, replay.state() if replay.capacity <= MAX_SAVED else {})
        super().save()
        kept = {f"agent-{name.rpartition('-')[2]}.npz" for name in self._latest.checkpoints}
        for old in self._folder.glob("agent-*.npz*"):
            if old.name not in kept:
                old.unlink()
        if self._last and self._last[0] != path and replay_is_large(self._last[0]):
            write_agent(*self._last, {})
        self._last = path, snapshot


def replay_is_large(path: Path) -> bool:
    """Returns whether a file of an agent is there and exceeds `MAX_KEPT`."""
    return path.is_file() and path.stat().st_size > MAX_KEPT


def write_agent(path: Path, snapshot: str, replay: dict[str, np.ndarray]) -> None:
    """Writes the file of an agent atomically.

    Args:
        path: of the file.
        snapshot: from `Agent.snapshot`.
        replay: from `Replay.state`; empty if it is not saved.
    """
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.savez(file, snapshot=np.array(snapshot), **replay)
    part.replace(path)
