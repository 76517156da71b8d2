"""Chapter 3: the records, the augmentation, networks with a new head, odd images, videos."""

import argparse
import csv
import json
import os
import shutil
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import deterministic, interrupt_after, state_of
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_class_weight

from chapter03_finetune import (
    augmentation,
    data,
    eval,
    export,
    folders,
    grad_cam,
    inference,
    predict,
    prepare,
    textures,
    tfrecords,
    train,
)
from chapter03_finetune.flags import OPTIMIZERS, idle_flags, set_steps
from chapter03_finetune.inference import build_classifier, draw_mistakes, load_run
from chapter03_finetune.model import (
    add_weight_decay,
    balanced_weights,
    set_batch_norm_decay,
    set_trainable,
)
from chapter03_finetune.model import build_model as build_plain_model
from common import (
    checkpoint,
    checkpoint_files,
    cli,
    files,
    formats,
    images,
    inputs,
    rundir,
    video,
)
from common.checkpoint import TrainState
from common.errors import UserError

TINY = ("--preset", "demo", "--image_size", "32", "--batch_size", "4", "--max_steps", "2",
        "--log_every", "1")
SHARDS = dict.fromkeys(folders.SPLITS, 2)


def picture(number: int = 0, kind: str = "rock") -> Image.Image:
    return Image.fromarray(textures.draw(kind, np.random.default_rng(number)))


def write_pictures(folder: Path, count: int = 4, kinds=("wood", "rock", "water")) -> Path:
    """Writes train/ (count each) and validation/ (2 each), all different."""
    for split, number, first in (("train", count, 0), ("validation", 2, 500)):
        for label, kind in enumerate(kinds):
            (folder / split / kind).mkdir(parents=True)
            for i in range(number):
                drawn = picture(first + 50 * label + i, kind if kind in textures.KINDS else "rock")
                drawn.save(folder / split / kind / f"{i}.jpg")
    return folder


# What is tested here rarely depends on the depth of the network.
pytestmark = pytest.mark.usefixtures("shallow")


@pytest.fixture
def records(tmp_path) -> Path:
    pictures = write_pictures(tmp_path / "pic")
    tfrecords.write_records(pictures, tmp_path / "records", "satellite", SHARDS)
    return tmp_path / "records"


def split_of(count: int) -> data.Split:
    """Returns pictures of the six kinds in turn."""
    rng, kinds = np.random.default_rng(3), list(textures.KINDS)
    jpegs = [tf.io.encode_jpeg(textures.draw(kinds[i % 6], rng)).numpy() for i in range(count)]
    return data.Split(np.array(jpegs, object), np.arange(count) % 6)


def arguments(*argv: str):
    return train.build_parser().parse_args(argv)


def build_model(num_classes: int, size: int, seed: int = 0) -> keras.Model:
    """Builds a MobileNet of a quarter of the channels, without dropout."""
    return build_classifier(arguments("--model_name", "MobileNet", "--alpha", "0.25", "--keep_prob",
                                      "1", "--image_size", str(size), "--seed", str(seed)),
                            num_classes)


# Textures


def test_the_mean_colour_does_not_tell_the_textures():
    rng = np.random.default_rng(7)
    labels = np.tile(np.arange(6), 150)
    kinds = list(textures.KINDS)
    colours = np.array([textures.draw(kinds[i], rng).mean((0, 1)) for i in labels]) / 255
    model = LogisticRegression(C=100, max_iter=2000).fit(colours[:600], labels[:600])
    assert 0.25 < model.score(colours[600:], labels[600:]) <= 0.6


def test_textures_are_drawn_from_the_seed():
    for kind in textures.KINDS:
        a, b, other = (textures.draw(kind, np.random.default_rng(seed)) for seed in (1, 1, 2))
        np.testing.assert_array_equal(a, b)
        assert a.dtype == np.uint8 and a.shape == (128, 128, 3) and not np.array_equal(a, other)


# Preparing


def test_records_make_the_round_trip(records, tmp_path):
    assert (records / "label.txt").read_text() == "0:rock\n1:water\n2:wood\n"
    assert sorted(path.name for path in records.iterdir()) == [
        "label.txt", *(f"satellite_{split}_0000{i}-of-00002.tfrecord"
                       for split in folders.SPLITS for i in (0, 1))]
    splits, names = data.load_records(records, "satellite", 0.25)
    assert names == ("rock", "water", "wood")
    assert [len(splits[name].labels) for name in ("train", "validation", "test")] == [9, 3, 6]
    found = {jpeg: names[label] for split in ("train", "validation")
             for jpeg, label in zip(*splits[split], strict=True)}
    expected = {path.read_bytes(): path.parent.name
                for path in (tmp_path / "pic" / "train").rglob("*.jpg")}
    assert found == expected


def test_each_class_gives_its_share_to_the_held_out_pictures():
    labels = np.array([0] * 20 + [1] * 10 + [2] * 3 + [3])
    held_out = data.hold_out(labels, 0.2)
    assert np.bincount(labels[held_out], minlength=4).tolist() == [4, 2, 1, 0]
    np.testing.assert_array_equal(held_out, data.hold_out(labels, 0.2))
    assert np.bincount(labels[data.hold_out(labels, 0.999)]).tolist() == [19, 9, 2]
    assert set(np.flatnonzero(held_out[:20])) != set(range(4))  # by chance, not the first


def test_a_set_of_which_nothing_can_be_held_out(tmp_path):
    write_pictures(tmp_path / "pic", count=1)
    tfrecords.write_records(tmp_path / "pic", tmp_path / "records", "satellite", SHARDS)
    with pytest.raises(UserError, match="one training image per class"):
        data.load_records(tmp_path / "records", "satellite", 0.5)


def test_records_hold_the_originals_features(records):
    raw = next(iter(tf.data.TFRecordDataset(str(next(records.glob("*_train_*"))))))
    features = tf.train.Example.FromString(raw.numpy()).features.feature
    assert features.keys() == {"image/height", "image/width", "image/colorspace", "image/channels",
                               "image/class/label", "image/class/text", "image/format",
                               "image/filename", "image/encoded"}
    assert features["image/height"].int64_list.value == [128]
    assert features["image/colorspace"].bytes_list.value == [b"RGB"]
    assert features["image/format"].bytes_list.value == [b"JPEG"]
    assert features["image/filename"].bytes_list.value[0].endswith(b".jpg")


def test_preparing_again_replaces_the_records(records, tmp_path):
    shards = dict.fromkeys(folders.SPLITS, 1)
    tfrecords.write_records(tmp_path / "pic", records, "satellite", shards)
    assert len(list(records.glob("*.tfrecord"))) == 2
    assert len(data.load_records(records, "satellite", 0.1).splits["test"].labels) == 6


def test_one_folder_of_classes_is_divided(tmp_path):
    write_pictures(tmp_path / "pic", count=10)
    counts = tfrecords.write_records(tmp_path / "pic" / "train", tmp_path / "out", "x", SHARDS,
                                     validation_fraction=0.2)
    assert counts == {"train": 24, "validation": 6, "left_out": 0}
    picture().save(tmp_path / "pic" / "train" / "loose.jpg")
    for name in ("rock/.hidden", "wood/深/er"):
        (tmp_path / "pic" / "train" / name).mkdir(parents=True, exist_ok=True)
        picture(number=99).save(tmp_path / "pic" / "train" / name / "a b.jpg")
    counts = tfrecords.write_records(tmp_path / "pic" / "train", tmp_path / "more", "x", SHARDS,
                                     validation_fraction=0.2)
    assert counts == {"train": 25, "validation": 6, "left_out": 1}
    splits, _ = data.load_records(tmp_path / "out", "x", 0.1)
    assert np.bincount(splits["test"].labels).tolist() == [2, 2, 2]


def test_what_lies_beside_the_splits_is_listed(tmp_path, capsys):
    pictures = write_pictures(tmp_path / "我的 图")
    (pictures / "validation").rename(pictures / "val")  # as for torchvision's ImageFolder
    for name in ("test/rock/a.jpg", "test/b.JPG", "散 图.png", "val/c.jpg", ".cache/d.jpg",
                 "records/label.txt", "records/x_train_00000-of-00001.tfrecord", "list.TXT"):
        (pictures / name).parent.mkdir(parents=True, exist_ok=True)
        (pictures / name).write_bytes(b"")
    for _ in range(2):  # the second finds the records of the first
        assert prepare.main(["--data_dir", str(pictures)]) == 0
        *told, _, counts = capsys.readouterr().out.splitlines()
        assert json.loads(counts) == {"train": 12, "validation": 6, "left_out": 4}
        assert told == [f"skipped: {pictures}/{name}" for name in (
            "散 图.png lies in no class folder", "val/c.jpg lies in no class folder",
            "test is neither train nor validation (2 files)")]
    splits, _ = data.load_records(pictures, "我的_图", 0.25)
    assert len(splits["test"].labels) == 6


def test_a_list_chooses_the_images(tmp_path, capsys):
    pictures = write_pictures(tmp_path / "pic")
    chosen = [f"{split}/{kind}/{i}.jpg" for split in folders.SPLITS for kind in ("rock", "wood")
              for i in range(2)] + ["train/water/3.jpg", ""]
    (listed := tmp_path / "sample.txt").write_text("\n".join(chosen))
    argv = ["--data_dir", str(pictures), "--output_dir", str(tmp_path / "out"), "--list",
            str(listed)]
    shutil.rmtree(pictures / "validation" / "water")
    assert prepare.main(argv) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "train": 5, "validation": 4, "left_out": 0}
    listed.write_text("train/rock/0.jpg\ntrain/rock/absent.jpg\n")
    assert prepare.main(argv) == 2
    assert "absent.jpg" in capsys.readouterr().err
    listed.write_text("\n".join([*chosen, "train/../train/rock/2.jpg"]))
    assert prepare.main(argv) == 2
    assert "--list names" in capsys.readouterr().err
    listed.write_bytes("train/木/一.jpg".encode("gbk"))
    assert prepare.main(argv) == 2
    listed.unlink()
    assert prepare.main(argv) == 2
    assert "sample.txt" in capsys.readouterr().err


def test_the_published_sample_is_the_listed_one(real_data):
    chapter = Path(data.__file__).parent
    listed = (chapter / "satellite_sample.txt").read_text().split()
    found = real_data("satellite")
    assert listed == sorted(path.relative_to(found).as_posix() for path in found.rglob("*.jpg"))


def write_odd_pictures(folder: Path) -> dict[str, Image.Image]:
    """Writes pictures of all kinds; returns those that can be read, as they look upright."""
    wide = picture().crop((0, 0, 128, 64))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    wide.rotate(90, expand=True).save(folder / "turned.jpg", quality=95, exif=exif)
    wide.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    wide.convert("L").save(folder / "grey.jpg", quality=95)
    wide.save(folder / "plain.png")
    wide.save(folder / "really_png.jpg", format="PNG")
    wide.save(folder / "really_jpeg.png", format="JPEG", quality=95)
    wide.quantize().save(folder / "animated.gif", save_all=True,
                           append_images=[Image.new("P", wide.size, 3)])
    grey16 = np.asarray(wide.convert("L")).astype(np.uint16) * 257
    Image.fromarray(grey16).save(folder / "deep.png")
    whole = (folder / "cmyk.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden").write_text("not looked at")
    grey = wide.convert("L").convert("RGB")
    return dict.fromkeys(("turned.jpg", "cmyk.jpg", "plain.png", "really_png.jpg",
                          "really_jpeg.png", "animated.gif"), wide) | {
        "grey.jpg": grey, "deep.png": grey}


def test_odd_pictures_are_converted_and_broken_ones_left_out(tmp_path, capsys):
    folder = write_pictures(tmp_path / "pic") / "train" / "rock"
    expected = write_odd_pictures(folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert prepare.main(["-t", str(tmp_path / "pic"), "--output_dir", str(tmp_path / "out")]) == 0
    assert before == {path: path.read_bytes() for path in folder.iterdir()}
    out = capsys.readouterr().out
    assert json.loads(out.splitlines()[-1])["left_out"] == 2
    assert "truncated.jpg is not a" in out and "notes.txt is not a" in out
    assert ".hidden" not in out
    seen = {}
    files = [str(path) for path in (tmp_path / "out").glob("*_train_*")]
    for raw in tf.data.TFRecordDataset(files).as_numpy_iterator():
        features = tf.train.Example.FromString(raw).features.feature
        name = features["image/filename"].bytes_list.value[0].decode()
        image = tf.io.decode_jpeg(features["image/encoded"].bytes_list.value[0], channels=3).numpy()
        assert image.shape[:2] == (features["image/height"].int64_list.value[0],
                                   features["image/width"].int64_list.value[0])
        seen[name] = image
    for name, upright in expected.items():
        difference = np.abs(seen[name].astype(float) - np.asarray(upright))
        assert seen[name].shape == (64, 128, 3) and difference.mean() < 15, name


def test_a_fit_jpeg_goes_in_byte_by_byte(tmp_path):
    picture().save(tmp_path / "a.jpg")
    assert folders.encode(tmp_path / "a.jpg") == ((tmp_path / "a.jpg").read_bytes(), 128, 128)
    picture().save(tmp_path / "a.png")
    jpeg, _, _ = folders.encode(tmp_path / "a.png")
    difference = tf.cast(tf.io.decode_jpeg(jpeg), tf.float32) - np.asarray(picture())
    assert float(tf.reduce_mean(tf.abs(difference))) < 3  # quality 100


def test_folders_that_cannot_be_prepared(tmp_path):
    def fails(says: str, folder: Path, fraction: float | None = None) -> None:
        with pytest.raises(UserError, match=says):
            tfrecords.write_records(folder, tmp_path / "out", "x", SHARDS,
                                    validation_fraction=fraction)
        assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())

    fails("has no train folder; it holds no folder", tmp_path)
    fails("there is no folder .*absent", tmp_path / "absent", 0.2)
    (tmp_path / "one" / "train" / "rock").mkdir(parents=True)
    (tmp_path / "one" / "测 试").mkdir()
    fails("one has no validation folder; it holds train, 测 试", tmp_path / "one")
    fails("has no train folder; it holds one", tmp_path)
    for split in ("Training", "Testing"):
        for kind in ("glioma", "meningioma"):
            (tmp_path / "scans" / split / kind).mkdir(parents=True)
    with pytest.raises(UserError, match="splits, not classes"):
        folders.split_folders(tmp_path / "scans", 0.2)
    (tmp_path / "bytes" / os.fsdecode(b"\xff")).mkdir(parents=True)
    with pytest.raises(UserError, match="not UTF-8"):
        folders.class_folders(tmp_path / "bytes")
    (tmp_path / "one" / "val").mkdir()
    fails("one has one class, rock", tmp_path / "one")
    pictures = write_pictures(tmp_path / "pic")
    fails("has a train folder", pictures, 0.2)
    (pictures / "validation" / "desert").mkdir()
    fails("validation has desert, which train lacks", pictures)
    (pictures / "train" / "desert").mkdir()
    fails("class folder .*train/desert has no image", pictures)
    for split in folders.SPLITS:
        (pictures / split / "desert" / "a.jpg").write_bytes(b"no picture")
    fails("no image of desert can be used", pictures)


def test_a_failing_call_leaves_nothing_and_a_killed_one_does_no_harm(tmp_path, monkeypatch):
    pictures, out = write_pictures(tmp_path / "pic"), tmp_path / "out"
    stale = out / "satellite.part"
    stale.mkdir(parents=True)
    for name in ("satellite_train_00000-of-00009.tfrecord", "notes.txt"):
        (stale / name).write_bytes(b"left by a killed call")
    tfrecords.write_records(pictures, out, "satellite", SHARDS)
    assert {path.name for path in out.iterdir()} == {"satellite.part", "label.txt", *(
        name for split in folders.SPLITS
        for name in tfrecords.shard_names("satellite", split, 2))}
    monkeypatch.setattr(tfrecords, "write_split", lambda *args: 1 / 0)
    for folder in (tmp_path / "new", pictures):
        with pytest.raises(ZeroDivisionError):
            tfrecords.write_records(pictures, folder, "satellite", SHARDS)
    assert not (tmp_path / "new").exists()
    assert {path.name for path in pictures.iterdir()} == set(folders.SPLITS)


def test_names_of_records_are_taken_literally(records, capsys):
    shutil.copy(records / "satellite_train_00000-of-00002.tfrecord",
                records / "satellite_train_x_train_00000-of-00003.tfrecord")
    assert len(tfrecords.find_shards(records, "satellite", "train")) == 2
    assert tfrecords.find_shards(records, "s.tellite", "train") == []
    for verb in (prepare, data):
        assert verb.main(["--dataset_name", "satel*"]) == 2
        assert "satel* is not a name: use letters" in capsys.readouterr().err


def test_a_share_that_leaves_nothing_to_validate(tmp_path, capsys):
    pictures = write_pictures(tmp_path / "pic") / "train"

    def fails(share: str, says: str) -> None:
        argv = ["--data_dir", str(pictures), "--output_dir", str(tmp_path / "out")]
        assert prepare.main([*argv, "--validation_fraction", share]) == 2
        assert says in capsys.readouterr().err and not (tmp_path / "out").exists()

    fails("0.1", "--validation_fraction 0.1 of each class of")
    fails("1", "1 is not a number above 0 and below 1")
    fails("0", "0 is not a number above 0 and below 1")


def test_drawn_textures_appear_whole_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "TEXTURES", {"train": 3, "validation": 1})
    folder = tmp_path / "data" / "textures"
    with monkeypatch.context() as patch:
        patch.setattr(tfrecords, "write_records", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            data.draw_textures(folder)
    assert list(folder.parent.iterdir()) == []
    for _ in range(2):  # the second finds the folder of a faster process
        data.draw_textures(folder)
    assert list(folder.parent.iterdir()) == [folder]
    assert len(data.load_records(folder, "textures", 0.5).splits["train"].labels) == 6
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        data.draw_textures(tmp_path / "file")


def test_records_of_other_pictures_than_jpegs(records):
    shard = records / "satellite_train_00000-of-00002.tfrecord"
    (raw, *_) = tf.data.TFRecordDataset(str(shard)).as_numpy_iterator()
    example = tf.train.Example.FromString(raw)
    features = example.features.feature

    def fails(says: str) -> None:
        with tf.io.TFRecordWriter(str(shard)) as writer:
            writer.write(example.SerializeToString())
        with pytest.raises(UserError, match=says):
            data.load_records(records, "satellite", 0.1)

    del features["image/class/text"]
    features["image/class/label"].int64_list.value[0] = 3
    fails("train records of .* call class 3 , label.txt calls it None")
    encoded = features.pop("image/encoded")
    fails("^[^\n]*train records of [^\n]* are not records of images in classes: [^\n]*$")
    features["image/encoded"].CopyFrom(encoded)
    features["image/class/text"].bytes_list.value.append(b"rock")
    features["image/class/label"].int64_list.value[0] = 0
    features["image/encoded"].bytes_list.value[0] = b"\x89PNG\r\n"
    fails("train records of .* hold images that are not JPEGs")
    features["image/class/text"].bytes_list.value[0] = b"\xff"
    fails(r"call class \d \\xff, label.txt calls it")


def test_records_and_labels_that_disagree(records):
    label_file = records / "label.txt"

    def fails(says: str) -> None:
        with pytest.raises(UserError, match=says):
            data.load_records(records, "satellite", 0.1)

    label_file.write_text("0:rock\n1:water\n2:wood\n", encoding="utf-8-sig")  # of an editor
    data.load_records(records, "satellite", 0.1)
    label_file.write_text("0:rock\n1:wood\n2:water\n")
    fails("call class 1 water, label.txt calls it wood")
    label_file.write_text("0:rock\n1:water\n")
    fails("call class 2 wood, label.txt calls it None")
    label_file.write_text("0:rock\nwater\n")
    fails("line 2 of .* is 'water', not 1:name")
    label_file.write_text("0:rock\n1:water\n2:wood\n3:lava\n4:sand\n")
    fails("the train records of .* have no image of lava, sand")
    label_file.write_text("0:rock\n")
    fails("label.txt has one class, rock")
    label_file.write_bytes(b"0:rock\n1:\xff\n")
    fails("label.txt is not UTF-8")
    label_file.unlink()
    fails("has no label.txt")


def test_records_of_tf_slim_are_read(records):
    """They have labels.txt and no image/class/text."""
    expected = data.load_records(records, "satellite", 0.25)
    (records / "label.txt").rename(records / "labels.txt")
    for path in records.glob("*.tfrecord"):
        raw = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in raw:
                example = tf.train.Example.FromString(record)
                for name in ("class/text", "filename", "colorspace", "channels"):
                    del example.features.feature[f"image/{name}"]
                writer.write(example.SerializeToString())
        path.rename(path.with_name(path.name.replace("satellite", "flowers")))
    with pytest.raises(UserError, match="no train records of satellite, but records of flowers"
                       ) as error:
        data.load_records(records, "satellite", 0.25)
    assert error.value.hint == "add --dataset_name flowers"
    assert data.load_records(records, "flowers", 0.25).digest == expected.digest


def test_records_that_are_missing_or_damaged(records):
    def fails(says: str) -> None:
        with pytest.raises(UserError, match=says):
            data.load_records(records, "satellite", 0.1)

    shard = records / "satellite_train_00001-of-00002.tfrecord"
    raw = shard.read_bytes()
    shard.write_bytes(raw[:-10])
    fails("train records of .* are damaged")
    shard.write_bytes(raw[:100] + b"x" + raw[101:])
    fails("train records of .* are damaged")
    shard.unlink()
    fails("has no satellite_train_00001-of-00002.tfrecord; it holds")
    shard.write_bytes(raw)
    shutil.copy(shard, records / "satellite_train_00000-of-00003.tfrecord")
    fails("but also satellite_train_00000-of-00003.tfrecord")


# A folder of images


def load_own(folder: Path, *argv: str) -> data.Data:
    """Loads what train.py would load with `--data_dir`."""
    args = cli.resolve(train.build_parser(), ["--data_dir", str(folder), *argv])
    data.settle(args)
    return data.load(args)


@pytest.mark.parametrize("divided", [True, False])
def test_a_folder_gives_what_its_records_give(tmp_path, divided, capsys):
    pictures = write_pictures(tmp_path / "图 片", count=5, kinds=("rock", "木 头", "a:b.c"))
    write_odd_pictures(pictures / "train" / "木 头")
    (pictures / "train" / "木 头" / "plain.png").unlink()  # it is that of really_png.jpg
    folder, flags = (pictures, {}) if divided else (
        pictures / "train", {"validation_fraction": 0.4})
    counts = tfrecords.write_records(folder, tmp_path / "out", "x", SHARDS, **flags)
    records = load_own(tmp_path / "out", "--dataset_name", "x")
    capsys.readouterr()
    inputs.tell_left_out.cache_clear()
    found = load_own(folder, *cli.flag_words(flags))
    assert found.digest == records.digest and found.names == ("a:b.c", "rock", "木 头")
    assert counts["left_out"] == 2
    told = capsys.readouterr().err
    assert "truncated.jpg is not a" in told and "notes.txt is not a" in told
    assert sum(len(split.labels) for split in found.splits.values()) == (
        counts["train"] + counts["validation"])


def picture_of(kind: str, number: int) -> Image.Image:
    return picture(1000 * sorted(textures.KINDS).index(kind) + number, kind)


def test_a_folder_without_splits_is_divided_by_default(tmp_path):
    for kind in ("rock", "wood"):
        (tmp_path / kind / "inner").mkdir(parents=True)
        for number in range(20):
            picture_of(kind, number).save(tmp_path / kind / "inner" / f"{number}.jpg")
    splits, _ = load_own(tmp_path)
    assert {name: np.bincount(split.labels).tolist() for name, split in splits.items()} == {
        "train": [14, 14], "validation": [2, 2], "test": [4, 4]}
    read = [jpeg for split in splits.values() for jpeg in split.encoded]
    assert len(set(read)) == 40  # none is in two splits
    assert load_own(tmp_path).digest == load_own(tmp_path, "--dataset", "folder").digest
    assert len(load_own(tmp_path, "--validation_fraction", "0.5").splits["test"].labels) == 20


def test_copies_of_test_images_are_not_trained_on(tmp_path, capsys):
    pictures = write_pictures(tmp_path / "pic", count=5, kinds=("rock", "wood"))
    shutil.copy(pictures / "validation" / "rock" / "1.jpg", pictures / "train" / "rock" / "9.jpg")
    shutil.copy(pictures / "train" / "rock" / "3.jpg", pictures / "train" / "wood" / "8.jpg")
    splits, _ = load_own(pictures)
    read = [jpeg for split in splits.values() for jpeg in split.encoded]
    assert len(read) == len(set(read)) == 14 and len(splits["test"].labels) == 4
    told = capsys.readouterr().err
    assert f"train/rock/9.jpg is a copy of {pictures}/validation/rock/1.jpg" in told
    assert (f"train/wood/8.jpg is a copy of {pictures}/train/rock/3.jpg" in told
            or f"train/rock/3.jpg is a copy of {pictures}/train/wood/8.jpg" in told)


def test_folders_that_cannot_be_trained_on(tmp_path):
    def fails(says: str, folder: Path, *argv: str) -> None:
        with pytest.raises(UserError, match=says) as error:
            load_own(folder, *argv)
        assert error.value.hint

    fails("there is no folder .*absent", tmp_path / "absent")
    fails("has no <class>/", tmp_path)
    (tmp_path / "rock").mkdir()
    fails("has one class, rock", tmp_path)
    (tmp_path / "wood").mkdir()
    fails("class folder .*rock has no image", tmp_path)
    for kind in ("rock", "wood"):
        picture_of(kind, 0).save(tmp_path / kind / "a.jpg")
    fails("--validation_fraction 0.2 of each class of .* is less than one image", tmp_path)
    for number in range(1, 5):
        picture_of("rock", number).save(tmp_path / "rock" / f"{number}.jpg")
        (tmp_path / "wood" / "a.jpg").write_bytes(b"no picture")
        shutil.copy(tmp_path / "wood" / "a.jpg", tmp_path / "wood" / f"{number}.jpg")
    fails("no image of wood can be used: .* is not a", tmp_path)
    pictures = write_pictures(tmp_path / "pic", count=2, kinds=("rock", "wood"))
    for name in ("0.jpg", "1.jpg"):
        shutil.copy(*(pictures / split / "rock" / name for split in ("validation", "train")))
    fails("no image of rock can be used: .* is a copy of", pictures)
    fails("has a train folder, and --validation_fraction is 0.3", pictures,
          "--validation_fraction", "0.3")
    shutil.rmtree(pictures / "validation")
    fails("has no validation folder", pictures)


def test_a_run_trains_straight_from_a_folder(tmp_path, capsys):
    pictures = write_pictures(tmp_path / "pic", count=6, kinds=("rock", "wood"))
    run = tmp_path / "run"
    argv = ["--preset", "scratch", "--alpha", "0.25", "--image_size", "32", "--batch_size", "4",
            "--run_dir", str(run)]
    assert train.main([*argv, "--data_dir", str(pictures), "--epochs", "2"]) == 0
    config = files.read_json(run / "config.json")
    assert (config["flags"]["dataset"], config["flags"]["epochs"]) == ("folder", 2)
    assert config["flags"]["max_steps"] == 5 and config["class_weights"] == {}
    assert "10 images of" in (out := capsys.readouterr().out) and "5 steps, 2 epochs" in out
    moved = pictures.rename(tmp_path / "moved")
    assert eval.main(["--run_dir", str(run), "--data_dir", str(moved)]) == 0
    result = files.read_json(run / "eval.json")
    assert result["dataset"] == "moved" and result["metrics"]["test"]["examples"] == 4
    assert result["metrics"]["majority"] == {
        "accuracy": 0.5, "balanced_accuracy": 0.5, "examples": 4}
    assert train.main(["--run_dir", str(run), "--data_dir", str(moved), "--epochs", "1"]) == 2
    assert f"nothing to do: {run} is at step 5 of 5" in capsys.readouterr().err
    assert train.main(["--run_dir", str(run), "--data_dir", str(moved), "--epochs", "4"]) == 0
    assert "10 steps, 4 epochs" in capsys.readouterr().out
    assert checkpoint_files.last_step(run) == 10
    assert data.main(["--dataset_name", "x", "--data_dir", str(moved)]) == 2
    assert "--dataset_name x has no effect with --dataset folder" in capsys.readouterr().err
    assert data.main(["--data_dir", str(moved)]) == 0
    assert "test: 4 images, 2 rock, 2 wood" in capsys.readouterr().out


# The stream


def test_the_middle_of_a_picture():
    image = np.zeros((64, 64, 3), np.uint8)
    image[4:60, 4:60] = 200  # 7/8 of either side
    np.testing.assert_allclose(augmentation.centre(image, 56), 200)
    assert float(tf.reduce_min(augmentation.centre(image, 20))) > 199
    rows = np.tile(np.arange(80, dtype=np.uint8)[:, None, None], (1, 80, 3))
    np.testing.assert_allclose(augmentation.centre(rows, 70)[:, 0, 0], np.arange(5, 75), atol=1e-4)


def test_crops_are_of_the_asked_size():
    columns, rows = np.meshgrid(np.arange(128), np.arange(128))
    image = np.stack([rows, columns, rows], axis=-1).astype(np.uint8)
    jpeg = tf.io.encode_jpeg(image, quality=100, chroma_downsampling=False)
    shapes = []
    for number in range(60):
        crop = augmentation.random_crop(jpeg, tf.constant([0, number], tf.int64), 0.3).numpy()
        height, width, _ = crop.shape
        shapes.append((height * width / 128**2, width / height))
        top, left = np.median(crop[0, :, 0]), np.median(crop[:, 0, 1])
        window = image[int(top) : int(top) + height, int(left) : int(left) + width]
        assert np.abs(crop[: len(window), : window.shape[1]].astype(float) - window).mean() < 4
    areas, aspects = np.array(shapes).T
    assert 0.28 < areas.min() < 0.45 and 0.75 < areas.max() <= 1
    assert 0.73 < aspects.min() < 0.9 and 1.1 < aspects.max() < 1.37


def test_all_readers_of_a_jpeg_agree_to_the_last_bit(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg", subsampling=0)  # windows as of the whole
    jpeg = (tmp_path / "a.jpg").read_bytes()
    seen = images.read_image(tmp_path / "a.jpg")
    tested = next(iter(data.evaluation_batches(data.Split([jpeg], [0]), 32)))[0][0]
    np.testing.assert_array_equal(tested, augmentation.centre(seen, 32))
    key = tf.constant([0, 0], tf.int64)
    np.testing.assert_array_equal(augmentation.distort(jpeg, 32, key, "none"), tested)
    np.testing.assert_array_equal(data.thumbnails([jpeg], 32)[0], np.uint8(tested))
    crop = augmentation.random_crop(jpeg, key, 0.3).numpy()
    height, width, _ = crop.shape
    assert any(np.array_equal(crop, seen[top : top + height, left : left + width])
               for top in range(91 - height) for left in range(71 - width))


def test_training_shrinks_without_aliases():
    """Stripes of a pixel become grey, whatever window is cut out."""
    stripes = np.tile(np.uint8([[[0], [255]]]), (256, 128, 3))
    jpeg = tf.io.encode_jpeg(stripes, quality=100, chroma_downsampling=False)
    for number in range(10):
        key = tf.constant([0, number], tf.int64)
        seen = augmentation.distort(jpeg, 32, key, min_area=0.9).numpy()
        assert seen[4:-4, 4:-4].std() < 10


@pytest.mark.parametrize("full", [False, True])
def test_colours_are_distorted_within_bounds(full):
    image = tf.constant(np.asarray(picture()) / 255, tf.float32)
    seen = [augmentation.distort_colours(image, tf.constant([1, i], tf.int64), full)
            for i in range(30)]
    assert all(float(tf.reduce_min(x)) >= 0 and float(tf.reduce_max(x)) <= 1 for x in seen)
    again = augmentation.distort_colours(image, tf.constant([1, 0], tf.int64), full)
    np.testing.assert_array_equal(seen[0], again)
    grey = tf.fill((8, 8, 3), 0.5)  # has neither saturation nor contrast: only brightness is left
    seen = [augmentation.distort_colours(grey, tf.constant([1, i], tf.int64), False)
            for i in range(60)]
    lights = [float(image[0, 0, 0]) - 0.5 for image in seen]
    assert -32 / 255 <= min(lights) < -0.1 and 0.1 < max(lights) <= 32 / 255


@pytest.mark.parametrize("full", [False, True])
def test_hue_and_contrast_are_distorted_only_in_full(full):
    def distorted(image) -> list[np.ndarray]:
        image = tf.constant(image, tf.float32)
        return [augmentation.distort_colours(image, tf.constant([4, i], tf.int64), full).numpy()
                for i in range(60)]

    red = distorted([[[0.6, 0.3, 0.3]]])  # all but hue leave green and blue alike
    turns = np.array([seen[0, 0, 1] - seen[0, 0, 2] for seen in red])
    assert (turns.min() < -0.1 and turns.max() > 0.1) if full else np.abs(turns).max() < 1e-5
    grey = distorted([[[0.45] * 3, [0.55] * 3]])  # all but contrast leave their difference
    steps = np.array([seen[0, 1, 0] - seen[0, 0, 0] for seen in grey])
    if full:
        assert 0.05 <= steps.min() < 0.06 and 0.14 < steps.max() <= 0.15
    else:
        np.testing.assert_allclose(steps, 0.1, atol=1e-5)


def test_saturation_is_distorted():
    red = tf.constant([[[0.6, 0.3, 0.3]]])
    seen = [augmentation.distort_colours(red, tf.constant([5, i], tf.int64), False)[0, 0]
            for i in range(60)]
    spans = np.array([(x[0] - x[1]) / x[0] for x in seen])
    assert spans.min() < 0.35 and spans.max() > 0.6  # half of it stays untouched


@pytest.mark.parametrize(("augment", "expected"), [
    ("fast", {"bilinear"}), ("full", {"bilinear", "nearest", "bicubic", "area"})])
def test_pictures_are_flipped_and_resized_in_all_ways(monkeypatch, augment, expected):
    resize, ways, flipped = tf.image.resize, [], []

    def spy(image: tf.Tensor, size: tuple, way: str, antialias: bool) -> tf.Tensor:
        ways.append(way)
        return resize(image, size, way, antialias=antialias)

    monkeypatch.setattr(tf.image, "resize", spy)
    half = np.zeros((64, 64, 3), np.uint8)
    half[:, 32:] = 200
    jpeg = tf.io.encode_jpeg(half, quality=95)
    for number in range(40):
        key = tf.constant([6, number], tf.int64)
        seen = augmentation.distort(jpeg, 16, key, augment, 0.9).numpy()
        flipped.append(seen[:, :4].mean() > seen[:, -4:].mean())
    assert set(ways) == expected and len(ways) == 40
    assert 10 < sum(flipped) < 30


def test_pictures_are_turned_to_all_four_sides():
    quarter = np.zeros((64, 64, 3), np.uint8)
    quarter[8:20, 26:38] = 200  # a square in the upper middle, which no mirror moves
    jpeg = tf.io.encode_jpeg(quarter, quality=95)
    sides = []
    for number in range(40):
        seen = augmentation.distort(jpeg, 16, tf.constant([6, number], tf.int64), min_area=0.9,
                            quarter_turns=True).numpy()
        lights = [seen[:8].sum(), seen[:, :8].sum(), seen[8:].sum(), seen[:, 8:].sum()]
        sides.append(int(np.argmax(lights)))
    assert min(np.bincount(sides, minlength=4)) > 3


@pytest.mark.parametrize("start_step", [0, 5])
def test_each_example_has_a_key_of_its_own(start_step):
    indices, keys = zip(*inputs.example_indices(7, 4, 2**32 - 1, start_step).take(9), strict=True)
    batches = inputs.index_batches(7, 4, 2**32 - 1, start_step).take(3)
    expected = np.concatenate([indices for _, indices in batches])[:9]
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(keys, [(2**32 - 1, 4 * start_step + i) for i in range(9)])
    assert indices[0].dtype == keys[0].dtype == tf.int64


@pytest.mark.parametrize("augment", ["fast", "full", "none"])
def test_a_batch_is_a_function_of_seed_and_step(augment):
    split = split_of(7)

    def stream(seed, start=0):
        return data.training_batches(split, 4, 24, seed, start, augment)

    whole = list(stream(1).take(5).as_numpy_iterator())
    images, labels = next(iter(stream(1, 4)))
    np.testing.assert_array_equal(whole[4][0], images)
    np.testing.assert_array_equal(whole[4][1], labels)
    assert images.shape == (4, 24, 24, 3) and images.dtype == tf.float32
    assert 0 <= float(tf.reduce_min(images)) and 100 < float(tf.reduce_max(images)) <= 255
    other = next(iter(stream(2, 4)))
    assert not np.array_equal(images, other[0])
    labels = np.concatenate([labels for _, labels in whole])[:14]
    assert sorted(labels[:7]) == sorted(labels[7:]) == sorted(split.labels)


def test_evaluation_shows_each_picture_once():
    split = split_of(7)
    batches = list(data.evaluation_batches(split, 24, 4))
    assert [len(labels) for _, labels in batches] == [4, 3]
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), split.labels)


# The networks


@pytest.mark.parametrize("flags", [
    {},
    {"label_smoothing": 0.3},
    {"label_smoothing": 0.3, "class_weight": "balanced"},
    {"weight_decay": 0.1},
    {"batch_norm_decay": 0.5},
    {"augment": "none"},
    {"augment": "full", "min_area": 0.9},
    {"min_area": 0.9, "quarter_turns": True},
])
def test_flags_act_on_the_first_step(monkeypatch, tmp_path, flags):
    """Computes the first step of a run by hand: its loss, and the updated moving statistics."""
    defaults = {"label_smoothing": 0.0, "weight_decay": 0.0, "augment": "fast", "min_area": 0.05}
    settled = defaults | flags
    size, split = 64, split_of(20)  # three or four of each class
    dataset = data.Data({"train": split, "validation": split, "test": split}, tuple("abcdef"))
    monkeypatch.setattr(data, "load", lambda args: dataset)
    argv = ["--image_size", str(size), "--batch_size", "12", "--max_steps", "1", "--log_every",
            "1", "--keep_prob", "1", "--run_dir", str(tmp_path / "run"), "--preset", "demo"]
    if settled["augment"] == "none":
        del settled["min_area"]
    argv += cli.flag_words(settled)
    assert train.main(argv) == 0

    model = build_model(6, size)
    pictures, labels = next(iter(data.training_batches(
        split, 12, size, 0, 0, settled["augment"], settled.get("min_area", 1.0),
        settled.get("quarter_turns", False))))
    seen = model.get_layer("backbone").layers[1](pictures / 127.5 - 1).numpy()
    mean = seen.mean(axis=(0, 1, 2))
    log_p = tf.nn.log_softmax(model(pictures, training=True)).numpy()
    smoothing = settled["label_smoothing"]
    targets = (1 - smoothing) * np.eye(6)[labels] + smoothing / 6
    kernels = [layer.kernel for layer in (*model.get_layer("backbone").layers,
                                          model.get_layer("logits"))
               if type(layer) in (keras.layers.Conv2D, keras.layers.Dense)]
    penalty = settled["weight_decay"] / 2 * sum(float(tf.reduce_sum(k**2)) for k in kernels)
    weights = balanced_weights(split.labels, 6) if "class_weight" in flags else np.ones(6)
    expected = -(weights[labels] * (targets * log_p).sum(axis=1)).mean() + penalty

    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    logged = json.loads(lines[0])
    assert logged["split"] == "train" and logged["step"] == 1
    np.testing.assert_allclose(logged["loss"], expected, rtol=1e-4)
    after = build_model(6, size)
    checkpoint.load(tmp_path / "run", "latest", model=after)
    moved = after.get_layer("backbone").get_layer("conv1_bn").moving_mean.numpy()
    decay = flags.get("batch_norm_decay", train.PRESETS["demo"]["batch_norm_decay"])
    np.testing.assert_allclose(moved, (1 - decay) * mean, rtol=1e-3, atol=1e-5)


def test_the_rate_falls_as_in_the_original():
    rate = train.learning_rate(arguments("--num_epochs_per_decay", "2"), 4800)
    found = [float(rate(step)) for step in (0, 299, 300, 599, 600, 3000)]
    expected = [0.01 * 0.94**k for k in (0, 0, 1, 1, 2, 10)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    rate = train.learning_rate(arguments("--learning_rate_decay_type", "polynomial"), 4800)
    np.testing.assert_allclose([rate(0), rate(150), rate(300), rate(900)],
                               [0.01, (0.01 + 1e-4) / 2, 1e-4, 1e-4], rtol=1e-5)
    assert train.learning_rate(arguments("--learning_rate_decay_type", "fixed"), 4800) == 0.01
    cosine = arguments("--learning_rate_decay_type", "cosine", "--max_steps", "100")
    np.testing.assert_allclose(train.learning_rate(cosine, 4800)(50), 0.005, rtol=1e-5)


def settled(count: int, *argv: str) -> argparse.Namespace:
    """Returns the flags of a command on so many training images."""
    args = cli.resolve(train.build_parser(), argv)
    set_steps(args, count)
    return args


@pytest.mark.parametrize(("argv", "count", "steps", "eval_every"), [
    (("--preset", "best_head"), 1728, 648, 54),  # the published runs
    (("--preset", "best_all"), 1728, 540, 54),
    (("--preset", "scratch"), 1728, 1080, 54),
    (("--preset", "best_all"), 10_000, 3125, 312),
    (("--preset", "best_all", "--epochs", "3", "--batch_size", "50"), 10_000, 600, 200),
    (("--preset", "best_all", "--eval_every", "7"), 10_000, 3125, 7),
    (("--preset", "best_all", "--epochs", "1"), 5, 1, 1),
    (("--preset", "best_all", "--max_steps", "20"), 10_000, 20, 500),
    (("--preset", "book_head"), 4320, 100_000, 500),
    (("--preset", "book_head", "--epochs", "2"), 4320, 270, 135),
    ((), 1350, 1500, 150),
])
def test_the_schedule_ends_with_the_steps_of_the_epochs(argv, count, steps, eval_every):
    args = settled(count, *argv)
    assert (args.max_steps, args.eval_every) == (steps, eval_every)
    assert not (args.epochs and "max_steps" in args.typed)
    if args.learning_rate_decay_type == "cosine":
        rate = train.learning_rate(args, count)
        np.testing.assert_allclose([rate(0), rate(steps / 2), rate(steps)],
                                   [args.learning_rate, args.learning_rate / 2, 0], atol=1e-9)


def test_fewer_epochs_than_were_trained_are_nothing_to_do(tmp_path, monkeypatch):
    args = cli.resolve(train.build_parser(), ["--preset", "best_all", "--epochs", "2"])
    args.changed = {"epochs": 2}
    monkeypatch.setattr(rundir, "last_step", lambda run: 108)
    with pytest.raises(UserError, match=r"nothing to do: .* is at step 108 of 108"):
        set_steps(args, 1728)


def test_own_images_do_not_run_the_demo(tmp_path):
    own = ("--data_dir", str(tmp_path))
    args = cli.resolve(train.build_parser(), own)
    assert args.preset == "best_all" and args.run_dir.name.endswith("-best_all")
    assert {flag: getattr(args, flag) for flag in train.PRESETS["best_all"]} == (
        train.PRESETS["best_all"])
    assert cli.resolve(train.build_parser(), [*own, "--preset", "demo"]).preset == "demo"


def test_rmsprop_is_the_originals():
    """TensorFlow 1's update, but for its mean square that begins at 1 (here 0)."""
    optimizer = train.make_optimizer(
        arguments("--learning_rate_decay_type", "fixed", "--learning_rate", "0.5"), 100)
    variable = keras.Variable([1.0])
    square, momentum, expected = 0.0, 0.0, 1.0
    for gradient in (2.0, -1.0, 0.5):
        optimizer.apply([tf.constant([gradient])], [variable])
        square = 0.9 * square + 0.1 * gradient**2
        momentum = 0.9 * momentum + 0.5 * gradient / np.sqrt(square + 1.0)
        expected -= momentum
        np.testing.assert_allclose(variable.numpy(), [expected], rtol=1e-5)


REACHED = {
    "rmsprop": {"rho": 0.81, "momentum": 0.82, "epsilon": 0.83},
    "adam": {"beta_1": 0.71, "beta_2": 0.72, "epsilon": 0.83},
    "sgd": {"momentum": 0.0},
    "momentum": {"momentum": 0.82},
    "adagrad": {"initial_accumulator_value": 0.61},
    "adadelta": {"rho": 0.73, "epsilon": 0.83},
    "ftrl": {"learning_rate_power": -0.62, "initial_accumulator_value": 0.63,
             "l1_regularization_strength": 0.64, "l2_regularization_strength": 0.65},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_flag_reaches_its_optimizer(name):
    optimizer = train.make_optimizer(arguments(
        "--optimizer", name, "--learning_rate", "0.51", "--learning_rate_decay_type", "fixed",
        "--rmsprop_decay", "0.81", "--momentum", "0.82", "--opt_epsilon", "0.83",
        "--adam_beta1", "0.71", "--adam_beta2", "0.72", "--adadelta_rho", "0.73",
        "--adagrad_initial_accumulator_value", "0.61", "--ftrl_learning_rate_power", "-0.62",
        "--ftrl_initial_accumulator_value", "0.63", "--ftrl_l1", "0.64", "--ftrl_l2", "0.65"), 100)
    np.testing.assert_allclose(optimizer.learning_rate, 0.51)
    assert {key: getattr(optimizer, key) for key in REACHED[name]} == REACHED[name]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_downhill(name):
    optimizer = train.make_optimizer(arguments("--optimizer", name), 100)
    variable = keras.Variable([1.0])
    optimizer.apply([tf.constant([1.0])], [variable])
    assert variable.numpy()[0] < 1


def test_weight_decay_counts_trained_kernels_but_no_depthwise_ones(whole_network):
    model = build_model(3, 32)
    add_weight_decay(model, 0.01)
    kernels = [layer.kernel for layer in model.get_layer("backbone").layers
               if type(layer) is keras.layers.Conv2D] + [model.get_layer("logits").kernel]
    assert len(kernels) == 15  # the first, thirteen pointwise, the head
    total = 0.005 * sum(float(tf.reduce_sum(kernel**2)) for kernel in kernels)
    np.testing.assert_allclose(float(sum(model.losses)), total, rtol=1e-5)
    set_trainable(model, "head")
    head = 0.005 * float(tf.reduce_sum(kernels[-1] ** 2))
    np.testing.assert_allclose(float(sum(model.losses)), head, rtol=1e-5)


@pytest.mark.parametrize("scopes", ["head", "all", "head,conv_pw_13,conv_dw_13"])
def test_only_what_is_meant_is_trained(scopes, whole_network):
    model = build_model(6, 32)
    pictures, labels = next(iter(data.training_batches(split_of(12), 12, 32, 0)))
    set_batch_norm_decay(model, 0)
    model(pictures, training=True)  # statistics as of a trained network: features are not near 0
    set_trainable(model, scopes)
    model.compile(keras.optimizers.SGD(1.0), keras.losses.CategoricalCrossentropy(True))
    before = {v.path: v.numpy() for v in model.variables if "seed" not in v.path}
    with tf.GradientTape() as tape:
        logits = model(pictures, training=True)
        loss = tf.reduce_sum(logits**2)
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    assert all(gradient is not None for gradient in gradients)
    model.train_on_batch(255 - pictures, tf.one_hot(labels, 6))
    moved = {v.path for v in model.variables
             if "seed" not in v.path and not np.array_equal(before[v.path], v.numpy())}
    frozen = {path for path in before if scopes != "all" and not any(
        f"/{name}" in f"/{path}" for name in ("logits", *scopes.split(",")[1:]))}
    assert moved.isdisjoint(frozen)  # gamma, beta and the statistics of frozen layers among them
    if scopes == "all":
        assert any("moving_mean" in path for path in moved)
    trained = {v.path for v in model.trainable_variables}
    assert trained.isdisjoint(frozen) and len(trained & moved) > 0.9 * len(trained)


def test_batch_normalization_stays_as_it_came_in_trained_layers_too(whole_network):
    model = build_model(3, 32)
    pictures, labels = next(iter(data.training_batches(split_of(12), 12, 32, 0)))
    set_batch_norm_decay(model, 0)
    model(pictures, training=True)  # statistics as of a trained network: features are not near 0
    set_trainable(model, "all", freeze_batch_norm=True)
    model.compile(keras.optimizers.SGD(1.0), keras.losses.CategoricalCrossentropy(True))
    before = {v.path: v.numpy() for v in model.variables if "seed" not in v.path}
    model.train_on_batch(pictures, tf.one_hot(labels % 3, 3))
    moved = {v.path for v in model.variables
             if "seed" not in v.path and not np.array_equal(before[v.path], v.numpy())}
    assert any("conv1/kernel" in path for path in moved)
    assert not any("_bn/" in path for path in moved)


def test_scopes_that_name_nothing(whole_network):
    model = build_model(3, 32)
    for scope in ("Mixed_9", "conv_pw_14", "conv_pw_13_relu", "conv_p", ""):  # relu has no weights
        with pytest.raises(ValueError, match=f"called '{scope}'; the last .*, conv_pw_13_bn$"):
            set_trainable(model, f"head,{scope}")


def test_a_scope_is_no_longer_number(whole_network):
    model = build_model(3, 32)
    set_trainable(model, "conv_pw_1")
    trained = {v.path.split("/")[-2] for v in model.trainable_variables}
    assert trained == {"conv_pw_1", "conv_pw_1_bn"}


def build_odd_backbone() -> keras.Model:
    """Builds what ConvNeXt and EfficientNet have and MobileNet lacks, in a few layers."""
    layers = keras.layers
    images = keras.Input((8, 8, 3))
    x = keras.Sequential([layers.Conv2D(8, 1, name="inner_conv"), layers.LayerNormalization()],
                         name="stem")(images)
    x = layers.Conv2D(8, 3, groups=8, padding="same", name="grouped")(x)
    x = layers.Dropout(0.5, name="block1_drop")(x)
    maps = layers.Dense(8, "gelu", name="block1_dense")(x)
    x = layers.LayerNormalization(name="norm")(layers.GlobalAveragePooling2D(name="avg_pool")(maps))
    return keras.Model(images, x, name="backbone")


def test_weight_decay_finds_nested_kernels_and_no_grouped_ones():
    model = build_plain_model(build_odd_backbone(), 3)
    add_weight_decay(model, 0.01)
    regularized = {v.path.split("/")[-2] for v in model.trainable_variables if v.regularizer}
    assert regularized == {"inner_conv", "block1_dense", "logits"}


def test_frozen_blocks_are_not_dropped():
    pictures = tf.random.stateless_uniform((4, 8, 8, 3), (0, 1))
    for scopes, dropped in (("head", False), ("stem", False), ("block1", True), ("all", True)):
        model = build_plain_model(build_odd_backbone(), 3)
        set_trainable(model, scopes)
        same = np.array_equal(model(pictures, training=True), model(pictures, training=False))
        assert same != dropped, scopes


def test_grad_cam_sees_through_what_follows_the_mean():
    model = build_plain_model(build_odd_backbone(), 3)
    pictures = tf.random.stateless_uniform((2, 8, 8, 3), (0, 1))
    heat, probabilities = grad_cam.grad_cam(model, pictures)
    np.testing.assert_allclose(probabilities, tf.nn.softmax(model(pictures)), atol=1e-5)
    backbone = model.get_layer("backbone")
    to_maps = keras.Model(backbone.inputs, backbone.get_layer("avg_pool").input)
    with tf.GradientTape() as tape:
        maps = to_maps(pictures)
        tape.watch(maps)
        features = backbone.get_layer("norm")(tf.reduce_mean(maps, (1, 2)))
        logit = tf.reduce_sum(model.get_layer("logits")(features)[:, 1])
    weights = tf.reduce_mean(tape.gradient(logit, maps), axis=(1, 2), keepdims=True)
    expected = tf.nn.relu(tf.reduce_sum(maps * weights, axis=-1))
    assert float(tf.reduce_max(expected)) > 0
    np.testing.assert_allclose(heat[..., 1], expected, rtol=1e-4, atol=1e-6)

@pytest.mark.slow
def test_few_pictures_are_learnt_by_heart():
    model = build_model(6, 64)
    split = split_of(12)
    pictures, labels = next(iter(data.evaluation_batches(split, 64)))
    model.compile(keras.optimizers.Adam(0.003), keras.losses.CategoricalCrossentropy(True),
                  metrics=["accuracy"])
    history = model.fit(pictures, tf.one_hot(labels, 6), epochs=40, batch_size=12, verbose=0)
    assert history.history["loss"][-1] < 0.1 and history.history["accuracy"][-1] == 1


# Classes of different sizes


def test_rare_classes_weigh_more():
    labels = np.repeat([0, 1, 2], [6, 3, 1])
    weights = balanced_weights(labels, 3)
    np.testing.assert_allclose(weights, compute_class_weight(
        "balanced", classes=np.arange(3), y=labels), rtol=1e-6)
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3], rtol=1e-6)
    np.testing.assert_allclose(weights[labels].mean(), 1, rtol=1e-6)


def test_scores_of_a_hand_table():
    p = np.array([[0.5, 0.25, 0.25], [0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.4, 0.5, 0.1]])
    found = inference.score(np.log(p, dtype=np.float32), np.array([0, 0, 0, 1]))
    losses = -np.log([0.5, 0.7, 0.6, 0.5])
    expected = {"loss": losses.mean(), "accuracy": 1, "examples": 4, "balanced_accuracy": 1,
                "balanced_loss": (losses[:3].mean() + losses[3]) / 2}
    assert found == pytest.approx(expected, rel=1e-6)
    found = inference.score(np.log(p, dtype=np.float32), np.array([0, 0, 0, 2]))
    assert (found["accuracy"], found["balanced_accuracy"]) == (0.75, 0.5)


@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_weighted_runs_select_by_the_weighted_loss(tmp_path, monkeypatch, class_weight):
    pictures = write_pictures(tmp_path / "pic", count=4, kinds=("rock", "wood"))
    for number in range(10, 34):
        picture_of("rock", number).save(pictures / "train" / "rock" / f"{number}.jpg")
    selected, scores = [], []
    score = inference.score
    monkeypatch.setattr(TrainState, "save_if_best", lambda self, value: selected.append(value))
    monkeypatch.setattr(train, "score", lambda *args: scores.append(score(*args)) or scores[-1])
    run = tmp_path / "run"
    assert train.main([*TINY, "--run_dir", str(run), "--data_dir", str(pictures),
                       "--class_weight", class_weight]) == 0
    name = "loss" if class_weight == "none" else "balanced_loss"
    assert selected == [scores[-1][name]] and scores[-1]["loss"] != scores[-1]["balanced_loss"]
    recorded = files.read_json(run / "config.json")["class_weights"]
    counts = {"rock": 25, "wood": 3}  # without the three and the one held out
    assert recorded == ({} if class_weight == "none" else pytest.approx(
        {kind: 28 / (2 * count) for kind, count in counts.items()}))


# bfloat16


def test_bfloat16_computes_in_it_and_returns_float32():
    model = build_classifier(arguments(*TINY, "--model_name", "MobileNet", "--precision",
                                       "bfloat16"), 3)
    backbone, head = model.get_layer("backbone"), model.get_layer("logits")
    assert backbone.get_layer("conv1").compute_dtype == "bfloat16"
    assert {v.dtype for v in model.weights} == {"float32"}
    assert head.compute_dtype == backbone.get_layer("avg_pool").compute_dtype == "float32"
    assert model.output.dtype == "float32" and backbone.output.dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"  # of whatever is built next
    exact = build_classifier(arguments(*TINY, "--model_name", "MobileNet"), 3)
    pictures = 255 * tf.random.stateless_uniform((4, 32, 32, 3), (0, 1))
    found, expected = model(pictures, training=True), exact(pictures, training=True)
    np.testing.assert_allclose(found, expected, atol=0.1 * np.abs(expected).max())
    assert not np.array_equal(found, expected)
    heat, probabilities = grad_cam.grad_cam(model, pictures)
    assert heat.dtype == probabilities.dtype == np.float32


def test_a_run_in_bfloat16_resumes_bit_for_bit_and_is_exported(tmp_path, monkeypatch):
    pictures = write_pictures(tmp_path / "pic", count=6)
    argv = [*TINY, "--max_steps", "5", "--precision", "bfloat16", "--class_weight", "balanced",
            "--data_dir", str(pictures), "--run_dir"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    with deterministic():
        assert train.main([*argv, str(whole)]) == 0
        with monkeypatch.context() as patch:
            interrupt_after(patch, 2)
            assert train.main([*argv, str(parts)]) == 130
        assert train.main(["--run_dir", str(parts)]) == 0
    one, other = state_of(whole), state_of(parts)
    assert one.keys() == other.keys()
    assert [name for name in one if not np.array_equal(one[name], other[name])] == []
    assert (whole / "metrics.jsonl").read_bytes() == (parts / "metrics.jsonl").read_bytes()
    assert export.main(["--run_dir", str(whole)]) == 0
    for kind in formats.FORMATS:
        if not formats.missing(kind):  # in float32
            assert export.main(["--run_dir", str(whole), "--format", kind]) == 0


# The verbs


def test_top_k():
    logits = np.array([[3.0, 2, 1], [1, 2, 3], [2, 3, 1]])
    assert eval.top_k_accuracy(logits, np.array([1, 1, 2]), 1) == 0
    np.testing.assert_allclose(eval.top_k_accuracy(logits, np.array([1, 1, 2]), 2), 2 / 3)
    assert eval.top_k_accuracy(logits, np.array([1, 1, 2]), 3) == 1


def test_the_majority_of_frames_wins():
    probabilities = np.array([[0.6, 0.4, 0.0], [0.6, 0.4, 0.0], [0.0, 0.0, 1.0]])
    label, means = predict.majority(probabilities)
    assert label == 0
    np.testing.assert_allclose(means, [0.4, 0.8 / 3, 1 / 3])
    assert predict.majority(np.array([[0.6, 0.4], [0.1, 0.9]]))[0] == 1  # a tie


def test_grad_cam_is_the_gradients_mean_times_the_maps():
    model = build_model(3, 64, seed=1)
    pictures = 255 * tf.random.stateless_uniform((2, 64, 64, 3), (0, 1))
    heat, probabilities = grad_cam.grad_cam(model, pictures)
    np.testing.assert_allclose(probabilities, tf.nn.softmax(model(pictures)), atol=1e-5)
    backbone = model.get_layer("backbone")
    last_maps = keras.Model(backbone.inputs, backbone.layers[-1].input)
    with tf.GradientTape() as tape:
        maps = last_maps(pictures)
        tape.watch(maps)
        logit = tf.reduce_sum(model.get_layer("logits")(tf.reduce_mean(maps, (1, 2)))[:, 2])
    weights = tf.reduce_mean(tape.gradient(logit, maps), axis=(1, 2), keepdims=True)
    expected = tf.nn.relu(tf.reduce_sum(maps * weights, axis=-1))
    assert float(tf.reduce_max(expected)) > 0
    np.testing.assert_allclose(heat[..., 2], expected, rtol=1e-4, atol=1e-7)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "tiny"
    assert train.main([*TINY, "--run_dir", str(folder)]) == 0
    return folder


@pytest.fixture
def run(trained, tmp_path_factory) -> Path:
    """Returns a copy of the trained run, outside of what a test takes for its pictures."""
    return shutil.copytree(trained, tmp_path_factory.mktemp("run") / "tiny")


@pytest.fixture
def sharp(run) -> Path:
    """Returns a run whose answers differ by much from picture to picture."""
    config = files.read_json(run / "config.json")
    model = build_model(len(config["class_names"]), 32)
    state = TrainState(run / "sharp", {"model": model})
    checkpoint.load(run, "best", model=model)
    set_batch_norm_decay(model, 0)
    model(next(iter(data.evaluation_batches(split_of(48), 32)))[0], training=True)
    state.save()
    shutil.rmtree(run / "checkpoints")
    (run / "sharp" / "checkpoints").rename(run / "checkpoints")
    return run


def write_clip(path: Path, frames: list[np.ndarray]) -> Path:
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (128, 128))
    for frame in frames:
        video.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    video.release()
    return path


def test_a_truncated_video_is_reported(tmp_path, capsys):
    clip = write_clip(tmp_path / "clip.avi", [np.asarray(picture(i)) for i in range(40)])
    assert len(list(video.read_frames(clip))) == 40
    assert capsys.readouterr().err == ""
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    count = len(list(video.read_frames(clip)))
    assert 0 < count < 40
    assert f"clip.avi is truncated: {count} of 40 frames" in capsys.readouterr().err


def test_the_most_probable_classes_come_first(sharp, tmp_path, capsys):
    picture().save(tmp_path / "a.png")
    assert predict.main(["--run_dir", str(sharp), str(tmp_path / "a.png"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    ranked = sorted(answer["probabilities"].items(), key=lambda pair: -pair[1])
    assert len({round(p, 3) for _, p in ranked}) > 2, ranked
    for flags, count in ((), 5), (("--top_k", "2"), 2), (("--num_top_predictions", "9"), 6):
        assert predict.main(["--run_dir", str(sharp), str(tmp_path / "a.png"), *flags]) == 0
        best = "  ".join(f"{name} {p:.1%}" for name, p in ranked[:count])
        assert capsys.readouterr().out.strip() == f"{tmp_path}/a.png: {answer['label']}   {best}"


def test_pictures_folders_and_videos_are_answered(run, tmp_path, capsys):
    write_odd_pictures(tmp_path)
    frames = [np.asarray(picture(i)) for i in range(40)]
    clip = write_clip(tmp_path / "clip.avi", frames)
    seen = list(video.read_frames(clip))
    assert len(seen) == 40 and np.abs(seen[7].astype(float) - frames[7]).mean() < 15
    table = tmp_path / "answers.csv"
    flags = ["--run_dir", str(run), "--csv", str(table)]
    assert predict.main([str(tmp_path), *flags]) == 0
    captured = capsys.readouterr()
    assert "skipped: " in captured.err and "truncated.jpg" in captured.err
    assert "(40 frames)" in captured.out
    assert not list(tmp_path.glob("*.part"))
    assert table.read_bytes().startswith(b"\xef\xbb\xbf")  # spreadsheets then expect UTF-8
    with table.open(encoding="utf-8-sig") as file:
        head, *rows = csv.reader(file)
    assert head == ["file", "label", "probability"] and len(rows) >= 9
    assert all(label in textures.KINDS and 0 <= float(p) <= 1 for _, label, p in rows)
    assert predict.main([str(clip), "--run_dir", str(run), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["label"] in textures.KINDS
    np.testing.assert_allclose(sum(answer["probabilities"].values()), 1, rtol=1e-4)


def test_files_that_cannot_be_answered(run, tmp_path, capsys):
    def fails(path: Path, says: str, *flags: str) -> None:
        assert predict.main(["--run_dir", str(run), str(path), *flags]) == 2
        captured = capsys.readouterr()
        assert says in captured.err and captured.out == ""

    (tmp_path / "empty").mkdir()
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    (tmp_path / "a.mp4").write_bytes(b"no video")
    fails(tmp_path / "a.jpg", "a.jpg is not a")
    fails(tmp_path / "a.mp4", "is not a video")
    fails(tmp_path / "absent.mp4", "there is no file")
    fails(tmp_path / "empty", "holds no files")
    picture().save(tmp_path / "b.png")
    table = tmp_path / "表.csv"
    argv = [*(str(tmp_path / name) for name in ("a.jpg", "empty", "b.png", "a.mp4")), "--csv",
            str(table)]
    assert predict.main(["--run_dir", str(run), *argv]) == 2
    captured = capsys.readouterr()
    assert all(name in captured.err for name in ("a.jpg", "empty", "a.mp4"))
    assert len(captured.out.splitlines()) == 1
    assert len(table.read_text(encoding="utf-8-sig").splitlines()) == 2
    for table in (tmp_path / "absent" / "a.csv", tmp_path / "empty"):
        fails(tmp_path / "b.png", f"--csv {table} cannot be written", "--csv", str(table))
    assert not (tmp_path / "absent").exists()


def test_the_export_agrees_with_predict(sharp, tmp_path, capsys):
    assert export.main(["--run_dir", str(sharp)]) == 0
    signatures = tf.saved_model.load(str(sharp / "export" / "1")).signatures
    (folder := tmp_path / "pictures").mkdir()
    picture().crop((0, 0, 120, 100)).save(folder / "a.png")
    picture(1, "urban").crop((0, 0, 100, 120)).save(folder / "b.jpg", quality=80)
    picture(2, "wood").resize((900, 1100)).save(folder / "c.jpg", quality=80)
    transparent = picture(3, "water")
    transparent.putalpha(Image.linear_gradient("L").resize(transparent.size))
    transparent.save(folder / "d.png")
    encoded = [path.read_bytes() for path in sorted(folder.iterdir())]
    for name, nothing in (("pictures", {"encoded": tf.constant([], tf.string)}),
                          ("serving_default", {"images": np.zeros((0, 32, 32, 3), np.uint8)})):
        assert signatures[name](**nothing)["probabilities"].shape == (0, 6)
    answer = signatures["pictures"](encoded=tf.constant(encoded))
    found = answer["probabilities"].numpy()
    assert np.abs(found[:, None] - found).max(axis=-1)[~np.eye(4, dtype=bool)].min() > 0.01
    capsys.readouterr()
    assert predict.main(["--run_dir", str(sharp), "--json", str(folder)]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert answer["labels"].numpy().tolist() == [row["label"].encode() for row in printed]
    for row, expected in zip(found, printed, strict=True):
        np.testing.assert_allclose(row, list(expected["probabilities"].values()), atol=1e-4)
    middle = np.asarray(picture(4).resize((32, 32)))  # not cut: at the network's size already
    one = signatures["serving_default"](images=middle[None])["probabilities"]
    model, _ = load_run(argparse.Namespace(run_dir=sharp, checkpoint="best"),
                        arguments(*TINY, "--model_name", "MobileNet", "--alpha", "0.25"))
    expected = tf.nn.softmax(model(middle[None].astype(np.float32), training=False))
    np.testing.assert_allclose(one, expected, atol=1e-4)


def test_eval_reports_recall_and_interval(run, capsys):
    assert eval.main(["--run_dir", str(run), "--top_k", "6"]) == 0
    result = files.read_json(run / "eval.json")
    test, recall = result["metrics"]["test"], result["details"]["test_recall_by_class"]
    assert test["examples"] == 300 and test["top_6_accuracy"] == 1
    assert test["accuracy_low"] <= test["accuracy"] <= test["accuracy_high"]
    np.testing.assert_allclose(np.mean(list(recall.values())), test["accuracy"])
    assert {"confusion.png", "mistakes.png"} <= {path.name for path in run.iterdir()}
    assert eval.main(["--run_dir", str(run), "--top_k", "7"]) == 2
    assert "--top_k 7, but there are 6 classes" in capsys.readouterr().err


def write_dark_tests(records: Path, tmp_path: Path) -> Path:
    """Copies records, with other pictures to test on."""
    other = shutil.copytree(records, tmp_path / "other")
    pictures = write_pictures(tmp_path / "pic2")
    for path in (pictures / "validation").rglob("*.jpg"):
        Image.new("RGB", (64, 64)).save(path)
    tfrecords.write_records(pictures, tmp_path / "dark", "satellite", SHARDS)
    for path in tfrecords.find_shards(tmp_path / "dark", "satellite", "validation"):
        shutil.copy(path, other)
    return other


def test_the_test_pictures_choose_nothing(records, tmp_path, monkeypatch):
    seen = []
    score = inference.score
    for module in (train, eval):
        monkeypatch.setattr(module, "score", lambda logits, labels: seen.append(labels)
                            or score(logits, labels))
    weights = []
    for folder in (records, write_dark_tests(records, tmp_path)):
        run = tmp_path / f"run-{folder.name}"
        assert train.main([*TINY, "--max_steps", "4", "--eval_every", "1", "--run_dir", str(run),
                           "--dataset", "records", "--dataset_dir", str(folder)]) == 0
        paths = [checkpoint_files.latest(run / "checkpoints" / kind) for kind in ("", "best")]
        readers = [tf.train.load_checkpoint(path) for path in paths]
        names = [name for name in readers[0].get_variable_to_shape_map()
                 if name.startswith("model/")]
        weights.append([(Path(path).name, reader.get_tensor(name))
                        for path, reader in zip(paths, readers, strict=True) for name in names])
    for (path, value), (other_path, other) in zip(*weights, strict=True):
        assert path == other_path
        np.testing.assert_array_equal(value, other)
    held_out = data.load_records(records, "satellite", 0.1).splits["validation"].labels
    assert len(seen) == 8 and all(np.array_equal(labels, held_out) for labels in seen)


def test_eval_finds_records_that_were_moved(records, tmp_path, capsys):
    run = tmp_path / "run"
    assert train.main([*TINY, "--run_dir", str(run), "--dataset", "records",
                       "--dataset_dir", str(records)]) == 0
    other = write_dark_tests(records, tmp_path)
    moved = records.rename(tmp_path / "moved")
    assert eval.main(["--run_dir", str(run)]) == 2
    assert "the folder does not exist" in capsys.readouterr().err
    assert eval.main(["--run_dir", str(run), "--dataset_dir", str(other)]) == 2
    assert f"the data of {run} has changed" in capsys.readouterr().err
    assert eval.main(["--run_dir", str(run), "--dataset_dir", str(moved)]) == 0
    assert files.read_json(run / "eval.json")["metrics"]["test"]["examples"] == 6


@pytest.mark.parametrize(("dataset_name", "book"), [
    ("satellite", {"accuracy": 0.76}), ("flowers", {})])
def test_the_books_number_stands_beside_its_own_images_alone(tmp_path, dataset_name, book):
    pictures = write_pictures(tmp_path / "pic")
    tfrecords.write_records(pictures, tmp_path / "records", dataset_name, SHARDS)
    run = tmp_path / "run"
    assert train.main([*TINY, "--preset", "book_head", "--model_name", "MobileNet", "--weights",
                       "none", "--run_dir", str(run), "--dataset_name", dataset_name,
                       "--dataset_dir", str(tmp_path / "records")]) == 0
    assert eval.main(["--run_dir", str(run)]) == 0
    assert files.read_json(run / "eval.json")["book"] == book


def test_only_the_worst_mistakes_are_decoded(tmp_path, monkeypatch):
    split, decoded = split_of(60), []
    thumbnails = data.thumbnails
    monkeypatch.setattr(data, "thumbnails", lambda jpegs: decoded.append(len(jpegs))
                        or thumbnails(jpegs))
    logits = np.eye(6)[(split.labels + 1) % 6] * np.linspace(1, 2, 60)[:, None]
    draw_mistakes(split, logits, tuple("abcdef"), tmp_path / "a.png")
    assert decoded == [40] and (tmp_path / "a.png").exists()


@pytest.mark.parametrize("holds", ["nothing", "records"])
def test_the_demo_names_records_that_exist(tmp_path, monkeypatch, capsys, holds):
    monkeypatch.setattr(files, "default_dir", lambda name: tmp_path)
    if holds == "records":
        (tmp_path / "label.txt").write_text("0:rock\n")
    train.introduce(arguments("--model_name", "MobileNet"), {"train": split_of(3)})
    out = capsys.readouterr().out
    assert "the book's run: python train.py" in out
    assert (f"there are records in {tmp_path}" in out) == (holds == "records")


def test_bad_flags_are_named(tmp_path, capsys):
    def fails(*argv: str, says: str) -> None:
        assert train.main([*TINY, *argv]) == 2
        assert says in capsys.readouterr().err

    fails("--dataset", "textures", "--dataset_dir", str(tmp_path),
          says="--dataset textures is not read from a folder")
    fails("--epochs", "3", says="--epochs 3 has no effect with --max_steps 2")
    fails("--dataset", "records", says="--dataset records without --data_dir")
    fails("--dataset", "folder", says="--dataset folder without --data_dir")
    for share in ("0", "1", "nan"):
        fails("--holdout_fraction", share, says=f"{share} is not a number above 0 and below 1")
    fails("--dataset", "records", "--dataset_dir", str(tmp_path), says="has no label.txt")
    fails("--dataset", "records", "--dataset_dir", str(tmp_path / "a"), says="check the path")
    fails("--trainable_scopes", "Mixed_9", says="is called 'Mixed_9'")
    fails("--model_name", "InceptionV3", "--alpha", "0.25", says="--alpha 0.25 is for a MobileNet")
    fails("--model_name", "InceptionV3", says="75")
    fails("--weights", str(tmp_path / "absent.h5"), says="there is no file")
    fails("--weights", str(tmp_path), says="there is no file")
    assert not list(rundir.runs_dir().glob("chapter03_finetune/*"))


@pytest.mark.parametrize(("argv", "says"), [
    (("--optimizer", "sgd", "--ftrl_l1", "3"), "--ftrl_l1 3.0 has no effect with --optimizer sgd"),
    (("--momentum", "0.5"), "--momentum 0.5 has no effect with --optimizer adam"),
    (("--optimizer", "ftrl", "--adam_beta1", "0.5", "--opt_epsilon", "1"),
     "--opt_epsilon 1.0 --adam_beta1 0.5 has no effect with --optimizer ftrl"),
    (("--end_learning_rate", "0.1"), "has no effect with --learning_rate_decay_type cosine"),
    (("--learning_rate_decay_type", "polynomial", "--learning_rate_decay_factor", "0.1"),
     "has no effect with --learning_rate_decay_type polynomial"),
    (("--augment", "none", "--quarter_turns"), "--quarter_turns has no effect with --augment none"),
    (("--init_from", "a", "--weights", "none"), "--weights none has no effect with --init_from a"),
    (("--trainable_scopes", "head", "--batch_norm_decay", "0.5"),
     "has no effect with --trainable_scopes head"),
    (("--freeze_batch_norm", "--batch_norm_decay", "0.5"), "has no effect with --freeze_batch"),
    (("--model_name", "VGG16", "--freeze_batch_norm"), "has no effect with --model_name VGG16"),
    (("--model_name", "ConvNeXtTiny", "--freeze_batch_norm"),
     "has no effect with --model_name ConvNeXtTiny"),
    (("--dataset_name", "flowers"), "has no effect with --dataset textures"),
    (("--validation_fraction", "0.5"), "has no effect with --dataset textures"),
    (("--data_dir", "pictures", "--dataset_name", "flowers"),
     "has no effect with --dataset folder"),
])
def test_flags_without_effect_are_refused(argv, says, capsys):
    assert train.main([*TINY, *argv]) == 2
    assert says in capsys.readouterr().err
    assert not list(rundir.runs_dir().glob("chapter03_finetune/*"))


@pytest.mark.parametrize("preset", train.PRESETS)
def test_flags_of_a_preset_are_not_refused(preset):
    args = cli.resolve(train.build_parser(), ["--preset", preset, "--augment", "none",
                                              "--optimizer", "sgd", "--trainable_scopes", "head"])
    for beside, idle in idle_flags(args).items():
        cli.refuse_idle(args, idle, beside)


def test_the_shared_weights_see_the_real_pictures(real_data, tmp_path, whole_network):
    """A head on frozen features learns a little of the satellite set in few steps."""
    weights = real_data("pretrained/mobilenet_v1_0.75_224.weights.h5")
    satellite = real_data("satellite")
    for split, count in (("train", 12), ("validation", 5)):
        for kind in sorted((satellite / split).iterdir()):
            (tmp_path / "pic" / split / kind.name).mkdir(parents=True)
            for path in sorted(kind.iterdir())[:count]:
                shutil.copy(path, tmp_path / "pic" / split / kind.name)
    counts = tfrecords.write_records(tmp_path / "pic", tmp_path / "records", "satellite", SHARDS)
    assert counts == {"train": 72, "validation": 30, "left_out": 0}
    assert train.main([
        "--preset", "best_head", "--dataset_dir", str(tmp_path / "records"), "--weights",
        str(weights), "--image_size", "128", "--batch_size", "16", "--max_steps", "20",
        "--learning_rate", "0.01", "--augment", "none", "--name", "real"]) == 0
    run = rundir.runs_dir() / "chapter03_finetune" / "real"
    assert eval.main(["--run_dir", str(run)]) == 0
    result = files.read_json(run / "eval.json")
    assert result["metrics"]["test"]["accuracy"] > 0.4  # a sixth by chance
    assert (result["dataset"], result["model"]) == ("satellite", "MobileNet-best_head")
