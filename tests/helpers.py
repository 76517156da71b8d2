"""What tests of several modules share: a small training script, models to train, readers."""

import itertools
import json
import multiprocessing
import os
import signal
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism

from common import checkpoint, cli, inputs, results, rundir
from common.checkpoint import TrainState
from common.errors import UserError
from common.monitor import Monitor
from common.pretrained import NETWORKS

CHAPTER = "chapter99_test"
PRESETS = {"demo": {"size": 2}, "book": {"size": 3, "rate": 0.5}}

# ---------------------------------------------------------------- a training script's flags


def build_parser(script="train.py", **declared):
    parser = cli.training_parser(f"{CHAPTER}/{script}", "Trains.", PRESETS, **declared)
    parser.add_argument("--size", type=cli.positive_int, default=1, help="size")
    parser.add_argument("--rate", type=cli.positive_float, default=0.1, help="rate")
    parser.add_argument("--keep", type=cli.from_0_to_1, default=1.0, help="probability")
    parser.add_argument("--max_steps", type=cli.positive_int, default=10, help="steps")
    parser.add_argument("--data_dir", type=cli.path, default="data", help="folder")
    return parser


def resolve(*argv):
    return cli.resolve(build_parser(), argv)


def start(*argv, sha="a" * 64, parser=None):
    args = cli.resolve(parser or build_parser(), argv)
    with rundir.open_run(args, dataset_sha256=sha, parameters=7) as run:
        return run


def fails(*argv):
    with pytest.raises(UserError) as caught:
        start(*argv)
    assert caught.value.hint
    return str(caught.value)


# ---------------------------------------------------------------- a loop that counts its steps


class Counter(tf.Module):
    def __init__(self, size=1):
        self.count = tf.Variable(tf.zeros(size))


def count(run, max_steps=8, save_every=3, body=lambda step: None, size=1):
    counter = Counter(size)
    state = TrainState(run, {"counter": counter})
    monitor = Monitor(run, int(state.step))
    for step, _ in state.steps(itertools.repeat(None), max_steps, save_every, monitor):
        counter.count.assign_add(tf.ones_like(counter.count))
        monitor.scalars(step, {"count": counter.count[0]})
        body(step)
    return {"step": step}


def load_count(run, which="latest", size=1):
    counter = Counter(size)
    assert checkpoint.load(run, which, counter=counter) == checkpoint.choose(run, which)
    step = results.usage(run, which)["checkpoint_step"]
    assert Path(checkpoint.choose(run, which)).name == f"ckpt-{step}"
    assert (counter.count.numpy() == step).all()
    return step


def logged_steps(run):
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]


# ---------------------------------------------------------------- a network and its data


@contextmanager
def deterministic():
    """Makes trainings comparable bit for bit."""
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    try:
        yield
    finally:
        disable_op_determinism()


DATA = np.random.default_rng(0).normal(size=(42, 2)).astype(np.float32)
BATCH_SIZE = 4
MAX_STEPS = 24
LOG_EVERY = 3


def build_net(num_outputs, seed):
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    return keras.Sequential([
        keras.Input((2,)), layers.Dense(8, "relu"), layers.BatchNormalization(),
        layers.Dropout(0.5, seed=seed), layers.Dense(num_outputs),
    ])


def stream(start):
    def augment(step, indices):
        noise = tf.random.stateless_normal((BATCH_SIZE, 2), tf.stack([step, 7]))
        points = tf.gather(DATA, indices) + 0.1 * noise
        return points, tf.reduce_sum(points, axis=1, keepdims=True)

    return inputs.finish(inputs.index_batches(len(DATA), BATCH_SIZE, 3, start).map(augment))


def build_shallow(input_tensor, alpha, pooling=None, **options):
    """Builds three layers of a MobileNet's names in the place of its 27, which trace slowly."""
    x, layers = input_tensor, keras.layers
    for name, channels in (("conv1", 32), ("conv_pw_1", 64), ("conv_pw_3", 128)):
        x = layers.Conv2D(int(channels * alpha), 3, 2, "same", use_bias=False, name=name)(x)
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
        x = layers.ReLU(6.0, name=f"{name}_relu")(x)
    x = layers.GlobalAveragePooling2D()(x) if pooling else x
    return keras.Model(keras.utils.get_source_inputs(input_tensor), x)


@contextmanager
def shallow_mobilenet():
    """Replaces MobileNet by `build_shallow`; yields what it was."""
    whole = NETWORKS["MobileNet"]
    NETWORKS["MobileNet"] = whole._replace(build=build_shallow)
    try:
        yield whole
    finally:
        NETWORKS["MobileNet"] = whole


def values(*holders):
    return [variable.numpy() for holder in holders for variable in holder.variables]


def assert_same_end(first, second, arrays, other_arrays):
    assert len(arrays) == len(other_arrays)
    for array, other in zip(arrays, other_arrays, strict=True):
        np.testing.assert_array_equal(array, other)
    lines, other_lines = [(run / "metrics.jsonl").read_text() for run in (first, second)]
    assert len(lines.splitlines()) >= MAX_STEPS // LOG_EVERY
    assert lines == other_lines


# ---------------------------------------------------------------- signals and processes


def state_of(run: Path) -> dict:
    """Everything in a run's newest checkpoint but the clocks."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(run / "checkpoints")))
    names = [n for n in reader.get_variable_to_shape_map() if "_seconds" not in n]
    return {n: np.array(reader.get_tensor(n)) for n in names if n != "_CHECKPOINTABLE_OBJECT_GRAPH"
            and not n.startswith("save_counter")}


def interrupt_after(monkeypatch, step: int) -> None:
    """Sends this process a real SIGINT at the end of a step."""
    end_step = checkpoint.TrainState.end_step

    def end_step_with_signal(self, *args):
        if int(self.step) == step:
            os.kill(os.getpid(), signal.SIGINT)
        end_step(self, *args)

    monkeypatch.setattr(checkpoint.TrainState, "end_step", end_step_with_signal)


def send(number=signal.SIGINT):
    signal.raise_signal(number)  # to this very thread: two in a row never count as one


FORKS = multiprocessing.get_context("forkserver")  # a fork has TensorFlow loaded already
FORKS.set_forkserver_preload(["common.checkpoint"])


@contextmanager
def fork(target, *args):
    """Runs `target(*args, connection)` in another process, which is killed at the latest here.

    Yields the process and the connection on which it sends.
    """
    here, there = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=target, args=(*args, there))
    process.start()
    there.close()
    try:
        yield process, here
    finally:
        process.kill()
        process.join()
