"""Draws faces on images: boxes, landmarks and scores."""

import cv2
import numpy as np

from chapter06_face.cascade import Faces

BOX, LANDMARK = (40, 220, 60), (255, 60, 60)  # colours, red, green and blue


def draw_faces(image: np.ndarray, faces: Faces, scores: bool = True) -> np.ndarray:
    """Returns an image with boxes, landmarks and scores, uint8 of shape (height, width, 3)."""
    drawn = image.copy()
    line = max(1, min(image.shape[:2]) // 250)
    for box, score, points in zip(*faces, strict=True):
        top, left, bottom, right = map(int, box)
        cv2.rectangle(drawn, (left, top), (right, bottom), BOX, line)
        if scores:
            cv2.putText(drawn, f"{score:.2f}", (left, max(top - 2 * line, 10)),
                        cv2.FONT_HERSHEY_SIMPLEX, 0.35 * line + 0.1, BOX, line, cv2.LINE_AA)
        for y, x in points:
            cv2.circle(drawn, (int(x), int(y)), line + 1, LANDMARK, -1, cv2.LINE_AA)
    return drawn
