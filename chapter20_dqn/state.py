"""Exact resume of an agent: saves beside the checkpoints what is not a tensor.

checkpoints/agent-<step>.npz holds the replay, the actions of the running episodes, the random state
and the statistics for the next log line. There is one such file, that of the latest checkpoint.
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
    """The whole state of a run: that of `TrainState`, and the agent.

    A run that is killed at any time keeps a checkpoint with its file: the new file is complete
    before the new checkpoint is written, and the old one is removed afterwards.
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
        super().__init__(run_dir, models, optimizers)
        if int(self.step):
            self._restore_agent()

    def _path(self) -> Path:
        return self._folder / f"agent-{int(self.step)}.npz"

    def _restore_agent(self) -> None:
        """Restores the agent that was saved with the latest checkpoint."""
        try:
            with np.load(self._path()) as file:
                self._agent.restore(str(file["snapshot"]))
                if "counters" in file:
                    self._agent.replay.restore(file)
                else:
                    print(f"a replay of more than {MAX_SAVED:,} observations is not saved: it is "
                          "filled again before learning resumes, so that the run differs from "
                          "an uninterrupted one", file=sys.stderr)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(f"{self._path()} cannot be read ({error})",
                            "start a new run with another --name") from error

    def save(self, best: bool = False) -> None:
        """Writes the agent and then a checkpoint; see `TrainState.save`."""
        if best:  # for evaluation, not for resuming
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
