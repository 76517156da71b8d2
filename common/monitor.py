"""Writes metrics to TensorBoard, metrics.jsonl and the console in one call."""

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto import event_pb2
from tqdm import tqdm

from common.errors import UserError

CONSOLE_SECONDS = 5.0  # between two lines if the output is not a terminal


def read_curve(run_dir: Path, split: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the steps and values of a metric that a run logged for a split."""
    records = [record for _, record in _whole_lines(run_dir / "metrics.jsonl")
               if record["split"] == split and name in record]
    return (np.array([record["step"] for record in records], int),
            np.array([record[name] for record in records], float))


def _whole_lines(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Returns the lines of metrics.jsonl and their records, without an incomplete last line.

    Raises:
        UserError: a complete line is damaged.
    """
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    found = []
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if line.endswith("\n"):
            try:
                record = json.loads(line)
                int(record["step"]), str(record["split"])
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                raise UserError(f"{path}, line {number} is no record of metrics ({error})",
                                "delete that line") from error
            found.append((line, record))
    return found


class Monitor:
    """Writes the metrics, images and texts of a run by optimizer step.

    metrics.jsonl holds only what is reproducible bit for bit; speeds are written to TensorBoard
    alone.
    """

    def __init__(self, run_dir: Path, step: int):
        """Removes what was logged after `step`, the restored step."""
        self._bar: tqdm | None = None
        self._path = run_dir / "metrics.jsonl"
        self._writers: dict[str, tf.summary.SummaryWriter] = {}
        self._folder = run_dir / "tb"
        self._printed = -math.inf
        self._clock = time.monotonic(), step
        if self._path.exists():
            self._drop_after(step)

    def _drop_after(self, step: int) -> None:
        """Removes what a killed run logged after its last checkpoint."""
        lines = _whole_lines(self._path)
        kept = [line for line, record in lines if record["step"] <= step]
        if step == 0 and lines and (last := lines[-1][1]["step"]) > 1:
            raise UserError(
                f"{self._path} ends at step {last}, but the run has no checkpoint",
                "restore its checkpoints, or start a new run with another --name",
            )
        part = self._path.with_name(self._path.name + ".part")
        part.write_text("".join(kept), encoding="utf-8")
        part.replace(self._path)
        for folder in self._folder.glob("*"):  # TensorBoard discards later points here
            # "-" sorts it before files that this run opens in the same second.
            name = f"events.out.tfevents.{int(time.time()):010d}.-resume"
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            with tf.io.TFRecordWriter(str(folder / name)) as writer:
                for event in ({"file_version": "brain.Event:2"},
                              {"step": step + 1, "session_log": start},  # the first one
                              {"step": step + 1, "session_log": start}):  # has no effect
                    event = event_pb2.Event(wall_time=time.time(), **event)
                    writer.write(event.SerializeToString())

    def writer(self, split: str) -> tf.summary.SummaryWriter:
        """Returns the TensorBoard writer of tb/<split>, for other kinds of summaries."""
        if split not in self._writers:
            self._writers[split] = tf.summary.create_file_writer(str(self._folder / split))
        return self._writers[split]

    def scalars(self, step: int, metrics: Mapping[str, Any], split: str = "train") -> None:
        """Writes metrics by name.

        Raises:
            UserError: a value is not finite.
        """
        values = {name: float(value) for name, value in metrics.items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise UserError(
                    f"{name} is {value} at step {step}",
                    "start a new run with a lower --learning_rate",
                )
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "split": split, **values}) + "\n")
        with self.writer(split).as_default(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
            if split == "train":
                tf.summary.scalar("steps_per_second", self._speed(step))
        self._show(step, values, split)

    def _speed(self, step: int) -> float:
        """Returns the steps per second since the last call."""
        now = time.monotonic()
        seconds, steps = now - self._clock[0], step - self._clock[1]
        self._clock = now, step
        return steps / max(seconds, 1e-9)

    def _show(self, step: int, values: dict[str, float], split: str) -> None:
        """Shows metrics on stderr: beside the progress bar of a terminal, else on lines."""
        text = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        if split == "train" and self._bar is not None and not self._bar.disable:
            self._bar.set_postfix_str(text, refresh=False)
        elif split != "train" or time.monotonic() - self._printed > CONSOLE_SECONDS:
            self._printed = time.monotonic()
            tqdm.write(f"step {step}  {split}  {text}", file=sys.stderr)

    def images(self, step: int, name: str, images: Any, split: str = "train") -> None:
        """Writes images: uint8, or float in [0, 1], of shape (count, height, width, channels)."""
        with self.writer(split).as_default(step):
            tf.summary.image(name, images, max_outputs=len(images))

    def text(self, step: int, name: str, text: str, split: str = "train") -> None:
        """Writes a text verbatim, as a code block, because TensorBoard renders Markdown."""
        with self.writer(split).as_default(step):
            tf.summary.text(name, "\n".join("    " + line for line in text.splitlines()))

    @contextmanager
    def showing(self, bar: tqdm) -> Iterator[None]:
        """Shows metrics beside a progress bar during training; then closes all writers."""
        self._bar = bar
        try:
            yield
        finally:
            self._bar = None
            while self._writers:
                self._writers.popitem()[1].close()
