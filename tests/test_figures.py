"""Figures become PNG files."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from common import figures, images

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
