"""The base class of this chapter's models: normalisation, missing values, sampled paths.

All models take times, int64 of shape (batch, steps); exogenous values, which are known in advance,
float32 of shape (batch, steps, exogenous), often with no column; and values, float32 of shape
(batch, steps, features), NaN where missing. Values and exogenous values are
normalised to mean 0 and standard deviation 1, see `Forecaster.normalise`. Predictions have the
shape (batch, steps, 2 * features): means, then log variances. `Forecaster.restore` converts them to
means and standard deviations in the units of the series.
"""

import math

import keras
import numpy as np
import tensorflow as tf

MIN_VARIANCE = 1e-5  # lower bound of predicted variances, as in the original
MAX_VARIANCE = 4.0  # upper bound; log variances are unbounded outside the range trained on
NUM_PATHS = 256  # sampled paths for the standard deviation of a forecast
MAX_NOISE = 2**24  # random numbers for them; of very long forecasts there are fewer paths


def carry_forward(values: tf.Tensor) -> tf.Tensor:
    """Replaces each missing value by the last known one of its column, or by 0 if there is none.

    Args:
        values: float32 of shape (batch, steps, features), NaN where missing.
    """
    def carry() -> tf.Tensor:
        columns = tf.einsum("btf->bft", values)
        known, num_steps = tf.math.is_finite(columns), tf.shape(columns)[2]
        steps = tf.sort(tf.where(known, tf.range(1, num_steps + 1), num_steps + 1))
        so_far = tf.cumsum(tf.cast(known, tf.int32), axis=2)
        before = [[0, 0], [0, 0], [1, 0]]  # step 0: none known
        latest = tf.gather(tf.pad(steps, before), so_far, batch_dims=2)
        return tf.einsum("bft->btf", tf.gather(tf.pad(columns, before), latest, batch_dims=2))

    missing = tf.math.reduce_any(~tf.math.is_finite(values))
    return tf.ensure_shape(tf.cond(missing, carry, lambda: values), values.shape)


class Forecaster(keras.Model):
    """Base class of all models: normalises a series, and forecasts it from sampled paths.

    A subclass implements `call`, `follow` (teacher forcing) and `roll_out` (feeding back).
    """

    def __init__(
        self, num_features: int, num_exogenous: int, num_inputs: int, num_outputs: int, loss: str
    ):
        """Creates the non-trainable weights, which are computed from the data.

        Args:
            num_features: values per step.
            num_exogenous: exogenous values per step.
            num_inputs: input steps before the first prediction.
            num_outputs: steps predicted at once.
            loss: with "normal_likelihood" the model predicts variances, with "squared" they are
                those of `set_residuals`.
        """
        super().__init__()
        self.num_features, self.num_exogenous = num_features, num_exogenous
        self.num_inputs, self.num_outputs = num_inputs, num_outputs
        self.predicts_variance = loss == "normal_likelihood"
        self.log = False  # whether the logarithms of values are modelled; `build_model` sets it

        def measured(name: str, value: str, *shape: int) -> keras.Variable:
            return self.add_weight(name=name, shape=shape, initializer=value, trainable=False)

        self.location = measured("location", "zeros", num_features)
        self.scale = measured("scale", "ones", num_features)
        self.log_residuals = measured("residuals", "zeros", num_outputs, num_features)
        self.exogenous_location = measured("exogenous_location", "zeros", num_exogenous)
        self.exogenous_scale = measured("exogenous_scale", "ones", num_exogenous)

    def set_scale(self, values: np.ndarray, exogenous: np.ndarray) -> None:
        """Computes means and standard deviations; the latter are 1 for a constant column.

        A deviation too small for a float32 is that of a constant.

        Args:
            values: of shape (steps, features), NaN where missing.
            exogenous: of shape (steps, exogenous), NaN where missing.
        """
        values = np.log(values) if self.log else values
        for columns, location, scale in (
            (values, self.location, self.scale),
            (exogenous, self.exogenous_location, self.exogenous_scale),
        ):
            deviation = np.nanstd(columns, axis=0, dtype=np.float64)
            location.assign(np.nanmean(columns, axis=0, dtype=np.float64))
            scale.assign(np.where(deviation > np.finfo(np.float32).tiny, deviation, 1))

    def set_residuals(self, errors: np.ndarray) -> None:
        """Computes the variances of the residuals, separately for each step ahead.

        Args:
            errors: of consecutive windows of `num_outputs` predicted steps, from the first step of
                a window on, in normalised units, of shape (steps, features), NaN where missing.
        """
        missing = np.full((-len(errors) % self.num_outputs, self.num_features), np.nan)
        windows = np.concatenate([errors, missing]).reshape(-1, self.num_outputs, errors.shape[1])
        pooled = np.nan_to_num(np.nanmean(errors**2, axis=0), nan=1.0)
        known = np.isfinite(windows).sum(axis=0)
        # The pooled variance counts as one more error, so that every step ahead has an estimate.
        variances = (np.nansum(windows**2, axis=0) + pooled) / (known + 1)
        self.log_residuals.assign(np.log(np.maximum(variances, MIN_VARIANCE)))

    def normalise(self, values: tf.Tensor) -> tf.Tensor:
        """Scales values, or their logarithms, to mean 0 and standard deviation 1.

        The original divides by variances.
        """
        values = tf.math.log(values) if self.log else values
        return (values - self.location) / self.scale

    def normalise_exogenous(self, exogenous: tf.Tensor) -> tf.Tensor:
        """Scales exogenous values likewise, and replaces missing ones by the last known value.

        Args:
            exogenous: of shape (batch, steps, exogenous).
        """
        return carry_forward((exogenous - self.exogenous_location) / self.exogenous_scale)

    def in_units(self, means: tf.Tensor, sigmas: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Converts normalised means and standard deviations to the units of the series.

        With `log` they become the median and the standard deviation of a log-normal variable.
        """
        means, sigmas = means * self.scale + self.location, sigmas * self.scale
        if self.log:
            means = tf.exp(means)
            sigmas = means * tf.exp(sigmas**2 / 2) * tf.sqrt(tf.math.expm1(sigmas**2))
        return means, sigmas

    def restore(self, predictions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Converts predictions to means and standard deviations in the units of the series."""
        means, log_variances = tf.split(predictions, 2, axis=-1)
        return self.in_units(means, tf.exp(0.5 * log_variances))

    def complete(self, outputs: tf.Tensor) -> tf.Tensor:
        """Returns predictions from a layer's outputs: adds log variances if there are none."""
        if self.predicts_variance:
            means, log_variances = tf.split(outputs, 2, axis=-1)
        else:
            means, log_variances = outputs, tf.zeros_like(outputs) + self.log_residuals
        low, high = math.log(MIN_VARIANCE), math.log(MAX_VARIANCE)
        return tf.concat([means, tf.clip_by_value(log_variances, low, high)], axis=-1)

    def forecast(
        self, times: tf.Tensor, exogenous: tf.Tensor, values: tf.Tensor, horizon: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Forecasts the steps after a history, feeding predictions back.

        For the mean, predicted means are fed back. For the standard deviation, samples of the
        predicted distributions are fed back along many paths. Its square is the mean of the
        variances over the paths plus the variance of the means over the paths (the law of total
        variance). If all steps are predicted at once, nothing is fed back, and one path without
        noise is enough.

        Args:
            times: consecutive step numbers, int64 of shape (batch, history).
            exogenous: float32 of shape (batch, history + horizon or more, exogenous).
            values: float32 of shape (batch, history, features), in the units of the series, NaN
                where missing.
            horizon: number of steps to forecast, an int32 scalar.

        Returns:
            Mean and standard deviation, each float32 of shape (batch, horizon, features), in the
            units of the series.
        """
        batch, features = tf.shape(values)[0], self.num_features
        paths = tf.clip_by_value(MAX_NOISE // (batch * horizon * features), 1, NUM_PATHS)
        sampled = tf.where(horizon > self.num_outputs, paths, 0)
        noise = tf.random.stateless_normal((batch, sampled, horizon, features), (0, 0))
        noise = tf.pad(noise, [[0, 0], [1, 0], [0, 0], [0, 0]])  # the first path has none
        noise = tf.reshape(noise, (-1, horizon, features))
        exogenous = self.normalise_exogenous(exogenous)
        predictions = self.roll_out(times, exogenous, self.normalise(values), noise)
        shape = (batch, sampled + 1, horizon, 2 * features)
        predictions = tf.reshape(predictions, shape)
        means, log_variances = tf.split(predictions, 2, axis=-1)
        variances = tf.reduce_mean(tf.exp(log_variances), 1) + tf.math.reduce_variance(means, 1)
        return self.in_units(means[:, 0], tf.sqrt(variances))


def sample(predictions: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Returns samples of the predicted distributions; where the noise is 0, these are the means."""
    means, log_variances = tf.split(predictions, 2, axis=-1)
    return means + tf.exp(0.5 * log_variances) * noise
