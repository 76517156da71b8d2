"""Networks that write a caption: Show and Tell, and Show, Attend and Tell; their losses.

Both are LSTMs that predict the next word. They differ in how they see the picture, which an encoder
has turned into feature vectors, one for each place of a grid:

- "tell" (Vinyals et al. 2015) sees the mean over all places: as the first input of the LSTM, before
  the first word (`context` "initial"), or beside every word ("every_step").
- "attend" (Xu et al. 2015) looks at the places again for each word, with soft attention.
- "attributes" (Wu et al. 2016) is "tell" whose picture is a vector of words that are probably in
  the caption: "maps" of a single place.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

MODELS = ("tell", "attend", "attributes")
CONTEXTS = ("initial", "every_step")
RANGE = 0.08  # initial weights of the original are uniform in [-RANGE, RANGE]
FORGET_BIAS = 1.0  # of TensorFlow 1's BasicLSTMCell

State = list[tf.Tensor]  # output and cell state, each of shape (batch, units)


class Sizes(NamedTuple):
    """What a captioner is built from.

    Attributes:
        model: one of MODELS.
        context: one of CONTEXTS; "attend" has no choice.
        vocabulary: number of words.
        channels: of the encoder's feature vectors; of "attributes", the number of attributes.
        embedding_size: of words, and of the picture as an input.
        units: of the LSTM.
        image_dropout: of the picture's vector.
        dropout: of the LSTM's inputs and outputs.
    """

    model: str
    context: str
    vocabulary: int
    channels: int
    embedding_size: int
    units: int
    image_dropout: float
    dropout: float


def uniform() -> keras.Initializer:
    """Returns the original's initializer."""
    return keras.initializers.RandomUniform(-RANGE, RANGE)


def lstm(projected: tf.Tensor, state: State) -> State:
    """Computes one step of an LSTM from its summed projections, of shape (batch, 4 · units)."""
    _, cell = state
    i, g, f, o = tf.split(projected, 4, axis=1)
    cell = tf.sigmoid(f + FORGET_BIAS) * cell + tf.sigmoid(i) * tf.tanh(g)
    return [tf.sigmoid(o) * tf.tanh(cell), cell]


class Captioner(keras.Model):
    """The decoder: an LSTM from feature vectors and words to the next words."""

    def __init__(self, sizes: Sizes):
        """Creates all layers and their weights."""
        super().__init__(name="captioner")
        self.sizes = sizes
        units, size = sizes.units, sizes.embedding_size
        layer = keras.layers.Dense
        self.embedding = keras.layers.Embedding(sizes.vocabulary, size, uniform())
        self.word_gates = layer(4 * units, kernel_initializer=uniform(), name="word_gates")
        self.state_gates = layer(4 * units, use_bias=False, kernel_initializer="orthogonal",
                                 name="state_gates")
        self.classifier = layer(sizes.vocabulary, kernel_initializer=uniform(), name="classifier")
        self.image_dropout = keras.layers.Dropout(sizes.image_dropout)
        self.input_dropout = keras.layers.Dropout(sizes.dropout)
        self.output_dropout = keras.layers.Dropout(sizes.dropout)
        built = [(self.embedding, None), (self.word_gates, size), (self.state_gates, units),
                 (self.classifier, units)]
        if sizes.model == "attend":
            built += self._create_attention()
        else:
            self.image = layer(size, use_bias=False, kernel_initializer=uniform(), name="image")
            built.append((self.image, sizes.channels))
            if sizes.context == "every_step":
                self.context_gates = layer(4 * units, use_bias=False, name="context_gates")
                built.append((self.context_gates, size))
        for part, width in built:
            part.build((None, width))
        self.built = True

    def _create_attention(self) -> list[tuple[keras.Layer, int]]:
        """Creates the layers of soft attention; returns each with the size of its inputs."""
        units, channels, size = self.sizes.units, self.sizes.channels, self.sizes.embedding_size
        layer = keras.layers.Dense
        self.first_state = layer(2 * units, "tanh", name="first_state")
        self.keys = layer(units, use_bias=False, name="keys")
        self.query = layer(units, name="query")
        self.score = layer(1, use_bias=False, name="score")
        self.gate = layer(1, "sigmoid", name="gate")
        self.context_gates = layer(4 * units, use_bias=False, name="context_gates")
        self.context_output = layer(units, use_bias=False, name="context_output")
        self.word_output = layer(units, use_bias=False, name="word_output")
        return [(self.first_state, channels), (self.keys, channels), (self.query, units),
                (self.score, units), (self.gate, units), (self.context_gates, channels),
                (self.context_output, channels), (self.word_output, size)]

    def begin(self, features: tf.Tensor, training: bool) -> tuple[State, Any]:
        """Returns the state before the first word, and what the decoder sees at each word.

        Args:
            features: float32 of shape (batch, places, channels).
            training: whether dropout is on.
        """
        mean = self.image_dropout(tf.reduce_mean(features, axis=1), training=training)
        zero = tf.zeros((tf.shape(features)[0], self.sizes.units))
        if self.sizes.model == "attend":
            return tf.split(self.first_state(mean), 2, axis=1), (features, self.keys(features))
        image = self.input_dropout(self.image(mean), training=training)
        if self.sizes.context == "every_step":
            return [zero, zero], self.context_gates(image)
        return lstm(self.word_gates(image), [zero, zero]), ()

    def attend(self, output: tf.Tensor, seen: tuple[tf.Tensor, tf.Tensor]
               ) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes soft attention (Xu et al. 2015, § 4.2).

        Args:
            output: the LSTM's last output, of shape (batch, units).
            seen: feature vectors and keys, of shapes (batch, places, …).

        Returns:
            The context, of shape (batch, channels), times the gate β, and the weights α of all
            places, of shape (batch, places).
        """
        features, keys = seen
        scores = self.score(tf.tanh(keys + self.query(output)[:, None]))[..., 0]
        weights = tf.nn.softmax(scores)
        return self.gate(output) * tf.linalg.matvec(features, weights, transpose_a=True), weights

    def step(self, projected: tf.Tensor, state: State, seen: Any
             ) -> tuple[tf.Tensor, State, tf.Tensor]:
        """Computes one step.

        Args:
            projected: the word, through the layer `word_gates`.
            state: of the LSTM.
            seen: from `begin`.

        Returns:
            What the classifier needs, of shape (batch, units); the new state; and the weights of
            the places, of shape (batch, places), or (batch, 1) without attention.
        """
        total = projected + self.state_gates(state[0])
        if self.sizes.model == "attend":
            context, weights = self.attend(state[0], seen)
            state = lstm(total + self.context_gates(context), state)
            return state[0] + self.context_output(context), state, weights
        if self.sizes.context == "every_step":
            total = total + seen
        state = lstm(total, state)
        return state[0], state, tf.ones_like(state[0][:, :1])

    def next_word(self, tokens: tf.Tensor, state: State, seen: Any
                  ) -> tuple[tf.Tensor, State, tf.Tensor]:
        """Returns logits of the next word, (batch, vocabulary), the new state, and the weights."""
        embedded = self.embedding(tokens)
        output, state, weights = self.step(self.word_gates(embedded), state, seen)
        if self.sizes.model == "attend":
            output = output + self.word_output(embedded)
        return self.classifier(output), state, weights

    def call(self, features: tf.Tensor, inputs: tf.Tensor, training: bool = False
             ) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads whole captions.

        Args:
            features: float32 of shape (batch, places, channels).
            inputs: captions that begin with the start symbol, int32 of shape (batch, time).
            training: whether dropout is on.

        Returns:
            What `logits` takes, of shape (batch, time, units), and the weights of the places, of
            shape (batch, time, places).
        """
        state, seen = self.begin(features, training)
        embedded = self.input_dropout(self.embedding(inputs), training=training)
        # Project all words at once, time first, so that the loop has one small product a step.
        words = tf.transpose(self.word_gates(embedded), (1, 0, 2))
        steps = tf.shape(words)[0]
        arrays = [tf.TensorArray(tf.float32, steps, element_shape=shape) for shape in
                  ((None, self.sizes.units), (None, None))]

        def body(time, state, outputs, weights):
            output, state, seen_at = self.step(words[time], state, seen)
            return time + 1, state, outputs.write(time, output), weights.write(time, seen_at)

        _, _, outputs, weights = tf.while_loop(lambda time, *_: time < steps, body,
                                               (0, state, *arrays))
        outputs = tf.transpose(outputs.stack(), (1, 0, 2))
        if self.sizes.model == "attend":
            outputs = outputs + self.word_output(embedded)  # the paper's deep output layer
        outputs = self.output_dropout(outputs, training=training)
        return outputs, tf.transpose(weights.stack(), (1, 0, 2))


def caption_loss(logits: tf.Tensor, words: tf.Tensor) -> tf.Tensor:
    """Computes Σ CE · mask / Σ mask, from the positions that count: the mean over words, in nats.

    Args:
        logits: of shape (words, vocabulary).
        words: ids of shape (words,).
    """
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(words, logits))


def doubly_stochastic(weights: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Computes Σ_i (1 − Σ_t α_ti)², the mean over captions (Xu et al. 2015, eq. 14).

    The weights of a word sum to 1 over the places i. The penalty asks the weights of a place to sum
    to 1 over the words t: every place is looked at.

    Args:
        weights: α, of shape (batch, time, places).
        mask: which positions count, bool of shape (batch, time).
    """
    looked = tf.reduce_sum(tf.where(mask[..., None], weights, 0.0), axis=1)  # (batch, places)
    return tf.reduce_mean(tf.reduce_sum((1 - looked) ** 2, axis=1))


def build_small_encoder(size: int, width: int) -> keras.Model:
    """Builds a small convolutional encoder that is trained along.

    Two channels tell each place where it is (Liu et al. 2018, CoordConv): captions of scenes say
    what is above and what is left.

    Args:
        size: height and width of the pictures in pixels.
        width: channels of the first convolution.

    Returns:
        A model from float32 RGB images of shape (batch, size, size, 3) in [0, 255] to feature
        vectors of shape (batch, (size / 8)², 4 · width).
    """
    pictures = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(pictures)
    x = Coordinates()(x)
    for block, channels in enumerate((width, 2 * width, 4 * width)):
        x = keras.layers.Conv2D(channels, 3, 2, "same", use_bias=False, name=f"conv{block}")(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.Conv2D(4 * width, 3, padding="same", activation="relu", name="conv3")(x)
    return keras.Model(pictures, keras.layers.Reshape((-1, 4 * width))(x), name="encoder")


class Coordinates(keras.Layer):
    """Adds two channels: row and column of each place, from -1 to 1."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns x of shape (batch, height, width, channels + 2)."""
        shape = tf.shape(x)
        rows, columns = (tf.linspace(-1.0, 1.0, shape[axis]) for axis in (1, 2))
        grid = tf.stack(tf.meshgrid(rows, columns, indexing="ij"), axis=-1)[None]
        return tf.concat([x, tf.tile(grid, (shape[0], 1, 1, 1))], axis=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape with two more channels."""
        return (*shape[:-1], shape[-1] + 2)
