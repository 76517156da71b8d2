"""Figures become PNG files."""

import os
import subprocess
import sys

import numpy as np
import pytest

from common import figures, images
from common.figures import plt

LABELS = np.array([0, 1, 2, 0, 1])
PROBABILITIES = np.array(
    [[0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.2, 0.8, 0.0]]
)
RIGHT = np.eye(3)[LABELS]


def test_saved_figure_is_closed(tmp_path):
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([1, 2])
    figures.save_figure(tmp_path / "new" / "a.png", figure)
    assert images.read_image(tmp_path / "new" / "a.png").std() > 0
    assert not plt.fignum_exists(figure.number)


@pytest.mark.parametrize("before", ["", "import matplotlib.pyplot; "])
def test_a_notebooks_backend_does_no_harm(before):
    code = f"{before}import common.figures as f; f.plt.subplots(); print(f.plt.get_backend())"
    environment = os.environ | {"MPLBACKEND": "module://absent.backend_inline"}
    found = subprocess.run([sys.executable, "-c", code], env=environment, text=True, check=True,
                           capture_output=True)
    assert found.stdout.lower() == "agg\n"


def test_short_curves_are_seen(tmp_path):
    figure, axes = plt.subplots(1, 3)
    point = axes[0].plot([1], [2])[0]
    axes[1].plot([], [])
    curve = axes[2].plot([1, 2], [1, 2])[0]
    figures.save_figure(tmp_path / "a.png", figure)
    assert (point.get_marker(), curve.get_marker()) == ("o", "None")
    assert [[text.get_text() for text in one.texts] for one in axes] == [[], ["no values yet"], []]


ODD_NAMES = ["猫", "a$^$", "$b$", "_c", "d\ne", "{f}", "g" * 60, "<h>", "%i"]


def test_names_are_drawn_as_they_are(tmp_path, monkeypatch, capsys, recwarn):
    labels = np.arange(9)
    probabilities = np.roll(np.eye(9), 1, axis=1)
    examples = np.zeros((9, 4, 4), np.uint8)
    for fallback in (figures.FALLBACK, []):
        monkeypatch.setattr(figures, "FALLBACK", fallback)
        figures.tell_of_font.cache_clear()
        capsys.readouterr()
        figures.draw_mistakes(examples, labels, probabilities, ODD_NAMES, tmp_path / "a.png")
        figures.draw_confusion(labels, labels, ODD_NAMES, tmp_path / "b.png")
    assert capsys.readouterr().err.count("install a font") == 1
    if figures.INSTALLED & set(figures.CJK_FONTS):
        assert not [told for told in recwarn if "Glyph" in str(told.message)]


def test_worst_mistakes_begin_with_the_most_confident():
    assert figures.worst_mistakes(LABELS, PROBABILITIES).tolist() == [2, 1, 3]
    assert figures.worst_mistakes(LABELS, PROBABILITIES, count=1).tolist() == [2]
    assert figures.worst_mistakes(LABELS, RIGHT).tolist() == []


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("probabilities", [PROBABILITIES, RIGHT], ids=["some", "none"])
def test_mistakes_are_drawn(tmp_path, probabilities, channels):
    examples = np.zeros((5, 4, 4, *channels), np.uint8)
    figures.draw_mistakes(examples, LABELS, probabilities, ["a", "b", "c"], tmp_path / "a.png")
    assert images.read_image(tmp_path / "a.png").std() > 0


def test_confusion_is_drawn(tmp_path):
    answers = PROBABILITIES.argmax(axis=1)
    figures.draw_confusion(LABELS, answers, ["cat", "dog", "cow"], tmp_path / "a.png")
    assert images.read_image(tmp_path / "a.png").std() > 0


def test_many_classes_are_drawn_large_and_their_confusions_listed(tmp_path, capsys):
    names = [f"c{number}" for number in range(40)]
    labels = np.repeat(np.arange(40), 3)
    answers = labels.copy()
    answers[[0, 1, 6]] = 5, 5, 7
    assert figures.confused_pairs(labels, answers, names) == [
        "c0 taken for c5: 2 of 3", "c2 taken for c7: 1 of 3"]
    figures.draw_confusion(labels, answers, names, tmp_path / "new" / "a.png")
    assert (tmp_path / "new" / "a.txt").read_text().startswith("c0 taken for c5: 2 of 3\n")
    assert str(tmp_path / "new" / "a.txt") in capsys.readouterr().out
    assert min(images.read_image(tmp_path / "new" / "a.png").shape[:2]) > 800
    figures.draw_confusion(labels[:60], answers[:60], names[:20], tmp_path / "b.png")
    assert not (tmp_path / "b.txt").exists()
