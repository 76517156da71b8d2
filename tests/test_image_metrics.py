"""L1, PSNR and SSIM by closed forms and against TensorFlow; bootstrap intervals."""

import numpy as np
import pytest
import tensorflow as tf

from common import image_metrics


def pictures(count=3, size=40, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_l1_and_psnr_by_hand():
    black, grey = np.zeros((2, 2, 3)), np.full((2, 2, 3), 25.5)
    assert image_metrics.l1(black, grey) == pytest.approx(25.5)
    assert image_metrics.psnr(black, grey) == pytest.approx(20.0)  # an error of a tenth of 255
    assert image_metrics.psnr(black, np.full((2, 2, 3), 255.0)) == 0
    assert image_metrics.psnr(black, black) == image_metrics.MAX_PSNR


def test_a_uint8_image_is_not_subtracted_modulo_256():
    low, high = np.uint8([[[1]]]), np.uint8([[[3]]])
    assert image_metrics.l1(low, high) == image_metrics.l1(high, low) == 2


def test_psnr_and_ssim_agree_with_tensorflow():
    targets = pictures()
    for strength in (0, 10, 80):
        noise = np.random.default_rng(1).normal(0, strength, targets.shape)
        images = np.clip(targets + noise, 0, 255).astype(np.float32)
        wanted = tf.image.ssim(images, targets.astype(np.float32), 255).numpy()
        found = image_metrics.score(images, targets)
        np.testing.assert_allclose(found["ssim"], wanted, atol=2e-5)
        if strength:
            wanted = tf.image.psnr(images, targets.astype(np.float32), 255).numpy()
            np.testing.assert_allclose(found["psnr"], wanted, rtol=1e-5)


def test_ssim_of_grey_images_and_of_small_ones():
    grey = pictures()[..., 0]
    assert image_metrics.ssim(grey[0], grey[0]) == pytest.approx(1)
    assert image_metrics.ssim(grey[0], grey[1]) < 0.1
    with pytest.raises(ValueError, match="11 x 11"):
        image_metrics.ssim(grey[0, :10], grey[0, :10])
