"""Metrics in metrics.jsonl, in TensorBoard and on the console."""

import io
import json
import re
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from helpers import FORKS, count, send
from PIL import Image
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tqdm import tqdm

from common.errors import UserError, exit_status
from common.monitor import Monitor, read_curve


def points(folder):
    events = EventAccumulator(str(folder), tensor_size_guidance={"scalars": 0}).Reload()
    return {
        tag: [(event.step, tf.make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


def numbers(folder, tag):
    return [(step, float(value)) for step, value in points(folder)[tag]]


def test_monitor_writes_lines_and_points(tmp_path, capsys):
    monitor = Monitor(tmp_path, 0)
    with monitor.showing(tqdm(disable=True)):
        monitor.scalars(1, {"loss": tf.constant(0.5), "accuracy": np.float32(0.25)})
        monitor.scalars(2, {"loss": 0.25, "accuracy": 1})
        monitor.scalars(2, {"loss": 0.75}, "val")
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [
        {"step": 1, "split": "train", "loss": 0.5, "accuracy": 0.25},
        {"step": 2, "split": "train", "loss": 0.25, "accuracy": 1.0},
        {"step": 2, "split": "val", "loss": 0.75},
    ]
    steps, losses = read_curve(tmp_path, "train", "loss")
    assert steps.tolist() == [1, 2] and losses.tolist() == [0.5, 0.25]
    assert len(read_curve(tmp_path, "val", "accuracy")[0]) == 0
    assert numbers(tmp_path / "tb" / "train", "loss") == [(1, 0.5), (2, 0.25)]
    assert numbers(tmp_path / "tb" / "val", "loss") == [(2, 0.75)]
    assert set(points(tmp_path / "tb" / "train")) == {"loss", "accuracy", "steps_per_second"}
    output = capsys.readouterr()
    assert output.out == "" and "step 2  val  loss 0.75" in output.err


@pytest.mark.parametrize("value", [float("nan"), float("inf"), tf.constant(-np.inf)])
def test_monitor_stops_at_numbers_that_are_none(tmp_path, value):
    monitor = Monitor(tmp_path, 0)
    with pytest.raises(UserError, match=rf"loss is {float(value)} at step 3") as caught:
        monitor.scalars(3, {"accuracy": 1.0, "loss": value})
    assert "--learning_rate" in caught.value.hint
    assert not (tmp_path / "metrics.jsonl").exists()


@pytest.mark.parametrize("torn", ["", '{"step": 7, "spl', '{"step": 3'])
def test_monitor_drops_lines_after_the_restored_step(tmp_path, torn):
    monitor = Monitor(tmp_path, 0)
    for step in range(1, 7):
        monitor.scalars(step, {"loss": step})
    path = tmp_path / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines) + torn)
    Monitor(tmp_path, 4).scalars(5, {"loss": 5})
    assert path.read_text() == "".join(lines[:5])


def test_a_damaged_line_of_the_metrics_is_named(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "split": "train", "loss": 2.5}\n{"step": 2, "spl')
    assert read_curve(tmp_path, "train", "loss")[1].tolist() == [2.5]  # the last is torn
    for line in ('{"step\\xff', "[]", "3", '{"split": "train"}', '{"step": "a", "split": "val"}',
                 '{"step": 2}', '{"step": Infinity, "split": "val"}', "[" * 100_000):
        path.write_text(f'{{"step": 1, "split": "train"}}\n{line}\n')
        for read in (lambda: read_curve(tmp_path, "train", "loss"), lambda: Monitor(tmp_path, 1)):
            with pytest.raises(UserError, match=f"{path}, line 2 is no record of metrics"):
                read()


def test_monitor_refuses_to_drop_what_no_checkpoint_covers(tmp_path):
    Monitor(tmp_path, 0).scalars(1, {"loss": 1})
    path = tmp_path / "metrics.jsonl"
    monitor = Monitor(tmp_path, 0)  # killed before the first step was saved
    assert path.read_text() == ""
    for step in (1, 2):
        monitor.scalars(step, {"loss": step})
    before = path.read_bytes()
    with pytest.raises(UserError, match=f"{path} ends at step 2, but the run has no checkpoint"):
        Monitor(tmp_path, 0)
    assert path.read_bytes() == before and len(list(tmp_path.glob("tb/*/*-resume"))) == 1
    Monitor(tmp_path, 1)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1]


def test_monitor_shows_images_and_text(tmp_path):
    monitor = Monitor(tmp_path, 0)
    with monitor.showing(tqdm(disable=True)):
        monitor.images(3, "digits", np.zeros((2, 4, 5, 1), np.uint8))
        monitor.text(3, "samples", "one\n# two")
    shown = points(tmp_path / "tb" / "train")
    ((step, (width, height, *pictures)),) = shown["digits"]
    assert (step, width, height, len(pictures)) == (3, b"5", b"4", 2)
    assert Image.open(io.BytesIO(pictures[0])).size == (5, 4)
    ((step, text),) = shown["samples"]
    assert (step, text.item()) == (3, b"    one\n    # two")


def test_what_is_written_after_a_run_is_shown_too(tmp_path):
    monitor = Monitor(tmp_path, 0)
    for step in (1, 2):
        with monitor.showing(tqdm(disable=True)):
            monitor.scalars(step, {"loss": step})
        assert numbers(tmp_path / "tb" / "train", "loss")[-1] == (step, step)
    monitor.scalars(2, {"accuracy": 0.5})
    del monitor
    assert numbers(tmp_path / "tb" / "train", "loss") == [(1, 1), (2, 2)]
    assert numbers(tmp_path / "tb" / "train", "accuracy") == [(2, 0.5)]


def interrupt(run):
    sys.exit(exit_status(lambda: count(run, body=lambda step: step == 5 and send())))


def test_stopped_process_has_flushed_what_tensorboard_shows(tmp_path):
    process = FORKS.Process(target=interrupt, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 130
    assert numbers(tmp_path / "tb" / "train", "count") == [(step, step) for step in range(1, 6)]


def log_six_steps(run, start, sign, splits):
    monitor = Monitor(run, start)
    with monitor.showing(tqdm(disable=True)):
        for step in range(start + 1, start + 7):
            for split in splits:
                monitor.scalars(step, {"loss": sign * step}, split)


def test_resumed_points_take_the_place_of_orphaned_ones(tmp_path):
    log_six_steps(tmp_path, 0, 1, ["train", "val", "test"])
    for path in (tmp_path / "tb").glob("*/*"):  # an hour ago
        name = re.sub(r"\d{10}", f"{time.time() - 3600:.0f}", path.name, count=1)
        path.rename(path.with_name(name))
    order = [path.name for path in (tmp_path / "tb").glob("*")][::-1]
    process = FORKS.Process(target=log_six_steps, args=(tmp_path, 4, -1, order))
    process.start()
    process.join()
    assert process.exitcode == 0
    expected = [(step, step if step <= 4 else -step) for step in range(1, 11)]
    for split in order:
        assert numbers(tmp_path / "tb" / split, "loss") == expected
