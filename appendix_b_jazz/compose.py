"""The offline tune: composed for this project by rules, choruses of a blues."""

import numpy as np

from appendix_b_jazz.grammar import Chord, Piece
from appendix_b_jazz.midi import Note

BLUES = [Chord(root, "7") for root in (0, 5, 0, 0, 5, 5, 0, 9)] + [
    Chord(2, "m"), Chord(7, "7"), Chord(0, "7"), Chord(7, "7")]
RHYTHMS = ((4, 4, 4, 4), (2, 2, 4, 2, 2, 4), (6, 2, 4, 4), (2, 2, 2, 2, 4, -4), (3, 3, 2, 4, -4),
           (2, 2, 2, 2, 2, 2, 4), (8, -2, 2, 4))  # sixteenths; negative: a rest
CONTOURS = ((2, 1, 1, -1), (-1, -1, 2), (1, 2, -3, 1), (-2, 1), (3, -1, -1, -1))
SEED, CHORUSES = 393, 9  # which give exactly the 78 values of the source
FORM = (0, 0, 1, 0, 0, 0, 1, 0, 2, 2, 1, 2)  # which motif each measure of a chorus has
MEASURE = 16


def compose(seed: int = SEED, choruses: int = CHORUSES) -> Piece:
    """Returns a tune of choruses; each has three motifs, and the first returns as the last.

    The first note of a measure is the nearest chord tone; the contour of the motif walks along the
    chord's scale.
    """
    rng = np.random.default_rng(seed)
    plans = [[(RHYTHMS[rng.integers(len(RHYTHMS))], CONTOURS[rng.integers(len(CONTOURS))])
              for _ in range(3)] for _ in range(choruses - 1)]
    melody, pitch = [], 67
    for number in range(12 * choruses):
        chord, plan = BLUES[number % 12], plans[number // 12 % len(plans)]
        rhythm, contour = plan[FORM[number % 12]]
        now = number * MEASURE
        scale = [p for p in range(57, 85) if chord.kind_of(p) in "CS"]
        chord_tones = [p for p in scale if chord.kind_of(p) == "C"]
        # The first note of a chorus is near G, so that the last chorus repeats the first.
        pitch = min(chord_tones, key=lambda p: abs(p - (pitch if number % 12 else 67)))
        for i, length in enumerate(rhythm):
            if length > 0:
                melody.append(Note(now, length, pitch))
                place, move = scale.index(pitch), contour[i % len(contour)]
                pitch = scale[place + (move if 0 <= place + move < len(scale) else -move)]
            now += abs(length)
    return Piece(melody, [BLUES[i % 12] for i in range(12 * choruses)], MEASURE, 132.0)
