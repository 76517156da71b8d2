"""Models of time series: the book's autoregressive model and its LSTM, and DLinear.

For the shapes of inputs and predictions see base_model.py.
"""

import math

import keras
import tensorflow as tf

from chapter15_time_series.base_model import Forecaster, carry_forward, sample

NUM_TIME_BUCKETS = 10  # the default of the original's ARModel (book, section 15.3.1)
TREND_STEPS = 25  # kernel size of DLinear's moving average: Zeng et al., 2023


def time_features(
    times: tf.Tensor, periodicities: list[int], num_buckets: int = NUM_TIME_BUCKETS
) -> tf.Tensor:
    """Encodes the phase of each time within each period, as the original's ARModel does.

    A period is divided into buckets. If the phase is m, measured in buckets, then the feature of
    bucket i is m - i if that lies in [0, 1), and 0 otherwise.

    Args:
        times: int64 of shape (batch, steps).
        periodicities: lengths of the periods in steps.
        num_buckets: buckets per period.

    Returns:
        float32 of shape (batch, steps, periods, buckets), in [0, 1).
    """
    periods = tf.constant(periodicities, tf.int64)
    steps = tf.cast(times[..., None] % periods, tf.float32)  # (batch, steps, periods)
    phase = steps * num_buckets / tf.cast(periods, tf.float32)
    inside = tf.nn.relu(phase[..., None] - tf.range(num_buckets, dtype=tf.float32))
    return tf.where(inside < 1, inside, 0.0)


def known_errors(targets: tf.Tensor, means: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns errors and weights; both are 0 where the target is missing, else weights are 1."""
    known = tf.math.is_finite(targets)
    return tf.where(known, targets, means) - means, tf.cast(known, tf.float32)


def normal_likelihood(targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    """Returns the mean negative log-likelihood of a normal distribution, in nats per known value.

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
    """Base class of models that predict the last steps of a window from the first ones.

    `call` takes times and exogenous values of whole windows, and values, of which only the first
    `num_inputs` steps are used. It returns predictions of the last `num_outputs` steps.
    """

    def __init__(
        self, num_features: int, num_exogenous: int, num_inputs: int, num_outputs: int, loss: str,
        subtract_last: bool,
    ):
        """Creates the weights that all models have.

        With `subtract_last`, windows are relative to their last input, as in NLinear (Zeng et al.,
        2023); for the other arguments see `Forecaster`.
        """
        super().__init__(num_features, num_exogenous, num_inputs, num_outputs, loss)
        self.subtract_last = subtract_last

    def read_inputs(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the input values of windows, missing ones replaced, relative to the last."""
        known = carry_forward(values[:, : self.num_inputs])
        return known - known[:, -1:] if self.subtract_last else known

    def complete_window(self, outputs: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """Returns predictions from a layer's outputs, which may be relative to the last input."""
        predictions = self.complete(outputs)
        if self.subtract_last:
            last = carry_forward(values[:, : self.num_inputs])[:, -1:]
            predictions += tf.pad(last, [[0, 0], [0, 0], [0, self.num_features]])
        return predictions

    @property
    def window_size(self) -> int:
        """Returns the number of steps of a window, inputs and outputs together."""
        return self.num_inputs + self.num_outputs

    def follow(
        self, times: tf.Tensor, exogenous: tf.Tensor, values: tf.Tensor, ahead: int = 1
    ) -> tf.Tensor:
        """Predicts each step of a series from true values (teacher forcing), without feeding back.

        Args:
            times: consecutive step numbers, int64 of shape (steps,).
            exogenous: normalised, of shape (steps or more, exogenous), since the last windows
                extend beyond the series.
            values: normalised, of shape (steps, features).
            ahead: number of steps to use of each window's output. With 1, windows start at every
                step and each value is predicted one step ahead; with `num_outputs`, the outputs of
                the windows do not overlap, as in the book.

        Returns:
            Predictions of shape (steps, 2 * features), NaN for the first `num_inputs` steps.
        """
        num_predicted = len(values) - self.num_inputs
        starts = tf.range(0, num_predicted, ahead)[:, None]
        inputs = tf.gather(values, starts + tf.range(self.num_inputs))
        steps = starts + tf.range(self.window_size)  # may extend beyond the end
        exogenous = tf.gather(exogenous, tf.minimum(steps, len(exogenous) - 1))
        predictions = self((times[0] + tf.cast(steps, tf.int64), exogenous, inputs), training=False)
        predictions = tf.reshape(predictions[:, :ahead], (-1, 2 * self.num_features))
        padding = [[self.num_inputs, 0], [0, 0]]
        return tf.pad(predictions[:num_predicted], padding, constant_values=math.nan)

    def roll_out(
        self, times: tf.Tensor, exogenous: tf.Tensor, values: tf.Tensor, noise: tf.Tensor
    ) -> tf.Tensor:
        """Predicts window after window, feeding samples of the predictions back; see `forecast`.

        Args:
            times: of shape (batch, history).
            exogenous: normalised, of shape (batch, history + horizon or more, exogenous), since the
                last window may extend beyond the horizon. The last row is repeated as needed.
            values: normalised, of shape (batch, history, features).
            noise: standard normal, of shape (batch * paths, horizon, features).

        Returns:
            Predictions of shape (batch * paths, horizon, 2 * features).
        """
        # The last window may extend beyond the horizon: extend noise and exogenous values.
        paths, horizon = tf.shape(noise)[0] // tf.shape(values)[0], tf.shape(noise)[1]
        num_windows = -(-horizon // self.num_outputs)
        surplus = num_windows * self.num_outputs - horizon
        noise = tf.pad(noise, [[0, 0], [0, surplus], [0, 0]])
        needed = tf.shape(values)[1] + horizon + surplus
        exogenous = exogenous[:, :needed]
        unknown = needed - tf.shape(exogenous)[1]
        exogenous = tf.concat([exogenous, tf.repeat(exogenous[:, -1:], unknown, axis=1)], axis=1)
        # Every path starts from the same last `num_inputs` steps.
        exogenous = exogenous[:, tf.shape(values)[1] - self.num_inputs :]
        exogenous = tf.repeat(exogenous, paths, axis=0)
        history = tf.repeat(values[:, -self.num_inputs :], paths, axis=0)
        history = tf.ensure_shape(history, (None, self.num_inputs, self.num_features))
        first = tf.repeat(times[:, -self.num_inputs, None], paths, axis=0)
        windows = tf.TensorArray(tf.float32, num_windows)
        for number in tf.range(num_windows):
            start = number * self.num_outputs
            stop = start + self.window_size
            steps = first + tf.cast(tf.range(start, stop), tf.int64)
            predictions = self((steps, exogenous[:, start:stop], history), training=False)
            windows = windows.write(number, predictions)
            # Feed samples back: they become the latest inputs of the next window.
            samples = sample(predictions, noise[:, start : start + self.num_outputs])
            known = carry_forward(history)
            history = tf.concat([known, samples], axis=1)[:, -self.num_inputs :]
            history = tf.ensure_shape(history, (None, self.num_inputs, self.num_features))
        predictions = tf.einsum("wbtf->bwtf", windows.stack())
        shape = (tf.shape(noise)[0], -1, 2 * self.num_features)
        return tf.reshape(predictions, shape)[:, :horizon]


class ARModel(WindowModel):
    """The book's autoregressive model (section 15.3.1): linear in past values and time features."""

    def __init__(
        self,
        num_features: int,
        num_exogenous: int,
        input_window_size: int,
        output_window_size: int,
        periodicities: list[int],
        loss: str,
        l2: float,
        subtract_last: bool = False,
    ):
        """Builds all weights; see `build_model`."""
        super().__init__(num_features, num_exogenous, input_window_size, output_window_size, loss,
                         subtract_last)
        self.periodicities = periodicities
        self.linear = keras.layers.Dense(
            output_window_size * num_features * (2 if self.predicts_variance else 1),
            # Untrained, the forecast is the last input then.
            kernel_initializer="zeros" if subtract_last else "glorot_uniform",
            kernel_regularizer=keras.regularizers.L2(l2),
        )
        per_step = len(periodicities) * NUM_TIME_BUCKETS + num_exogenous
        num_inputs = input_window_size * num_features + self.window_size * per_step
        self.linear.build((None, num_inputs))
        self.built = True

    def call(
        self, inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor], training: bool = False
    ) -> tf.Tensor:
        """Predicts the last steps of windows from the first ones.

        Args:
            inputs: times, exogenous values and values; see `WindowModel`.
            training: has no effect.
        """
        times, exogenous, values = inputs
        known = self.read_inputs(values)
        features = [tf.reshape(known, (-1, self.num_inputs * self.num_features))]
        if self.periodicities:
            buckets = time_features(times, self.periodicities)
            features.append(tf.reshape(buckets, (tf.shape(times)[0], -1)))
        shape = (tf.shape(times)[0], self.window_size * self.num_exogenous)
        features.append(tf.reshape(exogenous, shape))
        outputs = self.linear(tf.concat(features, axis=1))
        outputs = tf.reshape(outputs, (tf.shape(times)[0], self.num_outputs, -1))
        return self.complete_window(outputs, values)


def moving_average(values: tf.Tensor, num_steps: int) -> tf.Tensor:
    """Returns the centred moving average, with the first and the last step repeated as padding.

    Args:
        values: of shape (batch, steps, features).
        num_steps: kernel size, an odd number.
    """
    width = num_steps // 2
    before = tf.repeat(values[:, :1], width, axis=1)
    after = tf.repeat(values[:, -1:], width, axis=1)
    return tf.nn.avg_pool1d(tf.concat([before, values, after], axis=1), num_steps, 1, "VALID")


class DLinearModel(WindowModel):
    """A linear layer for the trend of a window, and one for the remainder (Zeng et al., 2023).

    All features share the weights. Times are not used.
    """

    def __init__(
        self,
        num_features: int,
        num_exogenous: int,
        input_window_size: int,
        output_window_size: int,
        loss: str,
        l2: float,
        subtract_last: bool = False,
    ):
        """Builds all weights; see `build_model`."""
        super().__init__(num_features, num_exogenous, input_window_size, output_window_size, loss,
                         subtract_last)
        self.num_parts = 2 if self.predicts_variance else 1

        def linear(num_inputs: int, num_outputs: int) -> keras.layers.Dense:
            """Returns a layer initialized with zeros: its untrained weights add no noise."""
            layer = keras.layers.Dense(num_outputs * self.num_parts, kernel_initializer="zeros",
                                       kernel_regularizer=keras.regularizers.L2(l2))
            layer.build((None, num_inputs))
            return layer

        self.trend = linear(input_window_size, output_window_size)
        self.remainder = linear(input_window_size, output_window_size)
        self.covariates = linear(num_exogenous, num_features) if num_exogenous else None
        self.built = True

    def call(
        self, inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor], training: bool = False
    ) -> tf.Tensor:
        """Predicts the last steps of windows from the first ones.

        Args:
            inputs: times, which are not used; exogenous values, used for the steps to predict; and
                values; see `WindowModel`.
            training: has no effect.
        """
        _, exogenous, values = inputs
        known = self.read_inputs(values)
        trend = moving_average(known, TREND_STEPS)
        trend, remainder = (tf.einsum("btf->bft", x) for x in (trend, known - trend))
        outputs = self.trend(trend) + self.remainder(remainder)  # (batch, features, out * parts)
        shape = (-1, self.num_features, self.num_parts, self.num_outputs)
        outputs = tf.einsum("bfpo->bopf", tf.reshape(outputs, shape))
        outputs = tf.reshape(outputs, (-1, self.num_outputs, self.num_parts * self.num_features))
        if self.covariates is not None:
            ahead = exogenous[:, self.num_inputs :]
            if self.subtract_last:
                ahead -= exogenous[:, self.num_inputs - 1, None]
            outputs += self.covariates(ahead)
        return self.complete_window(outputs, values)


class FilterCell(keras.layers.Layer):
    """An RNN cell that predicts a value from the values before it, then reads the true value.

    If a true value is missing, a sample of its prediction replaces it. So missing values, and the
    future, where all values are missing, need no special treatment.
    """

    def __init__(self, num_units: int, model: Forecaster):
        """Builds all weights; the states are the last value and the two states of the LSTM."""
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
        """Computes one step.

        Args:
            inputs: true values, NaN where missing, noise, and exogenous values of the step, of
                shape (batch, 2 * features + exogenous).
            states: see `__init__`.
            training: has no effect.

        Returns:
            The prediction, of shape (batch, 2 * features), and the new states.
        """
        values, noise, exogenous = tf.split(inputs, self.sizes, axis=-1)
        last, *lstm_states = states
        lstm_inputs = tf.concat([last, exogenous], axis=-1)
        output, lstm_states = self.lstm(lstm_inputs, lstm_states, training=training)
        prediction = self.complete(self.linear(output))
        last = tf.where(tf.math.is_finite(values), values, sample(prediction, noise))
        return prediction, [last, *lstm_states]


class LSTMModel(Forecaster):
    """The book's LSTM (section 15.4.1): one LSTM cell and a linear output layer."""

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
        """Predicts every step of windows from the true values before it (teacher forcing).

        Args:
            inputs: times, which are not used, exogenous values and values.
            training: has no effect.
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
        """Reads a history, then a future of missing values; see `WindowModel.roll_out`."""
        paths, end = tf.shape(noise)[0] // tf.shape(values)[0], tf.shape(values)[1]
        history = tf.concat([values, tf.zeros_like(values), exogenous[:, :end]], axis=-1)
        _, *states = self.filter(history, training=False)
        states = [tf.repeat(state, paths, axis=0) for state in states]
        missing = tf.fill(tf.shape(noise), math.nan)
        exogenous = tf.repeat(exogenous[:, end : end + tf.shape(noise)[1]], paths, axis=0)
        future = tf.concat([missing, noise, exogenous], axis=-1)
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
    subtract_last: bool = False,
    log: bool = False,
) -> Forecaster:
    """Builds a model.

    Args:
        num_features: values per step.
        num_exogenous: exogenous values per step.
        model: "ar", "lstm" or "dlinear".
        input_window_size: input steps of ar and dlinear.
        output_window_size: steps that ar and dlinear predict at once.
        periodicities: periods of the time features of ar, in steps, separated by commas.
        num_units: hidden units of the LSTM.
        loss: a key of LOSSES.
        l2: L2 regularization strength of ar and dlinear.
        seed: seed of the initial weights.
        subtract_last: whether ar and dlinear see and predict differences from the last input.
        log: whether the logarithms of the values are modelled.
    """
    keras.utils.set_random_seed(seed)
    columns, sizes = (num_features, num_exogenous), (input_window_size, output_window_size)
    made: Forecaster
    if model == "lstm":
        made = LSTMModel(*columns, num_units, loss)
    elif model == "dlinear":
        made = DLinearModel(*columns, *sizes, loss, l2, subtract_last)
    else:
        periods = [int(period) for period in (periodicities or "").split(",") if period]
        made = ARModel(*columns, *sizes, periods, loss, l2, subtract_last)
    made.log = log
    return made
