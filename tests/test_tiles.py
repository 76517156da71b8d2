"""Tiles: the result of the whole image, in pieces."""

import numpy as np
import pytest
import scipy.ndimage

from common import tiles

RNG = np.random.default_rng(0)


def smooth(image):
    """A blur that reaches 3 pixels, and reflects at the border of what it is given."""
    return scipy.ndimage.uniform_filter(image, (7, 7, 0), mode="mirror")


@pytest.mark.parametrize("shape", [(40, 60), (41, 59), (10, 100), (16, 16), (33, 17)])
@pytest.mark.parametrize("tile", [16, 20, 200])
def test_tiles_give_the_whole_result(shape, tile):
    image = RNG.random((*shape, 3), np.float32)
    found = tiles.apply(smooth, image, tile, 3)
    np.testing.assert_allclose(found, smooth(image), atol=1e-5)


def test_a_halo_that_is_too_small_shows():
    image = RNG.random((40, 40, 1), np.float32)
    assert np.abs(tiles.apply(smooth, image, 16, 2) - smooth(image)).max() > 1e-3


def test_tiles_start_at_multiples_of_the_stride():
    def blocks(image):  # of 4 x 4 pixels: a strided layer
        assert image.shape[0] % 4 == 0 and image.shape[1] % 4 == 0
        means = image.reshape(image.shape[0] // 4, 4, image.shape[1] // 4, 4, -1).mean((1, 3))
        return means.repeat(4, 0).repeat(4, 1)

    image = RNG.random((48, 64, 2), np.float32)
    found = tiles.apply(blocks, image, tile=13, halo=3, align=4)
    np.testing.assert_allclose(found, blocks(image), atol=1e-6)


def test_a_function_sees_no_more_than_a_tile_and_its_halo():
    seen = []

    def look(image):
        seen.append(image.shape[:2])
        return image[..., :1].astype(np.uint8)

    image = RNG.random((1000, 700, 3), np.float32)
    found = tiles.apply(look, image, tile=100, halo=10)
    assert found.shape == (1000, 700, 1) and found.dtype == np.uint8
    assert len(seen) == 70 and max(max(shape) for shape in seen) == 120


def test_a_function_may_enlarge():
    image = RNG.random((23, 31, 3), np.float32)
    found = tiles.apply(lambda part: smooth(part).repeat(3, 0).repeat(3, 1), image, 8, 3, scale=3)
    np.testing.assert_allclose(found, smooth(image).repeat(3, 0).repeat(3, 1), atol=1e-5)
