"""The N-to-1 network: an LSTM reads a sequence to its own end, a linear layer names its class."""

import keras
import tensorflow as tf


class SequenceClassifier(keras.Model):
    """One LSTM layer and a linear one on its last output (book, chapter 13).

    A batch is as long as its longest sequence. Where a shorter one has ended, the mask keeps the
    state as it is: what the linear layer gets is the output of the last true step, whatever the
    numbers behind it are. A mask by value (`keras.layers.Masking`) would not do: 0 is a number
    that sequences hold.
    """

    def __init__(self, num_features: int, num_classes: int, lstm_size: int, seed: int):
        """Builds all weights; see `build_model`."""
        super().__init__()
        self.lstm = keras.layers.LSTM(lstm_size)
        self.classifier = keras.layers.Dense(
            num_classes,
            kernel_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=seed),
            bias_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=seed + 1),
        )
        self.lstm.build((None, None, num_features))
        self.classifier.build((None, lstm_size))
        self.built = True

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns logits of shape (batch, num_classes).

        Args:
            inputs: `(sequences, lengths)`, float32 (batch, time, num_features) in [0, 1] and int64
                (batch,), from 1 to time.
            training: makes no difference here; nothing is dropped.
        """
        sequences, lengths = inputs
        mask = tf.sequence_mask(lengths, tf.shape(sequences)[1])  # (batch, time)
        last = self.lstm(sequences, mask=mask, training=training)  # (batch, lstm_size)
        return self.classifier(last)


def build_model(
    num_features: int = 1, num_classes: int = 2, lstm_size: int = 64, seed: int = 0
) -> SequenceClassifier:
    """Builds the network; with these defaults the book's, 17,026 parameters.

    Args:
        num_features: numbers a step.
        num_classes: logits.
        lstm_size: units of the LSTM.
        seed: seed of the weights. Those of the linear layer are from a normal of deviation 1, the
            biases too, as in the book.
    """
    keras.utils.set_random_seed(seed)
    return SequenceClassifier(num_features, num_classes, lstm_size, seed)
