"""Files for LiteRT and ONNX Runtime: what is written, refused, and run without TensorFlow."""

import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from common import formats
from common.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 28, 28), np.uint8)


@pytest.fixture
def kind(request) -> str:
    if missing := formats.missing(request.param):
        pytest.skip(f"{' '.join(missing)} not installed: pip install -e '.[formats]'")
    return request.param


ALL = pytest.mark.parametrize("kind", formats.FORMATS, indirect=True)


def write(run_dir: Path, kind: str) -> keras.Model:
    model = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(),
                              keras.layers.Dense(3)])

    def predict(images):
        logits = model(tf.cast(images, tf.float32) / 255, training=False)
        return {"probabilities": tf.nn.softmax(logits)}

    formats.write(run_dir, kind, model, predict, {"images": IMAGES}, {"labels": ["a", "b", "c"]})
    return model


@ALL
def test_a_file_is_verified_and_replaced(kind, tmp_path, capsys):
    write(tmp_path, kind)
    model = write(tmp_path, kind)
    folder = tmp_path / "export" / kind
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"wrote {folder}; a process without TensorFlow gets the same outputs as the model")
    assert {path.name for path in folder.iterdir()} == {formats.FORMATS[kind], "signature.json"}
    assert [path.name for path in folder.parent.iterdir()] == [kind]
    assert json.loads((folder / "signature.json").read_text()) == {
        "labels": ["a", "b", "c"], "inputs": {"images": "uint8 (None, 28, 28)"},
        "outputs": {"probabilities": "float32 (None, 3)"}}
    for count in (1, 5):
        batch = np.repeat(IMAGES[:1], count, axis=0)
        found = formats.call(kind, folder / formats.FORMATS[kind], {"images": batch})
        expected = tf.nn.softmax(model(batch / np.float32(255)))
        np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)


@pytest.mark.parametrize("kind", formats.FORMATS)
def test_missing_packages_are_named_and_nothing_is_written(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=formats.PACKAGES[kind][-1]) as caught:
        write(tmp_path, kind)
    assert "[formats]" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@ALL
def test_a_file_that_differs_or_cannot_be_used_is_not_put_in_place(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "call", lambda *args: {"probabilities": np.zeros((2, 3))})
    with pytest.raises(UserError, match="probabilities differs"):
        write(tmp_path, kind)
    monkeypatch.undo()
    assert not (tmp_path / "export" / kind).exists()
    (tmp_path / "damaged").write_bytes(b"damaged")
    with pytest.raises(UserError, match="cannot use"):
        formats.call(kind, tmp_path / "damaged", {"images": IMAGES})


@ALL
def test_the_code_of_the_page_runs_without_tensorflow(kind, tmp_path):
    write(tmp_path / "runs/chapter01_mnist/NAME", kind)
    text = (ROOT / "docs" / "serving.md").read_text("utf-8")
    (code,) = [code for code in re.findall(r"```python\n(.*?)```", text, re.S)
               if formats.FORMATS[kind] in code]
    code += '\nimport sys\nassert "tensorflow" not in sys.modules'
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\[(\d) \1 \1\]", done.stdout)  # of three black images
