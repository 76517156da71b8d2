"""What every chapter promises, tested on every chapter alike: a new chapter adds its row."""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_serving
from figure_rows import Row, read
from helpers import interrupt_after, state_of

from chapter05_detection import shapes
from chapter09_pix2pix import data as pix2pix_data
from chapter10_super_resolution import data as pictures_data
from chapter11_cyclegan import data as cyclegan_data
from chapter16_nmt import data as nmt_data
from chapter17_image_caption import data as captions_data
from common import files, formats, rundir
from common.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
FURNITURE = frozenset({"README.md", "README.zh-CN.md", "data.py", "model.py", "inference.py",
                       "train.py", "eval.py", "export.py"})


@dataclass(frozen=True)
class Chapter:
    """How a training script of a chapter is tried: in tiny sizes, and what a copy of it needs."""

    name: str
    train: tuple[str, ...]
    idle: tuple[str, ...]  # flags of which the last has no effect beside the others, or none here
    verbs: tuple[tuple[str, ...], ...] = ()  # scripts of its own, with arguments
    needs: tuple[str, ...] = field(default=())  # chapters it imports
    random: bool = True  # a checkpoint holds a state of random numbers (dropout, an agent's)
    furniture: frozenset[str] = FURNITURE  # a maze takes the place of data, in chapters 18 and 19
    script: str = "train"  # that trains it

    def module(self, script: str):
        return importlib.import_module(f"{self.name}.{script}")

    def main(self, script: str, *argv: str) -> int:
        return self.module(script).main(list(argv))


def tiny(name: str, *train: str, idle: str, **rest) -> Chapter:
    return Chapter(name, ("--log_every", "1", "--eval_every", "4", *train), tuple(idle.split()),
                   **rest)


CHAPTERS = [
    tiny("chapter01_mnist", "--model", "conv", "--augment", "--batch_size", "8",
         idle="--loss_reduction sum", verbs=(("save_images", "--num_images", "3"),)),
    tiny("chapter01_mnist", "--augment", "--batch_size", "8", idle="--keep_prob 0.3",
         script="train_softmax", random=False),
    tiny("chapter02_cifar", "--batch_size", "8", random=False,
         idle="--schedule one_cycle --num_epochs_per_decay 3",
         verbs=(("extract", "--num_images", "3"), ("augment", "--num_images", "3"),
                ("read_demo", "--shuffle"))),
    tiny("chapter03_finetune", "--image_size", "32", "--batch_size", "4",
         "--learning_rate_decay_type", "fixed", "--class_weight", "balanced",
         idle="--optimizer sgd --ftrl_l1 3",
         verbs=(("data",), ("predict", f"{ROOT}/docs/images/chapter03_textures.jpg"),
                ("grad_cam", f"{ROOT}/docs/images/chapter03_textures.jpg"))),
    Chapter("chapter04_deepdream",
            (*(NETWORK := ("--network", "MobileNet", "--alpha", "0.25", "--weights", "none")),
             "--layer", "conv_pw_3_bn:3+5", "--size", "64", "--tile_size", "48", "--octaves", "3",
             "--iterations", "4"),
            ("--octaves", "1", "--octave_scale", "2"),
            needs=("chapter02_cifar", "chapter03_finetune"), random=False,
            verbs=(("data",), ("layers", *NETWORK),
                   ("layers", *NETWORK, "--atlas", "conv_pw_3_bn", "--channels", "0-2", "--size",
                    "32", "--iterations", "1"),
                   ("compare", "run", "--start"), ("zoom", "--zoom_frames", "2"))),
    tiny("chapter05_detection", "--batch_size", "2", "--optimizer", "momentum", "--schedule",
         "constant", random=False,
         idle="--optimizer adamw --momentum 0.5", needs=("chapter03_finetune",),
         verbs=(("data", "--draw"), ("check_anchors",),
                ("predict", f"{ROOT}/docs/images/chapter05_raccoon.jpg"))),
    tiny("chapter05_detection", "--batch_size", "2", "--optimizer", "momentum", "--schedule",
         "constant", random=False, script="train_faster_rcnn", idle="--decay_factor 0.5",
         needs=("chapter03_finetune",),
         verbs=(("eval", "--proposals", "grid"),
                ("time_stages", "--pipeline_config_path", "faster_rcnn_shapes", "--counts", "2",
                 "--repeats", "1"))),
    tiny("chapter06_face", *(FACES := ("--cartoon_people", "10", "--cartoon_photos", "3",
                                       "--image_size", "32", "--embedding_size", "8")),
         "--batch_size", "8", idle="--loss softmax --arcface_margin 0.5", random=False,
         needs=("chapter05_detection",), verbs=(("data", *FACES[:6]),)),
    tiny("chapter06_face", *FACES, "--people_per_batch", "4", "--images_per_person", "2",
         script="train_triplet", random=False, idle="--model_def small --layer x",
         needs=("chapter05_detection",)),
    Chapter("chapter06_face", ("--num_scenes", "4", "--steps_per_network", "4", "--batch_size",
                               "8", "--log_every", "1"), ("--eval_every", "3"),
            needs=("chapter05_detection",), random=False, script="train_mtcnn"),
    tiny("chapter07_style_transfer", "--width", "4", "--image_size", "32", "--scale_size", "40",
         "--style_size", "48", "--batch_size", "2", "--schedule", "constant", random=False,
         idle="--generator book --norm batch", needs=("chapter02_cifar", "chapter03_finetune",
                                                      "chapter04_deepdream"),
         verbs=(("data",),
                ("stylize", f"{ROOT}/docs/images/chapter03_textures.jpg", "--size", "64"),
                ("optimize", f"{ROOT}/docs/images/chapter03_textures.jpg", "--size", "48",
                 "--steps", "2"))),
    tiny("chapter08_dcgan", "--dataset", "faces", "--num_faces", "48", "--image_size", "16",
         "--width", "4", "--batch_size", "4", "--kid_images", "8", "--sample_every", "4",
         "--random_flip", "--augment", "cutout",
         *NETWORK, idle="--model book --width 3", random=False,
         needs=("chapter01_mnist", "chapter02_cifar", "chapter03_finetune", "chapter04_deepdream",
                "chapter06_face"),
         verbs=(("data",), ("generate", "--num", "3"), ("interpolate", "--rows", "2"),
                ("visualize", "--option", "4", "--dimensions", "2"),
                ("arithmetic", "--plus", "0,1", "--minus", "2", "--to", "3"),
                ("filmstrip", "--epochs", "1,2", "--rows", "2"))),
    tiny("chapter09_pix2pix", "--netG", "encoder_decoder", "--crop_size", "32", "--scale_size",
         "36", "--ngf", "4", "--ndf", "4", "--dropout", "--batch_size", "2", "--schedule",
         "constant", idle="--gan_weight 0 --ndf 5",
         verbs=(("data",), ("translate", f"{ROOT}/docs/images/chapter03_textures.jpg"),
                ("translate", f"{ROOT}/docs/images/chapter03_textures.jpg", "--original_mode"))),
    tiny("chapter10_super_resolution", "--blocks", "1", "--width", "4", "--patch_size", "8",
         "--batch_size", "2", "--schedule", "constant", random=False,
         idle="--schedule cosine --halve_every 3",
         verbs=(("data",), ("upscale", f"{ROOT}/docs/images/chapter06_hardest.png"))),
    tiny("chapter10_super_resolution", "--blocks", "1", "--width", "4", "--patch_size", "8",
         "--batch_size", "2", "--ndf", "2", "--schedule", "constant", random=False,
         script="train_srgan", idle="--perceptual_weight 0 --perceptual_layer block1_conv1",
         needs=("chapter09_pix2pix",)),
    tiny("chapter11_cyclegan", "--image_size", "32", "--ngf", "4", "--ndf", "4", "--blocks", "1",
         "--pool_size", "3", "--schedule", "constant", idle="--fold 0", random=False,
         needs=("chapter03_finetune", "chapter09_pix2pix"),
         verbs=(("data",), ("translate", f"{ROOT}/docs/images/chapter03_textures.jpg"),
                ("translate", f"{ROOT}/docs/images/chapter03_textures.jpg", "--direction", "YtoX",
                 "--size", "40"),
                ("compare", "run", "--num", "2"))),
    tiny("chapter11_cyclegan", "--image_size", "32", "--ngf", "4", "--ndf", "4", "--blocks", "1",
         "--nce_patches", "16", "--schedule", "constant", idle="--fold 0", random=False,
         script="train_cut", needs=("chapter03_finetune", "chapter09_pix2pix"),
         verbs=(("translate", f"{ROOT}/docs/images/chapter03_textures.jpg"),
                ("compare", "run", "--num", "2"))),
    tiny("chapter12_char_rnn", "--num_seqs", "4", "--num_steps", "6", "--lstm_size", "8",
         "--embedding_size", "4", "--sample_length", "5", "--max_vocab", "50",
         idle="--no-use_embedding --embedding_size 4",
         verbs=(("sample", "--max_length", "5"),)),
    tiny("chapter13_sequence_classification", "--batch_size", "8", "--lstm_size", "8",
         "--schedule", "constant", idle="--num_filters 3",
         verbs=(("data",), ("predict", "7", "8", "9"))),
    tiny("chapter13_sequence_classification", "--batch_size", "8", "--max_tokens", "20",
         "--vocabulary_size", "200", "--embedding_size", "8", "--schedule", "constant",
         script="train_texts", idle="--model bag --num_filters 3",
         verbs=(("predict", "reads a file"),)),
    tiny("chapter14_word2vec", "--vocabulary_size", "300", "--embedding_size", "8",
         "--num_sampled", "5", "--batch_size", "8", random=False,
         idle="--model cbow --num_skips 2",
         verbs=(("data",), ("analogy", "method", "-", "a", "+", "the"))),
    tiny("chapter15_time_series", "--batch_size", "4", random=False, idle="--model lstm --l2 3",
         verbs=(("data",), ("forecast", "--steps", "25"))),
    tiny("chapter16_nmt", "--num_units", "8", "--encoder_type", "uni", "--num_layers", "1",
         "--batch_size", "8", "--schedule", "decay", "--metrics", "bleu,rouge",
         idle="--attention none --attention_architecture gnmt",
         verbs=(("data",), ("translate", "The cook eats an egg."),
                ("eval", "--against", "run", "--beam_width", "2"))),
    tiny("chapter17_image_caption", "--num_lstm_units", "8", "--embedding_size", "8",
         "--encoder_width", "4", "--batch_size", "8", "--schedule", "constant",
         "--pretrain_steps", "3", idle="--model attend --context every_step",
         needs=("chapter16_nmt",),
         verbs=(("data",), ("caption", "--overlay", "--block_repeats", "2"),
                ("caption", f"{ROOT}/docs/images/chapter03_textures.jpg"),
                ("eval", "--watch", "1"))),
    tiny("chapter18_q_learning", furniture=FURNITURE - {"data.py"} | {"env.py"},
         idle="--speed 20", verbs=(("env", "--map", "traps"),)),
    tiny("chapter19_sarsa", furniture=FURNITURE - {"data.py", "model.py", "inference.py"},
         idle="--trace_decay 0.5",
         needs=("chapter18_q_learning",), verbs=(("compare", "--seeds", "1"),)),
    tiny("chapter20_dqn", "--t_learn_start", "2", "--t_train_freq", "1", "--batch_size", "4",
         "--gradient_steps", "2", "--mlp_units", "[8]", "--max_episode_steps", "8",
         random=False, idle="--momentum 0.5", verbs=(("data",), ("play", "--num_episodes", "1"))),
    tiny("chapter21_policy_gradient", "--batch_size", "2", "--max_episode_steps", "15",
         "--stop", "never", random=False, idle="--baseline value --normalize_over batch",
         needs=("chapter20_dqn",),
         verbs=(("data",), ("play", "--num_episodes", "1"))),
    tiny("chapter21_policy_gradient", "--preset", "pendulum", "--hidden_size", "8",
         "--num_envs", "2", "--num_steps", "6", "--minibatch_size", "4", "--update_epochs", "2",
         "--anneal_steps", "12", "--max_episode_steps", "15", script="train_ppo", random=False,
         idle="--batch_size 3", needs=("chapter20_dqn",),
         verbs=(("data", "--env_name", "Pendulum-v1"), ("play", "--num_episodes", "1"),
                ("play", "--sample"))),
    tiny("appendix_a_numpy_rnn", "--hidden_size", "4", random=False, idle="--momentum 0.5",
         verbs=(("data",), ("sample", "--num_samples", "2"))),
    tiny("appendix_b_jazz", "--num_windows", "12", "--window", "6", "--batch_size", "4",
         "--lstm_size", "8", "--dropout", "0.2", idle="--momentum 0.5",
         verbs=(("data",), ("generate", "--measures", "2"))),
]
# Every folder keeps the part of the contract that is about scripts and pages; in the last ones,
# nothing is trained.
FOLDERS = [*dict.fromkeys(chapter.name for chapter in CHAPTERS), "appendix_c_image_processing",
           "appendix_d_camera"]
WITH_FORMATS = ("chapter01_mnist", "chapter02_cifar", "chapter03_finetune")
# Whose exports appendix D lists, beside chapter 6's cascade.
CAMERA = {"chapter01_mnist", "chapter02_cifar", "chapter03_finetune", "chapter05_detection",
          "chapter07_style_transfer", "chapter09_pix2pix", "chapter10_super_resolution",
          "chapter11_cyclegan", "chapter17_image_caption"}
FIGURES = read()
STEPS = 10  # with batch k a pure function of (seed, k), where an epoch ends makes no difference


@pytest.fixture(params=CHAPTERS, ids=lambda chapter: f"{chapter.name}-{chapter.script}")
def chapter(request) -> Chapter:
    return request.param


@pytest.fixture(autouse=True, scope="module")
def deterministic():
    tf.config.experimental.enable_op_determinism()


# What chapters promise does not depend on the depth of their network.
pytestmark = pytest.mark.usefixtures("shallow")


@pytest.fixture(autouse=True, scope="module")
def few_scenes(tmp_path_factory):
    """Gives chapter 5 sixteen scenes in the place of 560, chapters 9 to 11 a few drawings."""
    folder, default_dir = tmp_path_factory.mktemp("data") / "shapes", files.default_dir
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "COUNTS", {"train": 8, "val": 4, "test": 4})
        patch.setattr(files, "default_dir",
                      lambda name: folder if name == folder.name else default_dir(name))
        shapes.write(folder)
        for module in (pix2pix_data, pictures_data):
            patch.setattr(module, "DRAWN", {"train": 6, "validation": 2, "test": 3})
        patch.setattr(cyclegan_data, "DRAWN", {"train": 6, "test": 3})
        yield


@pytest.fixture(autouse=True, scope="module")
def few_sentences():
    """Gives chapter 16 sixty sentences in the place of thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nmt_data, "GRAMMAR", {"train": 40, "dev": 8, "test": 12})
        yield


@pytest.fixture(autouse=True, scope="module")
def few_pictures():
    """Gives chapter 17 thirty scenes in the place of thousands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(captions_data, "DRAWN", {"train": 20, "validation": 4, "test": 6})
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Callable[[Chapter], Path]:
    """Returns a function that trains a chapter once, and copies that run for each test."""
    folder = tmp_path_factory.mktemp("trained")

    def copy(chapter: Chapter) -> Path:
        run = folder / f"{chapter.name}-{chapter.script}"
        if not run.exists():
            assert chapter.main(chapter.script, *chapter.train, "--max_steps", str(STEPS),
                                "--run_dir", str(run)) == 0
        return shutil.copytree(run, run_dir(chapter, "run"))

    return copy


def train(chapter: Chapter, name: str, steps: int = STEPS, *argv: str) -> int:
    return chapter.main(chapter.script, *chapter.train, "--max_steps", str(steps), "--name", name,
                        *argv)


def run_dir(chapter: Chapter, name: str) -> Path:
    return rundir.runs_dir() / chapter.name / name


def tags_of(run: Path) -> set[tuple[str, str]]:
    """The names of everything that TensorBoard shows of a run, beside tb/<name>."""
    return {(path.parent.name, value.tag) for path in (run / "tb").rglob("events*")
            for event in tf.compat.v1.train.summary_iterator(str(path))
            for value in event.summary.value}


def test_interrupted_and_resumed_equals_uninterrupted(chapter, trained, monkeypatch, capfd):
    whole = trained(chapter)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 5)
        assert train(chapter, "parts") == 130
    assert "step 5" in capfd.readouterr().err
    assert chapter.main(chapter.script, "--resume") == 0
    parts = run_dir(chapter, "parts")
    a, b = state_of(whole), state_of(parts)
    assert a.keys() == b.keys()
    assert [n for n in a if not (a[n] == b[n]).all()] == []
    assert any("rng" in n for n in a) == chapter.random
    assert (whole / "metrics.jsonl").read_bytes() == (parts / "metrics.jsonl").read_bytes()


def test_a_finished_run_can_be_lengthened(chapter, trained):
    assert train(chapter, "short", 4) == 0
    assert chapter.main(chapter.script, "--name", "short", "--max_steps", str(STEPS)) == 0
    short, long = (run / "metrics.jsonl" for run in (run_dir(chapter, "short"), trained(chapter)))
    assert short.read_bytes() == long.read_bytes()


def test_a_run_killed_after_its_last_step_ends_as_it_would_have(chapter, trained):
    def outcome() -> tuple[dict, bytes, list[str]]:
        drawn = [str(path) for path in run.rglob("*") if not {"tb", "checkpoints"} & {*path.parts}]
        return state_of(run), (run / "metrics.jsonl").read_bytes(), sorted(drawn)

    run = trained(chapter)
    state, metrics, drawn = outcome()
    (run / ".running").touch()
    for path in run.rglob("*.png"):
        path.unlink()
    assert chapter.main(chapter.script, "--name", "run") == 0
    again, *rest = outcome()
    assert rest == [metrics, drawn]
    assert [n for n in state if not (state[n] == again[n]).all()] == []


def test_presets_set_flags_that_exist(chapter):
    module = chapter.module(chapter.script)
    for name, flags in module.PRESETS.items():
        args = vars(module.build_parser().parse_args(["--preset", name]))
        assert flags.keys() <= args.keys()


def test_eval_counts_every_example_and_publishes(chapter, trained, monkeypatch, tmp_path, capfd):
    from common import results

    monkeypatch.setattr(results, "RESULTS", tmp_path)
    run = trained(chapter)
    before = state_of(run)
    assert chapter.main("eval", "--name", "run", "--publish", "tiny") == 0
    after = state_of(run)
    assert all((before[n] == after[n]).all() for n in before)
    result = json.loads((run / "eval.json").read_text(encoding="utf-8"))
    assert result["chapter"] == chapter.name and result["steps"] == STEPS
    assert result["metrics"] and result["parameters"] > 0
    (published,) = (tmp_path / chapter.name).glob("*-tiny-seed0.json")
    assert json.loads(published.read_text(encoding="utf-8")) == result
    last = json.loads(capfd.readouterr().out.splitlines()[-1])
    scores = result["metrics"].values()
    assert all(any(split.get(name) == value for split in scores) for name, value in last.items())


def rows_to_serve() -> dict[str, tuple[str, Any]]:
    """By the folder of a chapter, the signature and the row in the table of docs/serving.md."""
    found = {}
    text = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    for names, signature, row in re.findall(r"^\| ([\w, ]+) \| `(\w+)` \| `(.*?)`", text, re.M):
        for name in names.split(", "):
            start = f"chapter{name:0>2}" if name.isdecimal() else f"appendix_{name.lower()}"
            (folder,) = {chapter.name for chapter in CHAPTERS if chapter.name.startswith(start)}
            found[folder] = signature, row if row.startswith("@") else json.loads(row)
    return found


def filled(row: Any, inputs: Collection[str]) -> Any:
    """A row with the bytes of an image where it names a file, without inputs that are not there."""
    if isinstance(row, dict):
        return {key: filled(value, ()) for key, value in row.items() if key in inputs}
    if isinstance(row, str) and row.startswith("@"):
        return tf.io.encode_png(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
                                ).numpy()
    return row


def test_every_chapter_has_a_row_to_serve():
    assert rows_to_serve().keys() == {chapter.name for chapter in CHAPTERS}


@pytest.fixture(scope="module")
def shown_by_camera() -> Callable[[Path], bool] | None:
    """Returns a function that says whether appendix D shows what a model returns (None: no Qt)."""
    if not importlib.util.find_spec("PySide6"):
        return None
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from appendix_d_camera import application, models

    screen = application.make_application()

    def shown(folder: Path) -> bool:
        assert screen  # which draws text only as long as it lives
        try:
            process = models.load_model(folder)
        except UserError as error:
            assert error.hint == "choose one that README.md lists"
            return False
        image, text = process(np.full((97, 131, 3), 200, np.uint8))
        assert image.dtype == np.uint8 and image.shape[2] == 3 and isinstance(text, str)
        return True

    return shown


def test_export_is_used_by_another_process_and_by_the_camera(chapter, trained, shown_by_camera):
    folder = trained(chapter) / "export" / "1"
    assert chapter.main("export", "--name", "run") == 0
    signatures = json.loads((folder / "signature.json").read_text(encoding="utf-8"))["signatures"]
    assert "serving_default" in signatures
    # TensorFlow Serving takes and returns rows.
    assert [(name, key, spec) for name, sides in signatures.items() for side in sides.values()
            for key, spec in side.items() if not re.match(r"\w+ \(None, ?", spec)] == []
    if chapter.script == "train":
        name, row = rows_to_serve()[chapter.name]
        inputs = signatures[name]["inputs"].keys()
        assert (row.keys() ^ inputs <= {"labels"} if isinstance(row, dict) else len(inputs) == 1)
        if chapter.name != "chapter15_time_series":  # its row has fewer steps than a network needs
            served = tf.saved_model.load(str(folder)).signatures[name]
            rows = {"instances": 2 * [filled(row, inputs)]}
            assert len(tf_serving.answer(served, rows)["predictions"]) == 2
    assert not list(folder.parent.glob("*.part"))
    if shown_by_camera:
        listed = chapter.name in CAMERA or chapter.script == "train_mtcnn"
        assert shown_by_camera(folder) == listed


@pytest.mark.parametrize("kind", formats.FORMATS)
@pytest.mark.parametrize(
    "chapter", [chapter for chapter in CHAPTERS if chapter.name in WITH_FORMATS],
    ids=lambda chapter: f"{chapter.name}-{chapter.script}")
def test_files_for_other_runtimes_give_what_the_saved_model_gives(chapter, kind, trained):
    if missing := formats.missing(kind):
        pytest.skip(f"{' '.join(missing)} not installed: pip install -e '.[formats]'")
    folder = trained(chapter) / "export"
    assert chapter.main("export", "--name", "run", "--format", kind) == 0
    assert chapter.main("export", "--name", "run") == 0
    assert {path.name for path in folder.iterdir()} == {"1", kind}
    about = json.loads((folder / kind / "signature.json").read_text(encoding="utf-8"))
    size = [int(number) for number in re.findall(r"\d+", about["inputs"]["images"][len("uint8"):])]
    batch = np.random.default_rng(0).integers(0, 256, (3, *size), np.uint8)
    found = formats.call(kind, folder / kind / formats.FORMATS[kind], {"images": batch})
    serve = tf.saved_model.load(str(folder / "1")).signatures["serving_default"]
    expected = serve(images=tf.constant(batch))
    np.testing.assert_allclose(found["probabilities"], expected["probabilities"], atol=1e-5)
    labels = np.array(about["labels"])[found["probabilities"].argmax(axis=1)]
    assert labels.tolist() == [label.decode() for label in expected["labels"].numpy()]


def test_verbs_run(chapter, trained):
    trained(chapter)
    for script, *argv in chapter.verbs:
        assert chapter.main(script, *argv) == 0


def test_bad_use_ends_with_two_lines_and_status_2(chapter, trained, capfd):
    def fails(script, *argv, says):
        assert chapter.main(script, *argv) == 2
        error, hint = capfd.readouterr().err.strip().splitlines()[-2:]
        assert error.startswith("error: ") and hint.startswith("hint: ")
        assert says in error, error

    fails(chapter.script, "--no_such_flag", says="--no_such_flag")
    fails(chapter.script, "--max_steps", "0", says="0 is not a whole number")
    fails(chapter.script, "--resume", says="no run")
    fails("eval", says="no run")
    fails("export", "--name", "absent", says="absent")
    config = trained(chapter) / "config.json"
    capfd.readouterr()
    fails(chapter.script, "--name", "run", says="nothing to do")
    fails(chapter.script, "--name", "run", "--seed", "7", says="--seed 7 contradicts")
    other = json.loads(config.read_text(encoding="utf-8")) | {"chapter": "chapter99_other"}
    config.write_text(json.dumps(other), encoding="utf-8")
    fails("eval", "--name", "run", says="chapter99_other")


def test_a_flag_without_effect_is_refused(chapter, capfd):
    assert train(chapter, "run", 2, *chapter.idle) == 2
    error = capfd.readouterr().err
    assert chapter.idle[-2] in error
    assert "has no effect with" in error or "unrecognized arguments" in error


def scripts_of(name: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / name).glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("folder", FOLDERS)
def test_importing_does_nothing_and_help_works(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["elsewhere", "--no_such_flag"])
    if folder == "appendix_d_camera":
        pytest.importorskip("PySide6", reason="PySide6 is not installed")
    for script in scripts_of(folder):
        module = importlib.import_module(f"{folder}.{script}")
        if hasattr(module, "main"):
            with pytest.raises(SystemExit) as stop:
                module.main(["--help"])
            assert stop.value.code == 0
            assert "--" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_the_furniture_is_complete(chapter):
    assert chapter.furniture <= {path.name for path in (ROOT / chapter.name).iterdir()}
    if "model.py" in chapter.furniture:
        model = (ROOT / chapter.name / "model.py").read_text(encoding="utf-8")
        # Ours, but not the chapter's own pieces, nor the layer that takes the place of Keras' own.
        ours = (rf"^(?:from|import) (?!{chapter.name}[. ]|common\.convolution)"
                "(?:common|chapter|appendix)")
        assert not re.search(ours, model, re.MULTILINE)


def test_every_training_script_has_its_row():
    scripts = {(path.parent.name, path.stem) for folder in ("chapter??_*", "appendix_*")
               for path in ROOT.glob(f"{folder}/train*.py")
               if "def main(" in path.read_text(encoding="utf-8")}
    assert scripts == {(chapter.name, chapter.script) for chapter in CHAPTERS}


@pytest.mark.slow
def test_a_copied_chapter_trains_from_the_first_command_of_its_readme(chapter, tmp_path):
    for folder in (chapter.name, "common", *chapter.needs):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    environment = {k: v for k, v in os.environ.items() if k != "DL21_RUNS"}
    command = [sys.executable, "-m", f"{chapter.name}.{chapter.script}", *chapter.train,
               "--max_steps", "2"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout.splitlines()[-1])
    assert list((tmp_path / "runs" / chapter.name).glob("*/checkpoints/ckpt-2.index"))


def commands_in(text: str) -> list[tuple[str, list[str]]]:
    """Finds `python SCRIPT.py ARGUMENTS` in a text, but for the book's own in a first column."""
    found = []
    for line in re.findall(r"python (\w+\.py[^`|\n]*)", without_the_books(text)):
        script, *argv = shlex.split(line.split(" #")[0])
        found.append((Path(script).stem, argv))
    return found


def modules_in(text: str) -> list[tuple[str, str, list[str]]]:
    """Finds `python -m FOLDER.SCRIPT ARGUMENTS` of chapters in a text."""
    found = []
    for line in re.findall(r"python -m ((?:chapter|appendix)[^`|\n]*)", without_the_books(text)):
        module, *argv = shlex.split(line.split(" #")[0])
        found.append((*module.split("."), argv))
    return found


def without_the_books(text: str) -> str:
    """Removes the first columns of the tables with the book's commands."""
    return re.sub(r"^\| `python [^|]*", "", text, flags=re.MULTILINE)


def parses(folder: str, script: str, argv: list[str]) -> None:
    if argv != ["--help"]:
        importlib.import_module(f"{folder}.{script}").build_parser().parse_args(argv)


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_readme_commands_parse(folder, readme):
    commands = commands_in((ROOT / folder / readme).read_text(encoding="utf-8"))
    trains = (ROOT / folder / "train.py").exists()
    assert any(script == "train" or not trains for script, _ in commands)
    for script, argv in commands:
        assert (ROOT / folder / f"{script}.py").exists(), script
        parses(folder, script, argv)


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_readme_commands_of_other_chapters_parse(folder, readme):
    for command in modules_in((ROOT / folder / readme).read_text(encoding="utf-8")):
        parses(*command)


@pytest.mark.parametrize("folder", FIGURES)
def test_commands_of_the_books_figures_parse(folder):
    commands = commands_in("\n".join(f"{row.commands} {row.ours}" for row in FIGURES[folder]))
    assert commands
    for script, argv in commands:
        assert (ROOT / folder / f"{script}.py").exists(), script
        parses(folder, script, argv)


def rows_with_tags(chapter: Chapter) -> list[Row]:
    """The figures of TensorBoard that show a training of a chapter's script."""
    return [row for row in FIGURES[chapter.name]
            if row.tags() and commands_in(row.commands)[0][0] == chapter.script]


@pytest.mark.parametrize("chapter", [chapter for chapter in CHAPTERS if rows_with_tags(chapter)],
                         ids=lambda chapter: f"{chapter.name}-{chapter.script}")
def test_the_tags_of_the_books_figures_are_written(chapter, trained):
    run = trained(chapter)
    for row in rows_with_tags(chapter):
        for script, argv in commands_in(row.commands)[1:]:
            assert chapter.main(script, *argv) == 0
        assert row.tags() - tags_of(run) == set()


def test_every_row_with_tags_begins_with_a_training():
    with_tags = [row for rows in FIGURES.values() for row in rows if "tags of" in row.ours]
    assert len(with_tags) == sum(len(rows_with_tags(chapter)) for chapter in CHAPTERS)


def test_the_books_commands_parse(chapter):
    lines = (ROOT / "tests" / "book_commands.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line.startswith(chapter.name)]
    assert rows or chapter.name.startswith("appendix")  # which the book does not have
    for _, book, ours in rows:
        here = [(chapter.name, *command) for command in commands_in(ours)]
        (command,) = here + modules_in(ours)
        parses(*command)
        assert f"`{book}`" in (ROOT / chapter.name / "README.md").read_text(encoding="utf-8")


def test_published_commands_parse(chapter):
    for path in (ROOT / "results" / chapter.name).glob("*.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        # A table has one command, or one in each row.
        for part in [result] if "command" in result else result["rows"]:
            for script, argv in commands_in(part["command"]):
                parses(chapter.name, script, argv)


@pytest.mark.parametrize("folder", FOLDERS)
def test_both_readmes_say_the_same(folder):
    english, chinese = ((ROOT / folder / name).read_text(encoding="utf-8")
                        for name in ("README.md", "README.zh-CN.md"))
    assert commands_in(english) == commands_in(chinese)
    numbers = [re.findall(r"^\| .*", text, re.MULTILINE) for text in (english, chinese)]
    assert len(numbers[0]) == len(numbers[1])
    for left, right in zip(*numbers, strict=True):
        assert re.findall(r"\d[\d.,]*", left) == re.findall(r"\d[\d.,]*", right)
