"""Text and boxes on frames, drawn by Qt, and frames as images of Qt.

Painting on a widget is allowed in the thread of the windows only. Painting on a QImage, as here, is
allowed in any thread.
"""

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter, QPen

SHADE, WHITE, FRAME = QColor(0, 0, 0, 150), QColor("white"), QColor(0, 230, 90)


def to_qimage(image: np.ndarray) -> QImage:
    """Returns a copy of a picture, uint8 of shape (height, width, 3), as an image of Qt."""
    height, width, _ = image.shape
    pixels = np.ascontiguousarray(image)
    # A QImage made of an array shares its memory, and does not keep the array alive: copy it.
    return QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()


def to_array(image: QImage) -> np.ndarray:
    """Returns a copy of an image of Qt, uint8 of shape (height, width, 3)."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8)
    rows = rows.reshape(image.height(), image.bytesPerLine())  # padded to four bytes
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def draw_text(image: np.ndarray, text: str) -> np.ndarray:
    """Draws text on a dark band at the bottom, long lines wrapped; returns a new picture."""
    canvas = to_qimage(image)
    painter = QPainter(canvas)
    painter.setFont(_font(image))
    wrapped = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignHCenter
    band = painter.fontMetrics().boundingRect(canvas.rect(), wrapped, text).height()
    where = QRectF(0, canvas.height() - band, canvas.width(), band)
    painter.fillRect(where, SHADE)
    painter.setPen(WHITE)
    painter.drawText(where, wrapped, text)
    painter.end()
    return to_array(canvas)


def draw_boxes(image: np.ndarray, boxes: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Draws boxes with labels; returns a new picture.

    Args:
        image: uint8 of shape (height, width, 3).
        boxes: (ymin, xmin, ymax, xmax) in pixels, of shape (count, 4).
        labels: of each box.
    """
    canvas = to_qimage(image)
    painter = QPainter(canvas)
    painter.setFont(_font(image))
    painter.setPen(QPen(FRAME, max(1, image.shape[0] // 200)))
    rise = painter.fontMetrics().descent()
    for (top, left, bottom, right), label in zip(boxes.tolist(), labels, strict=True):
        painter.drawRect(QRectF(left, top, right - left, bottom - top))
        painter.drawText(QPointF(left + 2, bottom - rise), label)
    painter.end()
    return to_array(canvas)


def _font(image: np.ndarray) -> QFont:
    """Returns a font whose size fits to a picture."""
    font = QFont()
    font.setPixelSize(max(10, image.shape[0] // 18))
    return font
