"""Stops, kills and full disks: a run goes on as if nothing had happened."""

import contextlib
import gc
import io
import itertools
import json
import multiprocessing
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorflow.python.framework.config import disable_op_determinism

from common import checkpoint, cli, inputs, rundir
from common.checkpoint import FitCallback, TrainState
from common.errors import Interrupted, UserError
from common.monitor import Monitor

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["common.checkpoint"])
DATA = np.random.default_rng(0).normal(size=(42, 2)).astype(np.float32)
BATCH_SIZE = 4
MAX_STEPS = 24
LOG_EVERY = 3


@pytest.fixture(autouse=True)
def _deterministic():
    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    yield
    disable_op_determinism()


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


def send(number=signal.SIGINT):
    signal.raise_signal(number)  # to this very thread: two in a row never count as one


def values(*holders):
    return [variable.numpy() for holder in holders for variable in holder.variables]


def assert_same_end(first, second, arrays, other_arrays):
    assert len(arrays) == len(other_arrays)
    for array, other in zip(arrays, other_arrays, strict=True):
        np.testing.assert_array_equal(array, other)
    lines, other_lines = [(run / "metrics.jsonl").read_text() for run in (first, second)]
    assert len(lines.splitlines()) >= MAX_STEPS // LOG_EVERY
    assert lines == other_lines


def train_pair(run, stop_at=None):
    generator, critic = build_net(2, seed=1), build_net(1, seed=2)
    pair = (generator, critic)
    optimizers = [keras.optimizers.Adam(0.01, beta_1=0.5) for _ in pair]

    @tf.function
    def train_step(points):
        with tf.GradientTape(persistent=True) as tape:
            made = generator(points, training=True)
            scores = critic(tf.concat([points, made], axis=0), training=True)
            real, fake = tf.split(scores, 2)
            losses = tf.reduce_mean(real - fake), tf.reduce_mean(fake)
        for model, optimizer, loss in zip(pair, optimizers, losses[::-1], strict=True):
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)
        return losses

    named = {"generator": generator, "critic": critic}
    state = TrainState(run, named, {
        name: (optimizer, model.trainable_variables)
        for (name, model), optimizer in zip(named.items(), optimizers, strict=True)
    })
    monitor = Monitor(run, int(state.step))
    for step, (points, _) in state.steps(stream(int(state.step)), MAX_STEPS, 5, monitor):
        critic_loss, generator_loss = train_step(points)
        if step == stop_at:
            send()
        if step % LOG_EVERY == 0:
            monitor.scalars(step, {"critic": critic_loss, "generator": generator_loss})
    monitor.close()
    return values(*pair, *optimizers)


def test_loop_stopped_inside_an_epoch_resumes_to_the_last_bit(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    expected = train_pair(whole)
    for step in (7, 11):
        with pytest.raises(Interrupted, match=f"step {step};"):
            train_pair(cut, stop_at=step)
    assert_same_end(whole, cut, expected, train_pair(cut))


class StoppingCallback(FitCallback):
    stop_at = None

    def on_train_batch_begin(self, batch, logs=None):
        if int(self.state.step) + 1 == self.stop_at:
            send()


def fit_net(run, stop_at=None, eval_every=5, patience=MAX_STEPS):
    model = build_net(1, seed=1)
    error = keras.metrics.MeanAbsoluteError(name="error")
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=[error])
    means = [v.value for metric in (model.metrics[0], error) for v in metric.variables]
    state = TrainState(
        run, {"model": model}, {"adam": (model.optimizer, model.trainable_variables)}, means=means
    )
    monitor = Monitor(run, int(state.step))

    def evaluate(step):
        spread = float(tf.math.reduce_std(model(DATA, training=False)))
        monitor.scalars(step, {"spread": spread}, "val")
        return step >= patience

    callback = StoppingCallback(state, monitor, MAX_STEPS, 6, LOG_EVERY, eval_every, evaluate)
    callback.stop_at = stop_at
    callback.fit(model, stream(int(state.step)))
    monitor.close()
    return values(model, model.optimizer)


def test_fit_stopped_inside_a_window_resumes_to_the_last_bit(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    expected = fit_net(whole)
    for step in (7, 11):
        assert step % LOG_EVERY
        with pytest.raises(Interrupted, match=f"step {step};"):
            fit_net(cut, stop_at=step)
    assert_same_end(whole, cut, expected, fit_net(cut))


def test_fit_ends_early_and_saves(tmp_path):
    fit_net(tmp_path, patience=10)
    checkpoint.load(tmp_path, "latest", model=build_net(1, seed=5))
    assert checkpoint.usage(tmp_path, "latest")["checkpoint_step"] == 10


def test_fit_logs_whole_windows_and_the_learning_rate(tmp_path):
    logged = []
    for eval_every in (5, MAX_STEPS):
        run = tmp_path / str(eval_every)
        fit_net(run, eval_every=eval_every)
        lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        logged.append([line for line in lines if line["split"] == "train"])
    often, seldom = logged
    assert often == seldom and len(often) == MAX_STEPS // LOG_EVERY
    for line in often:
        assert set(line) == {"step", "split", "loss", "error", "learning_rate"}
        assert line["learning_rate"] == np.float32(0.01)


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
    monitor.close()
    return {"step": step}


def load_count(run, which="latest", size=1):
    counter = Counter(size)
    assert checkpoint.load(run, which, counter=counter) == checkpoint.newest(run, which)
    step = checkpoint.usage(run, which)["checkpoint_step"]
    assert Path(checkpoint.newest(run, which)).name == f"ckpt-{step}"
    assert (counter.count.numpy() == step).all()
    return step


def logged_steps(run):
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def saved_steps(run):
    return sorted(int(path.stem[5:]) for path in (run / "checkpoints").glob("ckpt-*.index"))


STOPPING = "stopping after this step; once more to stop at once\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_step_saves_and_exits_130(tmp_path, capsys, number):
    before = signal.getsignal(number)

    def body(step):
        if step == 4:
            send(number)

    assert cli.run(lambda: count(tmp_path, body=body)) == 130
    output = capsys.readouterr()
    assert output.err.count(STOPPING) == 1
    assert "stopped and saved at step 4; --resume goes on from there" in output.err
    assert "error:" not in output.err and output.out == ""
    assert signal.getsignal(number) is before
    assert load_count(tmp_path) == 4
    assert cli.run(lambda: count(tmp_path)) == 0
    assert load_count(tmp_path) == 8 and logged_steps(tmp_path) == list(range(1, 9))


@pytest.fixture
def in_foreground():
    """Heeds SIGINT even where a shell that started the tests in the background has it ignored."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


def test_second_signal_acts_as_before(in_foreground, tmp_path, capsys):
    def body(step):
        if step == 5:
            send()
            send()

    assert cli.run(lambda: count(tmp_path, body=body)) == 130
    assert capsys.readouterr().err.endswith(f"{STOPPING}interrupted\n")
    gc.collect()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert load_count(tmp_path) == 3


def test_signal_in_the_last_step_lets_the_run_finish(tmp_path):
    assert count(tmp_path, body=lambda step: step == 8 and send()) == {"step": 8}


def test_signal_while_the_stop_flag_is_read_does_not_skip_the_save(tmp_path):
    class Late:
        answers = iter([False, True])

        def is_set(self):
            return next(self.answers, True)

    counter = Counter()
    state = TrainState(tmp_path, {"counter": counter})
    state.step.assign(2)
    with contextlib.suppress(Interrupted):
        state.end_step(8, 3, Late())
        return
    assert saved_steps(tmp_path) == [2]


def test_saves_first_every_nth_and_last_step_and_keeps_five(tmp_path):
    count(tmp_path, max_steps=7)
    assert saved_steps(tmp_path) == [1, 3, 6, 7]
    count(tmp_path, max_steps=16)
    assert saved_steps(tmp_path) == [7, 9, 12, 15, 16]


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    counter = Counter()
    state = TrainState(tmp_path, {"counter": counter})
    save_first(state)
    state.step.assign(2)
    for value in (float("nan"), float("inf")):
        counter.count.assign([value])
        for best in (False, True):
            with pytest.raises(UserError, match="not finite at step 2"):
                state.save(best)
    assert saved_steps(tmp_path) == [1]
    assert checkpoint.newest(tmp_path, "best") == str(tmp_path / "checkpoints" / "ckpt-1")


def test_best_checkpoint_is_kept_beside_the_newest(tmp_path):
    counter = Counter()
    state = TrainState(tmp_path, {"counter": counter})
    for step, loss in enumerate([3.0, 1.0, 2.0], start=1):
        state.step.assign(step)
        counter.count.assign([step])
        assert state.save_if_best(loss) == (step < 3)
    state.save()
    assert load_count(tmp_path, "best") == 2 and load_count(tmp_path) == 3
    for which in ("best", "latest"):
        usage = checkpoint.usage(tmp_path, which)
        assert usage["steps"] == 3 and usage["checkpoint"] == which
    assert float(TrainState(tmp_path, {"counter": Counter()}).best) == 1.0


def test_best_means_the_newest_where_no_best_was_kept(tmp_path, capsys):
    count(tmp_path, max_steps=2)
    assert checkpoint.newest(tmp_path, "best") == checkpoint.newest(tmp_path, "latest")
    capsys.readouterr()
    assert load_count(tmp_path) == 2 and capsys.readouterr().err == ""
    assert load_count(tmp_path, "best") == 2
    assert "no best checkpoint was kept: taking the newest, " in capsys.readouterr().err
    assert checkpoint.usage(tmp_path, "best")["checkpoint"] == "latest"


@pytest.mark.parametrize("pattern", ["ckpt-7.*", "ckpt-7.index"])
def test_older_checkpoint_is_used_where_the_newest_was_deleted(tmp_path, pattern):
    count(tmp_path, max_steps=7)
    for path in (tmp_path / "checkpoints").glob(pattern):
        path.unlink()
    assert checkpoint.newest(tmp_path, "latest") == str(tmp_path / "checkpoints" / "ckpt-6")
    assert load_count(tmp_path) == load_count(tmp_path, "best") == 6
    assert checkpoint.usage(tmp_path, "latest")["steps"] == 6
    assert count(tmp_path, max_steps=10) == {"step": 10}
    assert load_count(tmp_path) == 10 and logged_steps(tmp_path) == list(range(1, 11))


def test_run_of_which_only_the_best_is_left(tmp_path):
    state = TrainState(tmp_path, {"counter": (counter := Counter())})
    for step in (1, 2):
        state.step.assign(step)
        counter.count.assign([step])
        state.save_if_best(-step)
        state.save()
    for path in (tmp_path / "checkpoints").glob("ckpt-*"):
        path.unlink()
    assert checkpoint.newest(tmp_path, "latest") is None
    with pytest.raises(UserError, match=f"{tmp_path} has no latest checkpoint"):
        checkpoint.load(tmp_path, "latest", counter=Counter())
    assert checkpoint.newest(tmp_path, "best") == str(tmp_path / "checkpoints" / "best" / "ckpt-2")
    assert load_count(tmp_path, "best") == 2
    assert checkpoint.usage(tmp_path, "best")["steps"] == 2
    assert int(TrainState(tmp_path, {"counter": Counter()}).step) == 0


def test_metrics_without_their_checkpoint_are_kept(tmp_path, capsys):
    count(tmp_path, max_steps=4)
    shutil.rmtree(tmp_path / "checkpoints")
    assert cli.run(lambda: count(tmp_path)) == 2
    assert "goes to step 4, but the run has no checkpoint any more\nhint: " in (
        capsys.readouterr().err
    )
    assert logged_steps(tmp_path) == [1, 2, 3, 4] and saved_steps(tmp_path) == []


class Stack(keras.Model):
    def __init__(self, num_layers, value, size=3):
        super().__init__()
        self.stack = [
            keras.layers.Dense(size, kernel_initializer=keras.initializers.Constant(value))
            for _ in range(num_layers)
        ]
        for layer in self.stack:
            layer.build((None, size))
        self.built = True


def save_first(state):
    state.step.assign(1)  # steps count from 1
    state.save()


def test_layers_in_a_plain_list_are_saved_and_restored(tmp_path):
    save_first(TrainState(tmp_path, {"model": Stack(2, 0.5)}))
    loaded, resumed = Stack(2, 0.0), Stack(2, 0.0)
    checkpoint.load(tmp_path, "latest", model=loaded)
    TrainState(tmp_path, {"model": resumed})
    for model in (loaded, resumed):
        assert all((layer.kernel.numpy() == 0.5).all() for layer in model.stack)


@pytest.mark.parametrize(("suffix", "kept"), [("index", 10), ("data-00000-of-00001", 10)])
def test_a_damaged_checkpoint_is_called_so(tmp_path, suffix, kept):
    save_first(TrainState(tmp_path, {"model": Stack(2, 0.5)}))
    path = tmp_path / "checkpoints" / "ckpt-1"
    file = path.with_name(f"{path.name}.{suffix}")
    file.write_bytes(file.read_bytes()[:kept])
    for read in (lambda: TrainState(tmp_path, {"model": Stack(2, 0.0)}),
                 lambda: checkpoint.load(tmp_path, "latest", model=Stack(2, 0.0)),
                 lambda: checkpoint.usage(tmp_path, "latest")):
        with pytest.raises(UserError, match=f"{path} is damaged") as caught:
            read()
        assert caught.value.hint.startswith(f"remove {path}.*")


@pytest.mark.parametrize("other", [(3, 0.0, 3), (1, 0.0, 3), (2, 0.0, 4)])
def test_another_architecture_is_refused(tmp_path, other):
    save_first(TrainState(tmp_path, {"model": Stack(2, 0.5)}))
    with pytest.raises(UserError, match="does not fit this model"):
        TrainState(tmp_path, {"model": Stack(*other)})
    with pytest.raises(UserError, match="does not fit this model"):
        checkpoint.load(tmp_path, "latest", model=Stack(*other))


@pytest.mark.parametrize("which", ["best", "latest"])
def test_load_without_a_checkpoint(tmp_path, which):
    assert checkpoint.newest(tmp_path, which) is None
    with pytest.raises(UserError, match=f"{tmp_path} has no {which} checkpoint"):
        checkpoint.load(tmp_path, which, counter=Counter())


@pytest.mark.parametrize("make", [
    lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    lambda: keras.optimizers.RMSprop(centered=True, momentum=0.9),
    lambda: keras.optimizers.Adam(amsgrad=True, use_ema=True),
    lambda: keras.optimizers.Adam(gradient_accumulation_steps=4),
    lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
], ids=["sgd", "rmsprop", "adam-ema", "accumulate", "loss-scale"])
def test_slots_of_every_optimizer_come_back(tmp_path, make):
    def build():
        model, optimizer = Stack(1, 0.5), make()
        trained = {"optimizer": (optimizer, model.trainable_variables)}
        return model, optimizer, TrainState(tmp_path, {"model": model}, trained)

    model, optimizer, state = build()
    for _ in range(3):
        optimizer.apply([tf.ones(v.shape) for v in model.trainable_variables])
    save_first(state)
    fresh = make()
    fresh.build(model.trainable_variables)
    expected = values(optimizer)
    assert any((a != b).any() for a, b in zip(expected, values(fresh), strict=True))
    for array, other in zip(expected, values(build()[1]), strict=True):
        np.testing.assert_array_equal(array, other)


def count_for_ever(folder, connection):
    presets = {"demo": {}}
    parser = cli.training_parser("", presets)
    args = cli.resolve(parser, presets, "chapter99", ["--run_dir", folder])
    with rundir.open_run(args, dataset_sha256="0", parameters=1) as run:
        count(run, 10**9, 1, lambda step: connection.send(step), size=1000)


@pytest.mark.slow
def test_kills_at_random_moments_leave_a_run_that_goes_on(tmp_path):
    chance = random.Random(0)
    step = 0
    for _ in range(8):
        here, there = FORKS.Pipe(duplex=False)
        process = FORKS.Process(target=count_for_ever, args=(str(tmp_path), there))
        process.start()
        there.close()
        assert here.poll(60)
        assert here.recv() == step + 1
        time.sleep(chance.uniform(0.0, 0.3))
        process.kill()
        process.join()
        reported = step
        with contextlib.suppress(EOFError):
            while True:
                reported = here.recv()
        config = rundir.read_config(tmp_path, "chapter99")
        step = load_count(tmp_path, size=1000)
        assert reported <= step + 1
    assert len(config["history"]) == 8
    count(tmp_path, step + 3, 1, size=1000)
    assert logged_steps(tmp_path) == list(range(1, step + 4))


def count_on_a_full_disk(folder, limit, size, connection):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    with contextlib.redirect_stderr(io.StringIO()) as stderr:
        status = cli.run(lambda: count(Path(folder), 6, 1, size=size))
    connection.send((status, stderr.getvalue()))


@pytest.mark.slow
@pytest.mark.parametrize(("what", "size"), [("checkpoint", 50_000), ("metrics.jsonl", 1)])
def test_full_disk_ends_with_two_lines_and_keeps_the_old_checkpoint(tmp_path, what, size):
    count(tmp_path, max_steps=2, save_every=1, size=size)
    metrics = tmp_path / "metrics.jsonl"
    if what == "metrics.jsonl":
        line = metrics.read_text().splitlines(keepends=True)[-1]
        metrics.write_text(line * (100_000 // len(line)))
    here, there = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=count_on_a_full_disk, args=(str(tmp_path), 100_000, size, there))
    process.start()
    there.close()
    assert here.poll(60)
    status, stderr = here.recv()
    process.join()
    assert status == 2
    error, hint = stderr.splitlines()[-2:]
    assert error.startswith("error: cannot save step 3" if what == "checkpoint" else "error: ")
    assert hint.startswith("hint: free some space")
    assert load_count(tmp_path, size=size) == 2
    metrics.unlink()
    assert count(tmp_path, 4, 1, size=size) == {"step": 4}


INTERRUPTED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from common import cli
from test_common_resume import count, send
sys.exit(cli.run(lambda: count(Path(sys.argv[1]), body=lambda step: step == 5 and send())))
"""


@pytest.mark.slow
def test_stopped_process_has_flushed_what_tensorboard_shows(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, tmp_path, Path(__file__).parent], check=False
    )
    assert done.returncode == 130
    assert shown(tmp_path / "tb" / "train", "count") == [(step, step) for step in range(1, 6)]


def shown(folder, tag):
    events = EventAccumulator(str(folder), tensor_size_guidance={"scalars": 0}).Reload()
    return [(e.step, float(tf.make_ndarray(e.tensor_proto))) for e in events.Tensors(tag)]


def log_six_steps(folder, start, sign, splits):
    monitor = Monitor(Path(folder), start)
    for step in range(start + 1, start + 7):
        for split in splits:
            monitor.scalars(step, {"loss": sign * step}, split)
    monitor.close()


def test_resumed_points_take_the_place_of_orphaned_ones(tmp_path):
    log_six_steps(tmp_path, 0, 1, ["train", "val", "test"])
    for path in (tmp_path / "tb").glob("*/*"):  # an hour ago
        name = re.sub(r"\d{10}", f"{time.time() - 3600:.0f}", path.name, count=1)
        path.rename(path.with_name(name))
    order = [path.name for path in (tmp_path / "tb").glob("*")][::-1]
    process = FORKS.Process(target=log_six_steps, args=(str(tmp_path), 4, -1, order))
    process.start()
    process.join()
    assert process.exitcode == 0
    expected = [(step, step if step <= 4 else -step) for step in range(1, 11)]
    for split in order:
        assert shown(tmp_path / "tb" / split, "loss") == expected
