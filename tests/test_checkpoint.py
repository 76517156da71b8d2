"""Stops, kills and full disks: a run resumes as if nothing had happened."""

import contextlib
import gc
import io
import random
import resource
import shutil
import signal
import time
from argparse import Namespace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import (
    CHAPTER,
    LOG_EVERY,
    MAX_STEPS,
    Counter,
    assert_same_end,
    build_net,
    build_parser,
    count,
    deterministic,
    fork,
    load_count,
    logged_steps,
    send,
    start,
    stream,
    values,
)

from common import checkpoint, cli, files, results, rundir
from common.checkpoint import TrainState
from common.errors import Interrupted, UserError, exit_status
from common.monitor import Monitor


def saved_steps(run):
    return sorted(int(path.stem[5:]) for path in (run / "checkpoints").glob("ckpt-*.index"))


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
    return values(*pair, *optimizers)


@deterministic()
def test_loop_stopped_inside_an_epoch_resumes_to_the_last_bit(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    expected = train_pair(whole)
    for step in (7, 11):
        with pytest.raises(Interrupted, match=f"step {step};"):
            train_pair(cut, stop_at=step)
    assert_same_end(whole, cut, expected, train_pair(cut))


STOPPING = "stopping after this step; repeat to stop immediately\n"


def test_a_run_outside_the_folder_of_all_runs_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DL21_RUNS", str(tmp_path / "runs"))
    (mine := tmp_path / "mine").mkdir()
    assert exit_status(lambda: count(mine, body=lambda step: send(signal.SIGINT))) == 130
    assert f"stopped and saved at step 1; --run_dir {mine} continues" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_step_saves_and_exits_130(tmp_path, capsys, number):
    before = signal.getsignal(number)

    def body(step):
        if step == 4:
            send(number)

    assert exit_status(lambda: count(tmp_path, body=body)) == 130
    output = capsys.readouterr()
    assert output.err.count(STOPPING) == 1
    assert "stopped and saved at step 4; --resume continues from there" in output.err
    assert "error:" not in output.err and output.out == ""
    assert signal.getsignal(number) is before
    assert load_count(tmp_path) == 4
    assert exit_status(lambda: count(tmp_path)) == 0
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

    assert exit_status(lambda: count(tmp_path, body=body)) == 130
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
    assert checkpoint.choose(tmp_path, "best") == str(tmp_path / "checkpoints" / "ckpt-1")


def test_best_checkpoint_is_kept_beside_the_latest(tmp_path):
    counter = Counter()
    state = TrainState(tmp_path, {"counter": counter})
    for step, loss in enumerate([3.0, 1.0, 2.0], start=1):
        state.step.assign(step)
        counter.count.assign([step])
        assert state.save_if_best(loss) == (step < 3)
    state.save()
    assert load_count(tmp_path, "best") == 2 and load_count(tmp_path) == 3
    for which in ("best", "latest"):
        usage = results.usage(tmp_path, which)
        assert usage["steps"] == 3 and usage["checkpoint"] == which
    assert float(TrainState(tmp_path, {"counter": Counter()}).best) == 1.0


def test_best_means_the_latest_where_no_best_was_kept(tmp_path, capsys):
    count(tmp_path, max_steps=2)
    assert checkpoint.choose(tmp_path, "best") == checkpoint.choose(tmp_path, "latest")
    capsys.readouterr()
    assert load_count(tmp_path) == 2 and capsys.readouterr().err == ""
    assert load_count(tmp_path, "best") == 2
    assert "there is no best checkpoint: using the latest, " in capsys.readouterr().err
    assert results.usage(tmp_path, "best")["checkpoint"] == "latest"


@pytest.mark.parametrize(("highest", "best"), [
    (False, [True, False, True, False, False]), (True, [True, True, False, True, False]),
])
def test_lowest_or_highest_score_is_the_best_across_resumes(tmp_path, highest, best):
    scores = [-0.5, 0.25, -1.0, 1.5, -1.0]
    for step, (score, expected) in enumerate(zip(scores, best, strict=True), start=1):
        counter = Counter()
        state = TrainState(tmp_path, {"counter": counter})
        state.step.assign(step)
        counter.count.assign([step])
        assert state.save_if_best(score, highest) is expected
        state.save()
    assert float(state.best) == (1.5 if highest else -1.0)
    assert load_count(tmp_path, "best") == (4 if highest else 3)


@pytest.mark.parametrize("pattern", ["ckpt-7.*", "ckpt-7.index"])
def test_older_checkpoint_is_used_where_the_latest_was_deleted(tmp_path, pattern):
    count(tmp_path, max_steps=7)
    for path in (tmp_path / "checkpoints").glob(pattern):
        path.unlink()
    assert checkpoint.choose(tmp_path, "latest") == str(tmp_path / "checkpoints" / "ckpt-6")
    assert load_count(tmp_path) == load_count(tmp_path, "best") == 6
    assert results.usage(tmp_path, "latest")["steps"] == 6
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
    assert checkpoint.choose(tmp_path, "latest") is None
    with pytest.raises(UserError, match=f"{tmp_path} has no latest checkpoint"):
        checkpoint.load(tmp_path, "latest", counter=Counter())
    assert checkpoint.choose(tmp_path, "best") == str(tmp_path / "checkpoints" / "best" / "ckpt-2")
    assert load_count(tmp_path, "best") == 2
    assert results.usage(tmp_path, "best")["steps"] == 2
    assert int(TrainState(tmp_path, {"counter": Counter()}).step) == 0


def test_metrics_without_their_checkpoint_are_kept(tmp_path, capsys):
    count(tmp_path, max_steps=4)
    shutil.rmtree(tmp_path / "checkpoints")
    assert exit_status(lambda: count(tmp_path)) == 2
    assert "ends at step 4, but the run has no checkpoint\nhint: " in capsys.readouterr().err
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
                 lambda: results.usage(tmp_path, "latest")):
        with pytest.raises(UserError, match=f"{path} is damaged") as caught:
            read()
        assert caught.value.hint.startswith(f"delete {path}.*")


@pytest.mark.parametrize("other", [(3, 0.0, 3), (1, 0.0, 3), (2, 0.0, 4)])
def test_another_architecture_is_refused(tmp_path, other):
    save_first(TrainState(tmp_path, {"model": Stack(2, 0.5)}))
    with pytest.raises(UserError, match="does not fit this model"):
        TrainState(tmp_path, {"model": Stack(*other)})
    with pytest.raises(UserError, match="does not fit this model"):
        checkpoint.load(tmp_path, "latest", model=Stack(*other))


@pytest.mark.parametrize("which", ["best", "latest"])
def test_load_without_a_checkpoint(tmp_path, which):
    assert checkpoint.choose(tmp_path, which) is None
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


class Pair(tf.Module):
    def __init__(self, body=3, head=2, value=0.0):
        self.body = tf.Variable(tf.fill(body, value))
        self.head = tf.Variable(tf.fill(head, value))


def save_pair(run, step=1, **sizes):
    state = TrainState(run, {"pair": Pair(**sizes)})
    state.step.assign(step)
    state.save()


def start_pair(pair, init_from, run=None):
    args = Namespace(init_from=init_from, run_dir=run or Path("new"), chapter=CHAPTER)
    checkpoint.start_from(args, pair=pair)
    return [variable.numpy().tolist() for variable in (pair.body, pair.head)]


def test_a_run_starts_from_the_weights_of_another(runs, capsys):
    run = start("--name", "first")
    save_pair(run, value=1.0)
    assert start_pair(Pair(), "first") == start_pair(Pair(), str(run)) == [[1] * 3, [1] * 2]
    assert start_pair(Pair(head=4), "first") == [[1] * 3, [0] * 4]
    path = run / "checkpoints" / "ckpt-1"
    assert capsys.readouterr().err.endswith(
        f"starting from {path}\nnot taken: Variable:0 (4,)\n")
    for there, head in ((["a", "b"], 1), (["a", "c"], 0), (None, 1)):
        config = rundir.read_config(run) | {"class_names": there}
        files.write_json(run / "config.json", config)
        args, pair = Namespace(init_from="first", run_dir=Path("new"), chapter=CHAPTER), Pair()
        checkpoint.start_from(args, ["a", "b"], pair=pair)
        assert float(pair.head[0]) == head
    # Not where there is nothing to start from, nor in a run that has weights of its own.
    assert start_pair(Pair(), None) == start_pair(Pair(), "first", run) == [[0] * 3, [0] * 2]
    with pytest.raises(UserError, match=f"there is no run second, nor {runs / CHAPTER}/second"):
        start_pair(Pair(), "second")
    with pytest.raises(UserError, match="has no checkpoint"):
        start_pair(Pair(), str(start("--name", "empty")))
    with pytest.raises(UserError, match="does not fit this model: pair has 1 weights here"):
        checkpoint.start_from(Namespace(init_from="first", run_dir=runs, chapter=CHAPTER),
                              pair=Counter())


def test_a_step_chooses_its_checkpoint(tmp_path):
    for step in (1, 300):
        save_pair(tmp_path, step, value=float(step))
    pair = Pair()
    assert checkpoint.load(tmp_path, "1", pair=pair).endswith("ckpt-1")
    assert pair.body.numpy().tolist() == [1.0] * 3
    with pytest.raises(UserError, match="has no checkpoint of step 2") as caught:
        checkpoint.load(tmp_path, "2", pair=pair)
    assert caught.value.hint == "it has those of 1, 300"


@pytest.mark.parametrize("schedule", [False, True])
def test_the_learning_rate_is_that_of_the_command(tmp_path, schedule):
    def train(rate, steps):
        variable = tf.Variable([1.0])
        if schedule:
            rate = keras.optimizers.schedules.ExponentialDecay(rate, 1, 0.5)
        optimizer = keras.optimizers.SGD(rate, momentum=0.5)
        module = tf.Module()
        module.variable = variable
        state = TrainState(tmp_path, {"module": module}, {"sgd": (optimizer, [variable])})
        for step in range(int(state.step) + 1, steps + 1):
            state.step.assign(step)
            optimizer.apply([tf.ones(1)], [variable])
        state.save()
        return float(variable[0])

    assert train(0.5, 1) == 0.5
    # The momentum is restored: 0.5 * 0.5 from before, and the new rate.
    assert train(0.25, 2) == 0.5 - 0.25 - (0.125 if schedule else 0.25)


def count_for_ever(folder, save_none, connection):
    def body(step):
        connection.send(step)
        if save_none:
            signal.pause()

    args = cli.resolve(build_parser(), ["--run_dir", folder, "--max_steps", str(10**9)])
    with rundir.open_run(args, dataset_sha256="0", parameters=1) as run:
        count(run, args.max_steps, 1, body, size=1000)


@pytest.mark.slow
def test_kills_at_random_moments_leave_a_run_that_resumes(tmp_path):
    chance = random.Random(0)
    saved = 0
    for kill in range(8):
        with fork(count_for_ever, str(tmp_path), kill == 0) as (process, connection):
            num_steps = chance.randrange(1, 4) if kill else 1
            for step in range(saved + 1, saved + 1 + num_steps):
                assert connection.recv() == step  # the one before it is saved
            time.sleep(chance.uniform(0.0, 0.03))  # a moment within a step or a save
            process.kill()
            process.join()
            with contextlib.suppress(EOFError):
                while True:
                    step = connection.recv()
        saved = rundir.last_step(tmp_path)
        assert saved in (step - 1, step)
        if kill == 0:
            assert saved == 0
        if saved:
            assert load_count(tmp_path, size=1000) == saved
    assert len(rundir.read_config(tmp_path)["history"]) == 8
    count(tmp_path, saved + 3, 1, size=1000)
    assert logged_steps(tmp_path) == list(range(1, saved + 4))


def count_on_a_full_disk(folder, limit, size, connection):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    with contextlib.redirect_stderr(io.StringIO()) as stderr:
        status = exit_status(lambda: count(Path(folder), 6, 1, size=size))
    connection.send((status, stderr.getvalue()))


@pytest.mark.slow
@pytest.mark.parametrize(("what", "size"), [("checkpoint", 50_000), ("metrics.jsonl", 1)])
def test_full_disk_ends_with_two_lines_and_keeps_the_old_checkpoint(tmp_path, what, size):
    count(tmp_path, max_steps=2, save_every=1, size=size)
    metrics = tmp_path / "metrics.jsonl"
    if what == "metrics.jsonl":
        line = metrics.read_text().splitlines(keepends=True)[-1]
        metrics.write_text(line * (100_000 // len(line)))
    with fork(count_on_a_full_disk, str(tmp_path), 100_000, size) as (_, connection):
        status, stderr = connection.recv()
    assert status == 2
    error, hint = stderr.splitlines()[-2:]
    assert error.startswith("error: cannot save step 3" if what == "checkpoint" else "error: ")
    assert hint.startswith("hint: free some space")
    assert load_count(tmp_path, size=size) == 2
    metrics.unlink()
    assert count(tmp_path, 4, 1, size=size) == {"step": 4}
