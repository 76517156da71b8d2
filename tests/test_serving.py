"""docs/serving.md and docs/client.py: exports are called as the page says."""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import tensorflow as tf
from tf_serving import serving

from chapter12_char_rnn.export import Vocabulary, make_write
from chapter12_char_rnn.model import build_model
from common import export, images

ROOT = Path(__file__).resolve().parent.parent
CLIENT = ROOT / "docs" / "client.py"
SIZE = 4


def save(folder: Path, signatures: dict, *held) -> None:
    module = tf.Module()
    module.held = held
    calls = {name: tf.function(function, input_signature=[
        tf.TensorSpec(spec.shape, spec.dtype, key) for key, spec in specs.items()])
        for name, (function, specs) in signatures.items()}
    tf.saved_model.save(module, str(folder), signatures=calls)


def save_digits(folder: Path, names: tuple[str, ...]) -> None:
    """A classifier with the signatures of chapter 1: its class is how bright an image is."""
    def classify(batch):
        mean = tf.reduce_mean(tf.cast(batch, tf.float32), axis=(1, 2)) / 255
        return {"labels": tf.gather(tf.constant(names), tf.cast(mean > 0.5, tf.int32)),
                "probabilities": tf.stack([1 - mean, mean], axis=1)}

    def decode(encoded):
        return tf.cast(images.decode_on_white(encoded), tf.uint8)[:SIZE, :SIZE, 0]

    specs = {"images": tf.TensorSpec((None, SIZE, SIZE), tf.uint8)}
    save(folder, {"serving_default": (classify, specs),
                  "pictures": export.encoded_images(classify, decode,
                                                    tf.TensorSpec((SIZE, SIZE), tf.uint8))})


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """Folders `export` of three runs: a classifier, the poems of chapter 12, negatives."""
    folder = tmp_path_factory.mktemp("models")
    save_digits(folder / "digits" / "1", ("dark", "bright"))
    vocabulary, network = Vocabulary(["春", "秋", "夜"], "char"), build_model(4, 3, 1, fused=False)
    numbers = tf.TensorSpec((None,), tf.int32)
    save(folder / "poems" / "1", {"serving_default": (make_write(network, vocabulary), {
        "start_string": tf.TensorSpec((None,), tf.string), "length": numbers,
        "temperature": tf.TensorSpec((None,)), "seed": numbers})}, network, vocabulary)

    def negative(encoded):
        pixels = tf.cast(images.decode_on_white(encoded), tf.uint8)
        return tf.io.encode_png(255 - pixels)

    save(folder / "negatives" / "1", {"pictures": (
        lambda encoded: {"images_bytes": tf.map_fn(negative, encoded)},
        {"encoded": tf.TensorSpec((None,), tf.string)})})
    return folder


@pytest.fixture(scope="module")
def server(exported: Path):
    with serving(**{path.name: path for path in exported.iterdir()}) as address:
        yield address


@pytest.fixture
def client(tmp_path: Path, server: str):
    """Runs docs/client.py, copied into a folder of its own; returns its lines as JSON."""
    script = shutil.copy(CLIENT, tmp_path)

    def run(model: str, *words: str) -> list:
        done = subprocess.run(
            [sys.executable, "-I", script, f"{server}/{model}:predict", *words],
            cwd=tmp_path, capture_output=True, text=True, check=False)
        if done.returncode:
            assert "Traceback" not in done.stderr
            raise ValueError(done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


def picture(path: Path, grey: int) -> str:
    pixels = tf.fill((SIZE, SIZE, 3), tf.constant(grey, tf.uint8))
    path.write_bytes(tf.io.encode_png(pixels).numpy())
    return f"@{path.name}"


def test_the_client_sends_encoded_images(client, tmp_path):
    answer = client("digits", "pictures", picture(tmp_path / "a.png", 255),
                    picture(tmp_path / "b.png", 51))
    assert [row["labels"] for row in answer] == ["bright", "dark"]
    assert answer[1]["probabilities"] == pytest.approx([0.8, 0.2])


def test_the_client_sends_a_dict_for_each_row(client):
    def row(start: str, length: int, temperature: float, seed: int) -> str:
        return json.dumps({"start_string": start, "length": length, "temperature": temperature,
                           "seed": seed})

    poems = client("poems", "serving_default", row("春", 12, 1.0, 0), row("", 5, 0.0, 0),
                   row("春", 12, 1.0, 1), row("春", 12, 1.0, 0))
    assert [len(poem) for poem in poems] == [13, 5, 13, 13]
    assert poems[0] == poems[3] != poems[2] and set("".join(poems)) <= set("春秋夜")


def test_the_client_saves_images_among_the_outputs(client, tmp_path):
    row = json.dumps({"encoded": picture(tmp_path / "grey.png", 55)})
    assert client("negatives", "pictures", row, "@grey.png") == ["output-1.png", "output-2.png"]
    found = images.read_image(tmp_path / "output-2.png")
    assert found.shape == (SIZE, SIZE, 3) and (found == 200).all()


def test_the_client_says_what_the_server_says(client, tmp_path):
    with pytest.raises(ValueError, match="are not"):
        client("digits", "serving_default", '{"pixels": [[1]]}')
    with pytest.raises(ValueError, match="not found"):
        client("absent", "pictures", picture(tmp_path / "a.png", 1))
    with pytest.raises(ValueError, match="No such file"):
        client("digits", "pictures", "@absent.png")
    with pytest.raises(ValueError, match="Expecting value"):
        client("digits", "pictures", "no JSON")
    with pytest.raises(ValueError, match="come rows"):
        client("digits", "pictures")
    assert len(CLIENT.read_text("utf-8").splitlines()) < 60


def test_column_format_and_versions(server, exported):
    def ask(path: str, request: dict) -> dict:
        with urllib.request.urlopen(f"{server}/{path}:predict",
                                    json.dumps(request).encode()) as answer:
            return json.load(answer)

    black = [[[0] * SIZE] * SIZE]
    assert ask("digits", {"inputs": {"images": black}}) == {
        "outputs": {"labels": ["dark"], "probabilities": [[1.0, 0.0]]}}
    save_digits(exported / "digits" / "2", ("Nacht", "Tag"))  # a running server loads it
    assert ask("digits", {"instances": black})["predictions"][0]["labels"] == "Nacht"
    (earlier,) = ask("digits/versions/1", {"instances": black})["predictions"]
    assert earlier == {"labels": "dark", "probabilities": [1.0, 0.0]}
    shutil.rmtree(exported / "digits" / "2")


@pytest.mark.parametrize("page", ["serving.md", "serving.zh-CN.md"])
def test_the_python_code_of_the_page_runs(page, exported, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(exported / "digits", tmp_path / "runs/chapter01_mnist/NAME/export")
    picture(tmp_path / "digit.png", 255)
    code, *_ = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text("utf-8"), re.S)
    exec(code, {})
    assert "bright 1.0" in capsys.readouterr().out


def test_both_pages_have_the_same_commands():
    pages = [(ROOT / "docs" / page).read_text("utf-8") for page in ("serving.md",
                                                                    "serving.zh-CN.md")]
    blocks = [re.findall(r"```\w*\n(.*?)```", page, re.S) for page in pages]
    code = [[re.sub(r" *#.*", "", block) for block in some] for some in blocks]
    assert code[0] == code[1] and len(code[0]) >= 4
    rows = [re.findall(r"^\| .*", page, re.M) for page in pages]
    assert [re.findall("`.*?`", row) for row in rows[0]] == [
        re.findall("`.*?`", row) for row in rows[1]]
