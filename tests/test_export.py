"""SavedModels are verified in a process of their own."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from common import export, files, images
from common.errors import UserError


@pytest.mark.slow
def test_export_is_proved_in_a_process_of_its_own(tmp_path, capsys):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])

    def classify(images, names):
        logits = model(images, training=False)
        labels = tf.strings.join([names, tf.as_string(tf.argmax(logits, axis=1))], ":")
        return {"logits": logits, "labels": labels}

    specs = {
        "images": tf.TensorSpec((None, 3), tf.float32), "names": tf.TensorSpec((None,), tf.string),
    }
    examples = {"serving_default": {
        "images": np.eye(3, dtype=np.float32), "names": np.array(["a", "b", "c"]),
    }}
    signatures = {"serving_default": (classify, specs)}
    export.write(tmp_path, model, signatures, examples, {"classes": ["x", "y"]})
    folder = tmp_path / "export" / "1"
    assert capsys.readouterr().out == (
        f"wrote {folder}; a fresh process gets the same outputs as the model\n")
    assert [path.name for path in folder.parent.iterdir()] == ["1"]
    assert json.loads((folder / "signature.json").read_text()) == {
        "classes": ["x", "y"],
        "signatures": {"serving_default": {
            "inputs": {"images": "float32 (None, 3)", "names": "string (None,)"},
            "outputs": {"labels": "string (None,)", "logits": "float32 (None, 2)"},
        }},
    }
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    served = serve(images=tf.ones((1, 3)), names=tf.constant(["z"]))["logits"]
    np.testing.assert_allclose(served, model(np.ones((1, 3))), rtol=1e-5)


class Calls(tf.Module):
    def __init__(self):
        self.count = tf.Variable(0.0)

    def __call__(self, start):
        return {"count": self.count.assign_add(start)}

    def add(self, rows):
        return {"sums": rows + self.count}


@pytest.mark.slow
def test_versions_count_up_and_earlier_ones_stay(tmp_path, capsys):
    folder = tmp_path / "export"
    (folder / "9").mkdir(parents=True)
    (folder / "9" / "saved_model.pb").write_text("nine")
    (folder / "11.part").mkdir()  # what a kill has left
    (folder / "vectors.txt").touch()
    calls = Calls()
    signatures = {"serving_default": (calls.add, {"rows": tf.TensorSpec((None,), tf.float32)})}
    for version in (10, 11):
        calls.count.assign(version)
        export.write(tmp_path, calls, signatures, {"serving_default": {"rows": [0.0]}}, {})
        assert f"wrote {folder / str(version)};" in capsys.readouterr().out
    assert files.exports(folder) == [folder / "9", folder / "10", folder / "11"]
    assert (folder / "9" / "saved_model.pb").read_text() == "nine"
    for version in (10, 11):
        serve = tf.saved_model.load(str(folder / str(version))).signatures["serving_default"]
        assert serve(rows=tf.constant([0.0]))["sums"].numpy() == [version]
    assert not (folder / "11.part").exists()


@pytest.mark.slow
@pytest.mark.parametrize("older", [False, True])
def test_export_that_differs_is_not_put_in_place(tmp_path, older):
    if older:
        (tmp_path / "export" / "1").mkdir(parents=True)
    calls = Calls()
    signatures = {"step": (calls.__call__, {"start": tf.TensorSpec((), tf.float32)})}
    with pytest.raises(UserError, match=r"step\.count differs between model and export"):
        export.write(tmp_path, calls, signatures, {"step": {"start": 1.0}}, {})
    assert len(files.exports(tmp_path / "export")) == older


def test_a_setting_is_the_same_in_all_rows():
    width = tf.function(lambda values: export.same_in_all("beam_width", values, 1),
                        input_signature=[tf.TensorSpec((None,), tf.int32)])
    assert width(tf.constant([3, 3])) == 3
    assert width(tf.constant([], tf.int32)) == 1
    with pytest.raises(tf.errors.InvalidArgumentError, match="beam_width must be the same in all"):
        width(tf.constant([3, 3, 4]))


def test_a_signature_of_encoded_images(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (2, 4, 3, 3), np.uint8)
    encoded = []
    for number, picture in enumerate(pictures):
        images.write_png(path := tmp_path / f"{number}.png", picture)
        encoded.append(path.read_bytes())

    call, specs = export.encoded_images(
        lambda batch: {"halves": batch / 2},
        images.decode_on_white, tf.TensorSpec((4, 3, 3), tf.float32),
    )
    assert specs == {"encoded": tf.TensorSpec((None,), tf.string)}
    traced = tf.function(call, input_signature=list(specs.values()))
    halves = traced(tf.constant(encoded))["halves"]
    np.testing.assert_array_equal(halves, pictures / 2)
    assert traced(tf.constant([], tf.string))["halves"].shape == (0, 4, 3, 3)
