"""What the models of this chapter share: the scale of a series, gaps, and sampled futures.

All take times, int64 of shape (batch, steps); exogenous values, which are known beforehand like the
times, float32 of shape (batch, steps, exogenous), often without any column; and values, float32 of
shape (batch, steps, features), a row of NaN where a step is missing. Both kinds of values are
normalised to mean 0 and standard deviation 1, see `Forecaster.normalise`. Predictions are of shape
(batch, steps, 2 * features): means, then logarithms of variances; `Forecaster.restore` turns them
into means and standard deviations in the units of the series.
"""

import math

import keras
import numpy as np
import tensorflow as tf

MIN_VARIANCE = 1e-5  # the original's too: no predicted variance is below it
MAX_VARIANCE = 4.0  # that of the series is 1; beyond what was seen, logarithms may grow at will
NUM_PATHS = 256  # sampled futures behind the standard deviation of a forecast


def carry_forward(values: tf.Tensor) -> tf.Tensor:
    """Puts the last known row in place of each missing one, 0 where none came before.

    Args:
        values: float32 of shape (batch, steps, features), NaN where a step is missing.
    """
    num_steps = tf.shape(values)[1]
    known = tf.reduce_all(tf.math.is_finite(values), axis=-1)  # (batch, steps)
    rows = tf.sort(tf.where(known, tf.range(1, num_steps + 1), num_steps + 1))  # row 0: none
    so_far = tf.cumsum(tf.cast(known, tf.int32), axis=1)
    latest = tf.gather(tf.pad(rows, [[0, 0], [1, 0]]), so_far, batch_dims=1)
    return tf.gather(tf.pad(values, [[0, 0], [1, 0], [0, 0]]), latest, batch_dims=1)


class Forecaster(keras.Model):
    """What all models share: the scale of the series, and forecasts from sampled paths."""

    def __init__(
        self, num_features: int, num_exogenous: int, num_inputs: int, num_outputs: int, loss: str
    ):
        """Makes the weights that are measured, not learnt.

        Args:
            num_features: values a step.
            num_exogenous: exogenous values a step.
            num_inputs: steps that must be known before anything is predicted.
            num_outputs: steps that are predicted at once.
            loss: with "normal_likelihood" variances are predicted, with "squared" they are those
                that `set_residuals` has measured.
        """
        super().__init__()
        self.num_features, self.num_exogenous = num_features, num_exogenous
        self.num_inputs, self.num_outputs = num_inputs, num_outputs
        self.predicts_variance = loss == "normal_likelihood"

        def measured(name: str, value: str, *shape: int) -> keras.Variable:
            return self.add_weight(name=name, shape=shape, initializer=value, trainable=False)

        self.location = measured("location", "zeros", num_features)
        self.scale = measured("scale", "ones", num_features)
        self.log_residuals = measured("residuals", "zeros", num_outputs, num_features)
        self.exogenous_location = measured("exogenous_location", "zeros", num_exogenous)
        self.exogenous_scale = measured("exogenous_scale", "ones", num_exogenous)

    def set_scale(self, values: np.ndarray, exogenous: np.ndarray) -> None:
        """Measures means and standard deviations, 1 for a constant.

        Args:
            values: of shape (steps, features), NaN where missing.
            exogenous: of shape (steps, exogenous), NaN where missing.
        """
        for columns, location, scale in (
            (values, self.location, self.scale),
            (exogenous, self.exogenous_location, self.exogenous_scale),
        ):
            deviation = np.nanstd(columns, axis=0, dtype=np.float64)
            location.assign(np.nanmean(columns, axis=0, dtype=np.float64))
            scale.assign(np.where(deviation > 0, deviation, 1))

    def set_residuals(self, errors: np.ndarray) -> None:
        """Measures variances, each step ahead for itself.

        Args:
            errors: of steps that were predicted `num_outputs` at once, one window after another,
                in normalised units: (steps, features), NaN where missing.
        """
        missing = np.full((-len(errors) % self.num_outputs, self.num_features), np.nan)
        windows = np.concatenate([errors, missing]).reshape(-1, self.num_outputs, errors.shape[1])
        pooled = np.nanmean(errors**2, axis=0)
        known = np.isfinite(windows).sum(axis=0)
        # A step ahead that was never seen counts as one error of the usual size.
        variances = (np.nansum(windows**2, axis=0) + pooled) / (known + 1)
        self.log_residuals.assign(np.log(np.maximum(variances, MIN_VARIANCE)))

    def normalise(self, values: tf.Tensor) -> tf.Tensor:
        """Gives values mean 0 and standard deviation 1 (the original divides by the variance)."""
        return (values - self.location) / self.scale

    def normalise_exogenous(self, exogenous: tf.Tensor) -> tf.Tensor:
        """Does the same to exogenous values; where one is missing, the last known takes its place.

        Args:
            exogenous: of shape (batch, steps, exogenous).
        """
        return carry_forward((exogenous - self.exogenous_location) / self.exogenous_scale)

    def restore(self, predictions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Turns predictions into means and standard deviations in the units of the series."""
        means, log_variances = tf.split(predictions, 2, axis=-1)
        return means * self.scale + self.location, tf.exp(0.5 * log_variances) * self.scale

    def complete(self, outputs: tf.Tensor) -> tf.Tensor:
        """Makes predictions of a layer's outputs, which may lack the variances."""
        if self.predicts_variance:
            means, log_variances = tf.split(outputs, 2, axis=-1)
        else:
            means, log_variances = outputs, tf.zeros_like(outputs) + self.log_residuals
        low, high = math.log(MIN_VARIANCE), math.log(MAX_VARIANCE)
        return tf.concat([means, tf.clip_by_value(log_variances, low, high)], axis=-1)

    def forecast(
        self, times: tf.Tensor, exogenous: tf.Tensor, values: tf.Tensor, horizon: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Predicts what follows a history, feeding predictions back.

        The mean comes from feeding means back. For the standard deviation, samples of the
        predicted distributions are fed back along many paths: it is the root of the mean variance
        on the paths plus the variance of the means among them. Where all is predicted at once,
        nothing is fed back, and the one path without noise does.

        Args:
            times: int64 of shape (batch, history), each one more than the last.
            exogenous: float32 of shape (batch, history + horizon or more, exogenous).
            values: float32 of shape (batch, history, features), in the units of the series.
            horizon: how many steps to predict, an int32 scalar.

        Returns:
            Mean and standard deviation, (batch, horizon, features) in the units of the series.
        """
        batch, features = tf.shape(values)[0], self.num_features
        sampled = tf.where(horizon > self.num_outputs, NUM_PATHS, 0)
        noise = tf.random.stateless_normal((batch, sampled, horizon, features), (0, 0))
        noise = tf.pad(noise, [[0, 0], [1, 0], [0, 0], [0, 0]])  # none on the first path
        noise = tf.reshape(noise, (-1, horizon, features))
        exogenous = self.normalise_exogenous(exogenous)
        predictions = self.roll_out(times, exogenous, self.normalise(values), noise)
        shape = (batch, sampled + 1, horizon, 2 * features)
        predictions = tf.reshape(predictions, shape)
        means, log_variances = tf.split(predictions, 2, axis=-1)
        variances = tf.reduce_mean(tf.exp(log_variances), 1) + tf.math.reduce_variance(means, 1)
        mean, _ = self.restore(predictions[:, 0])
        return mean, tf.sqrt(variances) * self.scale


def sample(predictions: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Returns values sampled from predicted distributions: the means where the noise is 0."""
    means, log_variances = tf.split(predictions, 2, axis=-1)
    return means + tf.exp(0.5 * log_variances) * noise
