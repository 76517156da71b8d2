"""Models that forecast time series: the book's linear autoregressive one and its LSTM, and DLinear.

What they take and give is told in base_model.py.
"""

import math

import keras
import tensorflow as tf

from chapter15_time_series.base_model import Forecaster, carry_forward, sample

NUM_TIME_BUCKETS = 10  # book, section 15.2: the original model's default
TREND_STEPS = 25  # over which DLinear averages to find the trend: Zeng et al., 2023


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


class WindowModel(Forecaster):
    """What is common to models that predict the last steps of a window from its first ones.

    Called with times and exogenous values of whole windows, and with values of which the first
    `num_inputs` steps are looked at, they give predictions of the last `num_outputs` steps.
    """

    @property
    def window_size(self) -> int:
        """Returns the steps of a window, looked at and predicted."""
        return self.num_inputs + self.num_outputs

    def follow(
        self, times: tf.Tensor, exogenous: tf.Tensor, values: tf.Tensor, ahead: int = 1
    ) -> tf.Tensor:
        """Predicts each step of a series from true values, `ahead` steps before it or less.

        Args:
            times: int64 of shape (steps,), each one more than the last.
            exogenous: normalised, of shape (steps or more, exogenous): the last windows reach
                beyond the series.
            values: normalised, of shape (steps, features).
            ahead: with 1 a window begins at every step and gives its first output; with
                `num_outputs` windows do not overlap in what they predict, as in the book.

        Returns:
            Of shape (steps, 2 * features); NaN for the first `num_inputs` steps.
        """
        num_predicted = len(values) - self.num_inputs
        starts = tf.range(0, num_predicted, ahead)[:, None]
        inputs = tf.gather(values, starts + tf.range(self.num_inputs))
        steps = starts + tf.range(self.window_size)  # may reach beyond the end
        outside = tf.gather(exogenous, tf.minimum(steps, len(exogenous) - 1))
        predictions = self((times[0] + tf.cast(steps, tf.int64), outside, inputs), training=False)
        predictions = tf.reshape(predictions[:, :ahead], (-1, 2 * self.num_features))
        padding = [[self.num_inputs, 0], [0, 0]]
        return tf.pad(predictions[:num_predicted], padding, constant_values=math.nan)

    def roll_out(
        self, times: tf.Tensor, exogenous: tf.Tensor, values: tf.Tensor, noise: tf.Tensor
    ) -> tf.Tensor:
        """Predicts window after window, each from draws of the one before; see `forecast`.

        Args:
            times: of shape (batch, history).
            exogenous: normalised, of shape (batch, history + horizon or more, exogenous): the last
                window may reach beyond the horizon; where they are not known, the last row stays.
            values: normalised, of shape (batch, history, features).
            noise: of shape (batch * paths, horizon, features).
        """
        paths, horizon = tf.shape(noise)[0] // tf.shape(values)[0], tf.shape(noise)[1]
        num_windows = -(-horizon // self.num_outputs)
        surplus = num_windows * self.num_outputs - horizon
        noise = tf.pad(noise, [[0, 0], [0, surplus], [0, 0]])
        needed = tf.shape(values)[1] + horizon + surplus
        exogenous = exogenous[:, :needed]
        unknown = needed - tf.shape(exogenous)[1]
        exogenous = tf.concat([exogenous, tf.repeat(exogenous[:, -1:], unknown, axis=1)], axis=1)
        outside = exogenous[:, tf.shape(values)[1] - self.num_inputs :]
        outside = tf.repeat(outside, paths, axis=0)
        history = tf.repeat(values[:, -self.num_inputs :], paths, axis=0)
        history = tf.ensure_shape(history, (None, self.num_inputs, self.num_features))
        first = tf.repeat(times[:, -self.num_inputs, None], paths, axis=0)
        windows = tf.TensorArray(tf.float32, num_windows)
        for number in tf.range(num_windows):
            start = number * self.num_outputs
            stop = start + self.window_size
            steps = first + tf.cast(tf.range(start, stop), tf.int64)
            predictions = self((steps, outside[:, start:stop], history), training=False)
            windows = windows.write(number, predictions)
            drawn = sample(predictions, noise[:, start : start + self.num_outputs])
            known = carry_forward(history)
            history = tf.concat([known, drawn], axis=1)[:, -self.num_inputs :]
            history = tf.ensure_shape(history, (None, self.num_inputs, self.num_features))
        predictions = tf.einsum("wbtf->bwtf", windows.stack())
        shape = (tf.shape(noise)[0], -1, 2 * self.num_features)
        return tf.reshape(predictions, shape)[:, :horizon]


class ARModel(WindowModel):
    """The original's autoregressive model: linear in a window of values and in time features."""

    def __init__(
        self,
        num_features: int,
        num_exogenous: int,
        input_window_size: int,
        output_window_size: int,
        periodicities: list[int],
        loss: str,
        l2: float,
    ):
        """Builds all weights; see `build_model`."""
        super().__init__(num_features, num_exogenous, input_window_size, output_window_size, loss)
        self.periodicities = periodicities
        self.linear = keras.layers.Dense(
            output_window_size * num_features * (2 if self.predicts_variance else 1),
            kernel_regularizer=keras.regularizers.L2(l2),
        )
        known_beforehand = len(periodicities) * NUM_TIME_BUCKETS + num_exogenous
        num_inputs = input_window_size * num_features + self.window_size * known_beforehand
        self.linear.build((None, num_inputs))
        self.built = True

    def call(
        self, inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor], training: bool = False
    ) -> tf.Tensor:
        """Predicts the last steps of windows from the first ones.

        Args:
            inputs: times, exogenous values and values; see `WindowModel`.
            training: makes no difference.
        """
        times, exogenous, values = inputs
        known = carry_forward(values[:, : self.num_inputs])
        features = [tf.reshape(known, (-1, self.num_inputs * self.num_features))]
        if self.periodicities:
            buckets = time_features(times, self.periodicities)
            features.append(tf.reshape(buckets, (tf.shape(times)[0], -1)))
        outside = (tf.shape(times)[0], self.window_size * self.num_exogenous)
        features.append(tf.reshape(exogenous, outside))
        outputs = self.linear(tf.concat(features, axis=1))
        return self.complete(tf.reshape(outputs, (tf.shape(times)[0], self.num_outputs, -1)))


def moving_average(values: tf.Tensor, num_steps: int) -> tf.Tensor:
    """Averages every step with its neighbours; the first and the last step are repeated outside.

    Args:
        values: of shape (batch, steps, features).
        num_steps: how many to average, an odd number.
    """
    width = num_steps // 2
    before = tf.repeat(values[:, :1], width, axis=1)
    after = tf.repeat(values[:, -1:], width, axis=1)
    return tf.nn.avg_pool1d(tf.concat([before, values, after], axis=1), num_steps, 1, "VALID")


class DLinearModel(WindowModel):
    """One linear layer for the trend in a window, one for what remains (Zeng et al., 2023).

    They look at one feature after the other, with the same weights for all, and at no times.
    """

    def __init__(
        self,
        num_features: int,
        num_exogenous: int,
        input_window_size: int,
        output_window_size: int,
        loss: str,
        l2: float,
    ):
        """Builds all weights; see `build_model`."""
        super().__init__(num_features, num_exogenous, input_window_size, output_window_size, loss)
        self.num_parts = 2 if self.predicts_variance else 1

        def linear(num_inputs: int, num_outputs: int) -> keras.layers.Dense:
            """From zeros: what a window does not teach about, its weights do not add as noise."""
            layer = keras.layers.Dense(num_outputs * self.num_parts, kernel_initializer="zeros",
                                       kernel_regularizer=keras.regularizers.L2(l2))
            layer.build((None, num_inputs))
            return layer

        self.trend = linear(input_window_size, output_window_size)
        self.remainder = linear(input_window_size, output_window_size)
        self.outside = linear(num_exogenous, num_features) if num_exogenous else None
        self.built = True

    def call(
        self, inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor], training: bool = False
    ) -> tf.Tensor:
        """Predicts the last steps of windows from the first ones.

        Args:
            inputs: times, which are not looked at, exogenous values of which those of the steps to
                predict are, and values; see `WindowModel`.
            training: makes no difference.
        """
        _, exogenous, values = inputs
        known = carry_forward(values[:, : self.num_inputs])
        trend = moving_average(known, TREND_STEPS)
        trend, remainder = (tf.einsum("btf->bft", x) for x in (trend, known - trend))
        outputs = self.trend(trend) + self.remainder(remainder)  # (batch, features, out * parts)
        shape = (-1, self.num_features, self.num_parts, self.num_outputs)
        outputs = tf.einsum("bfpo->bopf", tf.reshape(outputs, shape))
        outputs = tf.reshape(outputs, (-1, self.num_outputs, self.num_parts * self.num_features))
        if self.outside is not None:
            outputs += self.outside(exogenous[:, self.num_inputs :])
        return self.complete(outputs)


class FilterCell(keras.layers.Layer):
    """One step of filtering: predicts a value from all before it, then takes in the true one.

    Where the true value is missing, one drawn from the prediction takes its place. So gaps, and the
    future, in which all values are missing, need nothing of their own.
    """

    def __init__(self, num_units: int, model: Forecaster):
        """Builds all weights; the state is the last value, and the LSTM's two."""
        super().__init__()
        features, exogenous = model.num_features, model.num_exogenous
        self.sizes = [features, features, exogenous]
        self.complete = model.complete
        self.lstm = keras.layers.LSTMCell(num_units)
        self.linear = keras.layers.Dense(features * (2 if model.predicts_variance else 1))
        self.lstm.build((None, features + exogenous))
        self.linear.build((None, num_units))
        self.state_size, self.output_size = [features, num_units, num_units], 2 * features
        self.built = True

    def call(
        self, inputs: tf.Tensor, states: list[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Makes one step.

        Args:
            inputs: the true values, NaN where missing, noise, and exogenous values of the step:
                (batch, 2 * features + exogenous).
            states: see `__init__`.
            training: makes no difference.

        Returns:
            The prediction of the values, (batch, 2 * features), and the new states.
        """
        values, noise, exogenous = tf.split(inputs, self.sizes, axis=-1)
        last, *lstm_states = states
        seen = tf.concat([last, exogenous], axis=-1)
        output, lstm_states = self.lstm(seen, lstm_states, training=training)
        prediction = self.complete(self.linear(output))
        known = tf.reduce_all(tf.math.is_finite(values), axis=-1, keepdims=True)
        last = tf.where(known, values, sample(prediction, noise))
        return prediction, [last, *lstm_states]


class LSTMModel(Forecaster):
    """The book's LSTM (section 15.4): one cell, and a linear layer from it to the values."""

    def __init__(self, num_features: int, num_exogenous: int, num_units: int, loss: str):
        """Builds all weights; see `build_model`."""
        super().__init__(num_features, num_exogenous, 0, 1, loss)
        cell = FilterCell(num_units, self)
        self.filter = keras.layers.RNN(cell, return_sequences=True, return_state=True)
        self.filter.build((None, None, 2 * num_features + num_exogenous))
        self.built = True

    def call(
        self, inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor], training: bool = False
    ) -> tf.Tensor:
        """Predicts every step of windows from the true values before it.

        Args:
            inputs: times, which are not looked at, exogenous values and values.
            training: makes no difference.
        """
        _, exogenous, values = inputs
        steps = tf.concat([values, tf.zeros_like(values), exogenous], axis=-1)
        return self.filter(steps, training=training)[0]

    def follow(
        self, times: tf.Tensor, exogenous: tf.Tensor, values: tf.Tensor, ahead: int = 1
    ) -> tf.Tensor:
        """Predicts each step from all true values before it; see `WindowModel.follow`."""
        exogenous = exogenous[: len(values)]
        return self((times[None], exogenous[None], values[None]), training=False)[0]

    def roll_out(
        self, times: tf.Tensor, exogenous: tf.Tensor, values: tf.Tensor, noise: tf.Tensor
    ) -> tf.Tensor:
        """Filters a history, then a future of missing values; see `WindowModel.roll_out`."""
        paths, end = tf.shape(noise)[0] // tf.shape(values)[0], tf.shape(values)[1]
        history = tf.concat([values, tf.zeros_like(values), exogenous[:, :end]], axis=-1)
        _, *states = self.filter(history, training=False)
        states = [tf.repeat(state, paths, axis=0) for state in states]
        missing = tf.fill(tf.shape(noise), math.nan)
        outside = tf.repeat(exogenous[:, end : end + tf.shape(noise)[1]], paths, axis=0)
        future = tf.concat([missing, noise, outside], axis=-1)
        return self.filter(future, initial_state=states, training=False)[0]


def build_model(
    num_features: int,
    num_exogenous: int = 0,
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
        num_exogenous: exogenous values a step.
        model: "ar", "lstm" or "dlinear".
        input_window_size: steps that ar and dlinear look back.
        output_window_size: steps that they predict at once.
        periodicities: lengths of the periods that ar has time features for, in steps, with commas
            between.
        num_units: of the LSTM.
        loss: a key of LOSSES.
        l2: what the squared weights of ar and dlinear cost.
        seed: of the first weights.
    """
    keras.utils.set_random_seed(seed)
    columns, sizes = (num_features, num_exogenous), (input_window_size, output_window_size)
    if model == "lstm":
        return LSTMModel(*columns, num_units, loss)
    if model == "dlinear":
        return DLinearModel(*columns, *sizes, loss, l2)
    periods = [int(period) for period in (periodicities or "").split(",") if period]
    return ARModel(*columns, *sizes, periods, loss, l2)
