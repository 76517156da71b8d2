"""The slow method: the pixels of one image are optimized (Gatys et al. 2015)."""

from collections.abc import Callable

import keras
import numpy as np
import scipy.optimize
import tensorflow as tf

from chapter07_style_transfer.objective import Objective

LARGEST = 500  # pixels of the longer side of the coarsest image
SMALLEST = 64  # pixels of its shorter side, if it is reduced

Report = Callable[[int, dict[str, float]], None]  # takes a step and its losses


def sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Returns the heights and widths of the images from coarse to fine, each twice the one before.

    The layers of a network see some hundred pixels. In a larger image the strokes would be small,
    and a start from noise would keep no large forms. In a long strip, the shorter side ends the
    reduction.
    """
    found = [(height, width)]
    while max(found[0]) > LARGEST and min(found[0]) >= 2 * SMALLEST:
        found.insert(0, (round(found[0][0] / 2), round(found[0][1] / 2)))
    return found


def make_gradient(
    objective: Objective, photograph: tf.Tensor
) -> Callable[[tf.Tensor], tuple[dict[str, tf.Tensor], tf.Tensor]]:
    """Returns a compiled function from an image to its losses and the gradient of the total.

    Args:
        objective: see `make_objective`.
        photograph: float32 of shape (1, height, width, 3) in [0, 255], also that of the image.
    """
    content = objective.content(photograph)

    @tf.function
    def gradient(image: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(image)
            losses = objective.losses(image, content)
        return losses, tape.gradient(losses["total_loss"], image)

    return gradient


def adam(
    gradient: Callable, image: np.ndarray, steps: int, learning_rate: float, report: Report
) -> np.ndarray:
    """Minimizes with Adam; values are clipped to [0, 255] after each step.

    Args:
        gradient: from `make_gradient`.
        image: the start, float32 of shape (1, height, width, 3).
        steps: number of updates.
        learning_rate: change of a value in one step, about, of 255.
        report: is called with each step and the losses before it.
    """
    pixels = tf.Variable(image)
    optimizer = keras.optimizers.Adam(learning_rate)
    for step in range(steps):
        losses, slope = gradient(pixels.value())
        report(step, {name: float(loss) for name, loss in losses.items()})
        optimizer.apply([slope], [pixels])
        pixels.assign(tf.clip_by_value(pixels, 0.0, 255.0))
    return pixels.numpy()


def lbfgs(gradient: Callable, image: np.ndarray, steps: int, report: Report) -> np.ndarray:
    """Minimizes with L-BFGS within [0, 255], as the paper does; see `adam`.

    `steps` counts evaluations of the gradient, so that both methods cost alike; a line search that
    has begun is finished.
    """
    count, scale = 0, 0.0

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal count, scale
        losses, slope = gradient(tf.constant(flat.reshape(image.shape), tf.float32))
        report(count, {name: float(loss) for name, loss in losses.items()})
        # Gradients are tiny where values are in [0, 255] and losses near 1. Scaled to norm 1 at the
        # start, the first step is 1 long; else it would be lost in the rounding of the loss.
        scale = scale or 1 / max(float(tf.norm(slope)), 1e-30)
        count += 1
        return scale * float(losses["total_loss"]), scale * slope.numpy().astype(float).ravel()

    found = scipy.optimize.minimize(
        value, image.astype(np.float64).ravel(), jac=True, method="L-BFGS-B",
        bounds=scipy.optimize.Bounds(0, 255),
        options={"maxfun": steps, "maxiter": steps, "ftol": 0.0, "gtol": 0.0})
    return found.x.reshape(image.shape).astype(np.float32)


def optimize(
    objective: Objective, photograph: np.ndarray, steps: int, method: str = "adam",
    start: str = "content", learning_rate: float = 4.0, seed: int = 0,
    report: Report = lambda step, losses: None,
) -> np.ndarray:
    """Stylizes a photograph, coarse to fine if a side has more than LARGEST pixels (see `sizes`).

    Args:
        objective: see `make_objective`.
        photograph: uint8 of shape (height, width, 3).
        steps: updates of the coarsest image; each finer one gets half as many.
        method: "adam" or "lbfgs".
        start: "content", the photograph, or "noise".
        learning_rate: of Adam.
        seed: of the noise.
        report: see `adam`; steps count over all sizes.

    Returns:
        float32 of shape (height, width, 3) in [0, 255].
    """
    image, done = None, 0
    for height, width in sizes(*photograph.shape[:2]):
        target = _fit(photograph, height, width)
        if image is None:
            noise = np.random.default_rng(seed).uniform(0, 255, target.shape)
            image = target if start == "content" else noise.astype(np.float32)
        else:
            image = tf.image.resize(image, (height, width), "bicubic").numpy().clip(0, 255)
        gradient = make_gradient(objective, tf.constant(target))

        def count(step: int, losses: dict[str, float], done: int = done) -> None:
            report(done + step, losses)

        image = (lbfgs(gradient, image, steps, count) if method == "lbfgs" else
                 adam(gradient, image, steps, learning_rate, count))
        done, steps = done + steps, max(1, steps // 2)
    return image[0]


def _fit(photograph: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns a photograph of another size, float32 of shape (1, height, width, 3)."""
    resized = tf.image.resize(photograph[None].astype(np.float32), (height, width), antialias=True)
    return resized.numpy()
