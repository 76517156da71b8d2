"""Checks hand-written gradients against central differences.

    from appendix_a_numpy_rnn.gradient_check import relative_errors

    def loss():
        return ...    # a float that depends on the arrays in `weights`

    print(relative_errors(loss, weights, gradients))    # below 1e-6 if the gradients are right

It works for any loss of NumPy arrays in float64.
"""

from collections.abc import Callable, Mapping

import numpy as np


def numerical_gradient(
    loss: Callable[[], float], array: np.ndarray, epsilon: float = 1e-5
) -> np.ndarray:
    """Returns (loss(w + ε) - loss(w - ε)) / 2ε for every entry of an array, which it restores."""
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + epsilon
        above = loss()
        array[index] = value - epsilon
        below = loss()
        array[index] = value
        gradient[index] = (above - below) / (2 * epsilon)
    return gradient


def relative_errors(
    loss: Callable[[], float], weights: Mapping[str, np.ndarray],
    gradients: Mapping[str, np.ndarray], epsilon: float = 1e-5,
) -> dict[str, float]:
    """Returns ‖analytic - numerical‖ / (‖analytic‖ + ‖numerical‖) by the name of the array.

    Args:
        loss: computes the loss from the arrays in `weights`.
        weights: float64 arrays, which are changed in place and restored.
        gradients: what to check, by the same names.
        epsilon: step of the differences.
    """
    errors = {}
    for name, array in weights.items():
        numerical = numerical_gradient(loss, array, epsilon)
        scale = np.linalg.norm(gradients[name]) + np.linalg.norm(numerical)
        errors[name] = float(np.linalg.norm(gradients[name] - numerical) / max(scale, 1e-300))
    return errors
