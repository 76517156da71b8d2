"""Linear filters in NumPy: Gaussian blur, Sobel derivatives and the Harris response.

At the border the picture is mirrored without repeating its edge (..., 2, 1, 0, 1, 2, ...), as
OpenCV does by default and SciPy under the name "mirror".
"""

import numpy as np

GREY_WEIGHTS = np.array([0.299, 0.587, 0.114])  # of R, G and B: ITU-R BT.601


def grey(picture: np.ndarray) -> np.ndarray:
    """Returns the brightness, uint8 of shape (h, w), of an RGB picture."""
    return np.round(picture @ GREY_WEIGHTS).astype(np.uint8)


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Rounds to the nearest of 0, 1, ... 255."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def correlate_axis(values: np.ndarray, kernel: np.ndarray, axis: int) -> np.ndarray:
    """Correlates with a kernel of one dimension along an axis: len(kernel) products a pixel.

    Args:
        values: of shape (h, w) or (h, w, channels).
        kernel: of shape (size,); its middle, at index size // 2, lies on the pixel.
        axis: 0, down, or 1, to the right.

    Returns:
        float64 of the same shape as `values`.
    """
    size, length = len(kernel), values.shape[axis]
    pad = [(0, 0)] * values.ndim
    pad[axis] = (size // 2, size - 1 - size // 2)
    padded = np.moveaxis(np.pad(values, pad, "reflect"), axis, 0)
    total = np.zeros((length, *padded.shape[1:]))
    for k, weight in enumerate(kernel):
        total += weight * padded[k : k + length]
    return np.moveaxis(total, 0, axis)


def correlate(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Correlates with a kernel of two dimensions: kernel.size products a pixel.

    Args:
        values: of shape (h, w) or (h, w, channels).
        kernel: of shape (kernel_h, kernel_w).

    Returns:
        float64 of the same shape as `values`.
    """
    h, w = values.shape[:2]
    pad = [(size // 2, size - 1 - size // 2) for size in kernel.shape]
    padded = np.pad(values, pad + [(0, 0)] * (values.ndim - 2), "reflect")
    total = np.zeros(values.shape)
    for (i, j), weight in np.ndenumerate(kernel):
        total += weight * padded[i : i + h, j : j + w]
    return total


def gaussian_kernel(size: int, sigma: float) -> np.ndarray:
    """Returns a Gaussian of standard deviation `sigma` pixels at `size` points; its sum is 1."""
    x = np.arange(size) - (size - 1) / 2
    weights = np.exp(-(x**2) / (2 * sigma**2))
    return weights / weights.sum()


def gaussian_filter(values: np.ndarray, size: int, sigma: float) -> np.ndarray:
    """Blurs columns, then rows.

    The Gaussian of two dimensions is a product of two of one, so that 2 * size products per pixel
    give what size**2 would.

    Args:
        values: of shape (h, w) or (h, w, channels).
        size: of the kernel in pixels, odd.
        sigma: standard deviation in pixels.

    Returns:
        float64 of the same shape as `values`.
    """
    kernel = gaussian_kernel(size, sigma)
    return correlate_axis(correlate_axis(values, kernel, 0), kernel, 1)


def sobel_kernels(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the smoothing and the derivative of a Sobel operator, each of shape (size,).

    The smoothing is a row of Pascal's triangle; the derivative is the difference of two
    neighbours in the row before. Size 3 gives the familiar [1, 2, 1] and [-1, 0, 1].
    """
    rows = [np.ones(1)]
    for _ in range(size - 1):
        rows.append(np.convolve(rows[-1], [1.0, 1.0]))
    return rows[-1], np.convolve(rows[-2], [-1.0, 1.0])


def harris_response(
    values: np.ndarray, block: int = 2, aperture: int = 23, k: float = 0.04
) -> np.ndarray:
    """Returns det(M) - k * trace(M)**2 of the structure tensor M (Harris and Stephens 1988).

    Both eigenvalues of M are large at a corner (the response is positive), one along an edge
    (negative), none where the picture is flat (about 0).

    Args:
        values: uint8 of shape (h, w).
        block: side in pixels of the square over which M is summed.
        aperture: size of the Sobel operator, odd.
        k: weight of the squared trace: the larger, the fewer pixels along edges respond.

    Returns:
        float64 of shape (h, w), in the scale of OpenCV's cornerHarris.
    """
    smoothing, derivative = sobel_kernels(aperture)
    scale = 1 / (2.0 ** (aperture - 1) * block * 255)
    dx = scale * correlate_axis(correlate_axis(values, derivative, 1), smoothing, 0)
    dy = scale * correlate_axis(correlate_axis(values, derivative, 0), smoothing, 1)
    box = np.ones((block, block))
    xx, yy, xy = (correlate(product, box) for product in (dx * dx, dy * dy, dx * dy))
    return xx * yy - xy**2 - k * (xx + yy) ** 2
