"""Exact resume for an agent: what is no tensor is saved beside the checkpoints.

checkpoints/agent-<step>.npz holds the replay, the running episodes' actions, the random numbers'
state and the averages of the next log line. There is one such file, of the newest checkpoint.
"""

import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from chapter20_dqn.agent import Agent
from common.checkpoint import TrainState
from common.errors import UserError

MAX_SAVED = 200_000  # observations; 1.3 GB of frames of 80 x 80


class AgentState(TrainState):
    """A run's whole state: what `TrainState` holds, and the agent.

    A kill at any time leaves a checkpoint with its file: the new file is whole before the new
    checkpoint is written, the old one is removed after.
    """

    def __init__(
        self,
        run_dir: Path,
        agent: Agent,
        models: dict[str, Any],
        optimizers: dict[str, Any],
    ):
        """Restores the newest checkpoint of the run, if it has one, and the agent.

        Args:
            run_dir: the run folder.
            agent: its replay is saved if it has room for `MAX_SAVED` observations at most.
            models: see `TrainState`.
            optimizers: see `TrainState`.
        """
        self._folder, self._agent = run_dir / "checkpoints", agent
        super().__init__(run_dir, models, optimizers)
        if int(self.step):
            self._restore_agent()

    def _path(self) -> Path:
        return self._folder / f"agent-{int(self.step)}.npz"

    def _restore_agent(self) -> None:
        """Reads what was saved with the newest checkpoint."""
        try:
            with np.load(self._path()) as file:
                self._agent.restore(str(file["snapshot"]))
                if "counters" in file:
                    self._agent.replay.restore(file)
                else:
                    print(f"a replay of more than {MAX_SAVED:,} observations is not saved: it is "
                          "filled anew before learning goes on, so that the run is not exactly "
                          "what it would have been without a stop", file=sys.stderr)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{self._path()} cannot be read ({error})",
                            "start a new run with another --name") from error

    def save(self, best: bool = False) -> None:
        """Writes a checkpoint, and before it the agent; see `TrainState.save`."""
        if best:  # is for playing, not for going on
            super().save(best)
            return
        replay, path = self._agent.replay, self._path()
        saved = replay.state() if replay.capacity <= MAX_SAVED else {}
        part = path.with_name(path.name + ".part")
        self._folder.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, snapshot=np.array(self._agent.snapshot()), **saved)
        part.replace(path)
        super().save()
        for old in self._folder.glob("agent-*.npz*"):
            if old != path:
                old.unlink()
