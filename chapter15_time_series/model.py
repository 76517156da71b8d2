"""Two models that forecast time series: a linear autoregressive one and an LSTM.

Both take times, int64 of shape (batch, steps), and values, float32 of shape (batch, steps,
features), a row of NaN where a step is missing. Values are normalised to mean 0 and standard
deviation 1, see `normalise`. Predictions are of shape (batch, steps, 2 * features): means, then
logarithms of variances; `restore` turns them into means and standard deviations in the units of
the series.
"""

import argparse
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

NUM_TIME_BUCKETS = 10  # book, section 15.2: the original model's default
MIN_VARIANCE = 1e-5  # the original's too: no predicted variance is below it
NUM_PATHS = 256  # sampled futures behind the standard deviation of a forecast


def time_features(
    times: tf.Tensor, periodicities: list[int], num_buckets: int = NUM_TIME_BUCKETS
) -> tf.Tensor:
    """Tells where in each period a time lies, as the original model does.

    A period is cut into buckets. With m the place in the period in buckets, bucket i has m - i
    where the time lies in it, and 0 elsewhere.

    Args:
        times: int64 of shape (batch, steps).
        periodicities: lengths of the periods in steps.
        num_buckets: buckets a period.

    Returns:
        float32 of shape (batch, steps, periods, buckets), in [0, 1).
    """
    periods = tf.constant(periodicities, tf.int64)
    phase = tf.cast(times[..., None] % periods, tf.float32)  # (batch, steps, periods)
    place = phase * num_buckets / tf.cast(periods, tf.float32)
    inside = tf.nn.relu(place[..., None] - tf.range(num_buckets, dtype=tf.float32))
    return tf.where(inside < 1, inside, 0.0)


def carry_forward(values: tf.Tensor) -> tf.Tensor:
    """Puts the last known row in place of each missing one, 0 where none came before.

    Args:
        values: float32 of shape (batch, steps, features), NaN where a step is missing.
    """
    steps = tf.range(tf.shape(values)[1])
    known = tf.reduce_all(tf.math.is_finite(values), axis=-1)[:, None]  # (batch, 1, steps)
    before = steps <= steps[:, None]
    latest = tf.reduce_max(tf.where(known & before, steps, -1), axis=-1)  # (batch, steps)
    padded = tf.pad(values, [[0, 0], [1, 0], [0, 0]])
    return tf.gather(padded, latest + 1, batch_dims=1)


def known_errors(targets: tf.Tensor, means: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns errors, 0 where the target is missing, and weights, 1 or 0, of the same shape."""
    known = tf.math.is_finite(targets)
    return tf.where(known, targets, means) - means, tf.cast(known, tf.float32)


def normal_likelihood(targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    """Returns the mean negative logarithm of the normal density, in nats a known value.

    Args:
        targets: of shape (batch, steps, features), NaN where missing.
        predictions: of shape (batch, steps, 2 * features).
    """
    means, log_variances = tf.split(predictions, 2, axis=-1)
    errors, weights = known_errors(targets, means)
    nats = 0.5 * (math.log(2 * math.pi) + log_variances + errors**2 / tf.exp(log_variances))
    return tf.math.divide_no_nan(tf.reduce_sum(weights * nats), tf.reduce_sum(weights))


def squared(targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    """Returns the mean squared error of the known values; see `normal_likelihood`."""
    means, _ = tf.split(predictions, 2, axis=-1)
    errors, weights = known_errors(targets, means)
    return tf.math.divide_no_nan(tf.reduce_sum(errors**2), tf.reduce_sum(weights))


LOSSES = {"normal_likelihood": normal_likelihood, "squared": squared}


class Forecaster(keras.Model):
    """What both models share: the scale of the series, and forecasts from sampled paths."""

    def __init__(self, num_features: int, num_inputs: int, num_outputs: int, loss: str):
        """Makes the weights that are measured, not learnt.

        Args:
            num_features: values a step.
            num_inputs: steps that must be known before anything is predicted.
            num_outputs: steps that are predicted at once.
            loss: with "normal_likelihood" variances are predicted, with "squared" they are those
                that `set_residuals` has measured.
        """
        super().__init__()
        self.num_features, self.num_inputs, self.num_outputs = num_features, num_inputs, num_outputs
        self.predicts_variance = loss == "normal_likelihood"
        self.location, self.scale, self.log_residuals = (
            self.add_weight(name=name, shape=(num_features,), initializer=value, trainable=False)
            for name, value in (("location", "zeros"), ("scale", "ones"), ("residuals", "zeros"))
        )

    def set_scale(self, values: np.ndarray) -> None:
        """Measures mean and standard deviation of a series (steps, features); 1 if constant."""
        deviation = np.nanstd(values, axis=0, dtype=np.float64)
        self.location.assign(np.nanmean(values, axis=0, dtype=np.float64))
        self.scale.assign(np.where(deviation > 0, deviation, 1))

    def set_residuals(self, errors: np.ndarray) -> None:
        """Measures the variances of errors (steps, features), in normalised units."""
        self.log_residuals.assign(np.log(np.nanmean(errors**2, axis=0)))

    def normalise(self, values: tf.Tensor) -> tf.Tensor:
        """Gives values mean 0 and standard deviation 1 (the original divides by the variance)."""
        return (values - self.location) / self.scale

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
        return tf.concat([means, tf.maximum(log_variances, math.log(MIN_VARIANCE))], axis=-1)

    def forecast(
        self, times: tf.Tensor, values: tf.Tensor, horizon: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Predicts what follows a history, feeding predictions back.

        The mean comes from feeding means back. For the standard deviation, samples of the
        predicted distributions are fed back along many paths: it is the root of the mean variance
        on the paths plus the variance of the means among them.

        Args:
            times: int64 of shape (batch, history), each one more than the last.
            values: float32 of shape (batch, history, features), in the units of the series.
            horizon: how many steps to predict, an int32 scalar.

        Returns:
            Mean and standard deviation, (batch, horizon, features) in the units of the series.
        """
        batch, features = tf.shape(values)[0], self.num_features
        noise = tf.random.stateless_normal((batch, NUM_PATHS, horizon, features), (0, 0))
        noise = tf.pad(noise, [[0, 0], [1, 0], [0, 0], [0, 0]])  # none on the first path
        noise = tf.reshape(noise, (-1, horizon, features))
        predictions = self.roll_out(times, self.normalise(values), noise)
        shape = (batch, NUM_PATHS + 1, horizon, 2 * features)
        predictions = tf.reshape(predictions, shape)
        means, log_variances = tf.split(predictions[:, 1:], 2, axis=-1)
        variances = tf.reduce_mean(tf.exp(log_variances), 1) + tf.math.reduce_variance(means, 1)
        mean, _ = self.restore(predictions[:, 0])
        return mean, tf.sqrt(variances) * self.scale


def draw(predictions: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Returns values from predicted distributions: the means where the noise is 0."""
    means, log_variances = tf.split(predictions, 2, axis=-1)
    return means + tf.exp(0.5 * log_variances) * noise


class ARModel(Forecaster):
    """The original's autoregressive model: linear in a window of values and in time features."""

    def __init__(
        self,
        num_features: int,
        input_window_size: int,
        output_window_size: int,
        periodicities: list[int],
        loss: str,
        l2: float,
    ):
        """Builds all weights; see `build_model`."""
        super().__init__(num_features, input_window_size, output_window_size, loss)
        self.periodicities = periodicities
        self.window_size = input_window_size + output_window_size
        self.linear = keras.layers.Dense(
            output_window_size * num_features * (2 if self.predicts_variance else 1),
            kernel_regularizer=keras.regularizers.L2(l2),
        )
        num_time_features = self.window_size * len(periodicities) * NUM_TIME_BUCKETS
        self.linear.build((None, input_window_size * num_features + num_time_features))
        self.built = True

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Predicts the last steps of windows from the first ones.

        Args:
            inputs: times of shape (batch, window_size), and values of which the first
                `input_window_size` are looked at.
            training: makes no difference.
        """
        times, values = inputs
        known = carry_forward(values[:, : self.num_inputs])
        features = [tf.reshape(known, (-1, self.num_inputs * self.num_features))]
        if self.periodicities:
            buckets = time_features(times, self.periodicities)
            features.append(tf.reshape(buckets, (tf.shape(times)[0], -1)))
        outputs = self.linear(tf.concat(features, axis=1))
        return self.complete(tf.reshape(outputs, (tf.shape(times)[0], self.num_outputs, -1)))

    def follow(self, times: tf.Tensor, values: tf.Tensor, ahead: int = 1) -> tf.Tensor:
        """Predicts each step of a series from true values, `ahead` steps before it or less.

        Args:
            times: int64 of shape (steps,), each one more than the last.
            values: normalised, of shape (steps, features).
            ahead: with 1 a window begins at every step and gives its first output; with
                `num_outputs` windows do not overlap in what they predict, as in the book.

        Returns:
            Of shape (steps, 2 * features); NaN for the first `input_window_size` steps.
        """
        num_predicted = len(values) - self.num_inputs
        starts = tf.range(0, num_predicted, ahead)[:, None]
        inputs = tf.gather(values, starts + tf.range(self.num_inputs))
        offsets = tf.range(self.window_size, dtype=tf.int64)  # may reach beyond the end
        predictions = self((tf.gather(times, starts) + offsets, inputs), training=False)
        predictions = tf.reshape(predictions[:, :ahead], (-1, 2 * self.num_features))
        padding = [[self.num_inputs, 0], [0, 0]]
        return tf.pad(predictions[:num_predicted], padding, constant_values=math.nan)

    def roll_out(self, times: tf.Tensor, values: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Predicts window after window, each from draws of the one before; see `forecast`.

        Args:
            times: of shape (batch, history).
            values: normalised, of shape (batch, history, features).
            noise: of shape (batch * paths, horizon, features).
        """
        paths, horizon = tf.shape(noise)[0] // tf.shape(values)[0], tf.shape(noise)[1]
        history = tf.repeat(values[:, -self.num_inputs :], paths, axis=0)
        first = tf.repeat(times[:, -self.num_inputs, None], paths, axis=0)
        num_windows = -(-horizon // self.num_outputs)
        noise = tf.pad(noise, [[0, 0], [0, num_windows * self.num_outputs - horizon], [0, 0]])
        windows = tf.TensorArray(tf.float32, num_windows)
        for number in tf.range(num_windows):
            start = number * self.num_outputs
            offsets = tf.range(start, start + self.window_size)
            predictions = self((first + tf.cast(offsets, tf.int64), history), training=False)
            windows = windows.write(number, predictions)
            drawn = draw(predictions, noise[:, start : start + self.num_outputs])
            known = carry_forward(history)
            history = tf.concat([known, drawn], axis=1)[:, -self.num_inputs :]
        predictions = tf.einsum("wbtf->bwtf", windows.stack())
        shape = (tf.shape(noise)[0], -1, 2 * self.num_features)
        return tf.reshape(predictions, shape)[:, :horizon]


class FilterCell(keras.layers.Layer):
    """One step of filtering: predicts a value from all before it, then takes in the true one.

    Where the true value is missing, one drawn from the prediction takes its place. So gaps, and the
    future, in which all values are missing, need nothing of their own.
    """

    def __init__(self, num_units: int, model: Forecaster):
        """Builds all weights; the state is the last value, and the LSTM's two."""
        super().__init__()
        features = model.num_features
        self.complete = model.complete
        self.lstm = keras.layers.LSTMCell(num_units)
        self.linear = keras.layers.Dense(features * (2 if model.predicts_variance else 1))
        self.lstm.build((None, features))
        self.linear.build((None, num_units))
        self.state_size, self.output_size = [features, num_units, num_units], 2 * features
        self.built = True

    def call(
        self, inputs: tf.Tensor, states: list[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Makes one step.

        Args:
            inputs: the true values, NaN where missing, then noise: (batch, 2 * features).
            states: see `__init__`.
            training: makes no difference.

        Returns:
            The prediction of the values, (batch, 2 * features), and the new states.
        """
        values, noise = tf.split(inputs, 2, axis=-1)
        last, *lstm_states = states
        output, lstm_states = self.lstm(last, lstm_states, training=training)
        prediction = self.complete(self.linear(output))
        known = tf.reduce_all(tf.math.is_finite(values), axis=-1, keepdims=True)
        last = tf.where(known, values, draw(prediction, noise))
        return prediction, [last, *lstm_states]


class LSTMModel(Forecaster):
    """The book's LSTM (section 15.4): one cell, and a linear layer from it to the values."""

    def __init__(self, num_features: int, num_units: int, loss: str):
        """Builds all weights; see `build_model`."""
        super().__init__(num_features, 0, 1, loss)
        cell = FilterCell(num_units, self)
        self.filter = keras.layers.RNN(cell, return_sequences=True, return_state=True)
        self.filter.build((None, None, 2 * num_features))
        self.built = True

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Predicts every step of windows from the true values before it.

        Args:
            inputs: times, which are not looked at, and values.
            training: makes no difference.
        """
        _, values = inputs
        noise = tf.zeros_like(values)
        return self.filter(tf.concat([values, noise], axis=-1), training=training)[0]

    def follow(self, times: tf.Tensor, values: tf.Tensor, ahead: int = 1) -> tf.Tensor:
        """Predicts each step of a series from all true values before it; see `ARModel.follow`."""
        return self((times[None], values[None]), training=False)[0]

    def roll_out(self, times: tf.Tensor, values: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Filters a history, then a future of missing values; see `ARModel.roll_out`."""
        paths = tf.shape(noise)[0] // tf.shape(values)[0]
        history = tf.concat([values, tf.zeros_like(values)], axis=-1)
        _, *states = self.filter(history, training=False)
        states = [tf.repeat(state, paths, axis=0) for state in states]
        future = tf.concat([tf.fill(tf.shape(noise), math.nan), noise], axis=-1)
        return self.filter(future, initial_state=states, training=False)[0]


def build_model(
    num_features: int,
    model: str = "ar",
    input_window_size: int = 30,
    output_window_size: int = 10,
    periodicities: str | None = None,
    num_units: int = 128,
    loss: str = "normal_likelihood",
    l2: float = 0.0,
    seed: int = 0,
) -> Forecaster:
    """Builds a model.

    Args:
        num_features: values a step.
        model: "ar" or "lstm".
        input_window_size: steps that the autoregressive model looks back.
        output_window_size: steps that it predicts at once.
        periodicities: lengths of the periods that it has time features for, in steps, with commas
            between.
        num_units: of the LSTM.
        loss: a key of LOSSES.
        l2: what the autoregressive model's squared weights cost.
        seed: of the first weights.
    """
    keras.utils.set_random_seed(seed)
    if model == "lstm":
        return LSTMModel(num_features, num_units, loss)
    periods = [int(period) for period in (periodicities or "").split(",") if period]
    return ARModel(num_features, input_window_size, output_window_size, periods, loss, l2)


def model_flags(flags: argparse.Namespace, num_features: int) -> dict[str, Any]:
    """Returns what `build_model` needs to know of a run's flags and its series."""
    names = ("model", "input_window_size", "output_window_size", "periodicities", "num_units",
             "loss", "l2", "seed")
    return {"num_features": num_features} | {name: getattr(flags, name) for name in names}
