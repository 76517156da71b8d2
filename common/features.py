"""Networks whose inner layers are read: what chapters 4 and 7 see pictures through.

A layer is read before its ReLU by default. After it, a unit that is 0 everywhere has no gradient. A
sum or a concatenation, such as mixed4 of Inception, is read as it is.
"""

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from google.protobuf.message import DecodeError

from common import files, pretrained
from common.errors import UserError
from common.weights_files import VGG_LAYER, classifier_values

# Layers whose outputs are feature maps worth reading; ReLUs are read by their inputs.
READ = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D,
        keras.layers.BatchNormalization, keras.layers.Add, keras.layers.Concatenate)
RELU = (keras.layers.ReLU, keras.layers.Activation)
LOGITS = "logits"  # the layer of the classifier: feature maps of one pixel, a channel per class


class Extractor(tf.Module):
    """Reads layers of a network; it holds the network's weights, so that exports find them."""

    def __init__(self, function: Callable[[tf.Tensor], Any], weights: Any):
        """Stores a function from images to the feature maps, and what holds its weights."""
        super().__init__()
        self.function, self.weights = function, weights

    def __call__(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Returns feature maps, in inference mode.

        Args:
            images: RGB, float32 of shape (batch, height, width, 3) in [0, 255], of any size.

        Returns:
            One tensor per layer, float32 of shape (batch, height', width', channels).
        """
        return tf.nest.flatten(self.function(images))


class Network(NamedTuple):
    """A trained network whose inner layers are read.

    Attributes:
        name: what messages call it.
        channels: the number of channels of each layer, by name, in the order of the network.
        extractor: makes the extractor of some layers by their names; raises UserError for one that
            does not exist.
        digest: sha256 of the weights.
        class_names: of the channels of the layer "logits", empty without a classifier.
    """

    name: str
    channels: dict[str, int]
    extractor: Callable[[Sequence[str]], Extractor]
    digest: str
    class_names: tuple[str, ...] = ()


def find(layer: str, channels: dict[str, int], name: str) -> str:
    """Returns the name of a layer; conv3_2 of the VGG papers is block3_conv2 in Keras.

    Raises:
        UserError: there is no such layer; the message has the nearest names.
    """
    by_paper = {VGG_LAYER.sub(r"conv\1_\2", found): found for found in channels}
    for names in (channels, by_paper):
        if layer in names:
            return layer if names is channels else by_paper[layer]
    near = difflib.get_close_matches(layer, channels, 5, 0.3) or list(channels)[-5:]
    raise UserError(f"{name} has no layer {layer!r}; near it: {', '.join(near)}",
                    "python layers.py in chapter04_deepdream lists all layers of a network")


def from_keras(
    model: keras.Model, name: str, post_activation: bool = False, class_names: Sequence[str] = (),
    prepare: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> Network:
    """Makes a network of a functional Keras model of images of any size.

    Args:
        model: the network.
        name: what messages call it.
        post_activation: whether layers are read after their ReLU.
        class_names: of the model's layer "logits", if it has one.
        prepare: maps images in [0, 255] to what the model takes, if that is not in its graph.
    """
    found = {layer.name: layer for layer in model.layers
             if isinstance(layer, READ + RELU) and len(layer.output.shape) == 4}
    channels = {layer.name: layer.output.shape[-1] for layer in found.values()}
    after_relu = {id(layer.input): layer.output for layer in found.values()
                  if isinstance(layer, RELU)}

    def output(layer: keras.Layer) -> keras.KerasTensor:
        if post_activation:
            return after_relu.get(id(layer.output), layer.output)
        if isinstance(layer, RELU):
            return layer.input
        if getattr(layer, "activation", keras.activations.linear) is keras.activations.linear:
            return layer.output
        linear = type(layer).from_config(
            layer.get_config() | {"activation": "linear", "name": f"{layer.name}_before_relu"})
        maps = linear(layer.input)
        linear.set_weights(layer.get_weights())
        return maps

    def extractor(names: Sequence[str]) -> Extractor:
        outputs = [output(found[find(layer, channels, name)]) for layer in names]
        reader = keras.Model(model.inputs[0], outputs)
        return Extractor(lambda images: reader(prepare(images), training=False), reader)

    digest = files.sha256(*model.get_weights())
    return Network(name, channels, extractor, digest, tuple(class_names))


def with_classifier(maps: keras.Model, kernel: Any, bias: Any) -> keras.Model:
    """Puts the classifier of a network behind its last feature maps, as the layer "logits".

    Args:
        maps: from `pretrained.build_maps`, or another model that ends in feature maps.
        kernel: of shape (channels, classes); it is applied to `pretrained.pool` of the maps.
        bias: of shape (classes,).
    """
    logits = keras.layers.Conv2D(len(bias), 1, name=LOGITS)
    model = keras.Model(maps.inputs, logits(pretrained.pool(maps, keepdims=True)))
    logits.set_weights([kernel[None, None], bias])
    return model


def make_pooled(network: Network, size: int) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function from images to vectors: the last feature maps, averaged over all places.

    Args:
        network: the network.
        size: pixels to which the shorter side of smaller images is enlarged, since deep layers of
            small images see little.

    Returns:
        A function from RGB images, float32 of shape (batch, height, width, 3) in [0, 255], to
        float32 of shape (batch, channels).
    """
    layer = [name for name in network.channels if name != LOGITS][-1]
    extractor = network.extractor([layer])

    @tf.function(reduce_retracing=True)
    def pooled(images: tf.Tensor) -> tf.Tensor:
        sides = tf.cast(tf.shape(images)[1:3], tf.float32)
        scale = tf.maximum(1.0, size / tf.reduce_min(sides))
        larger = tf.image.resize(images, tf.cast(tf.round(sides * scale), tf.int32))
        return tf.reduce_mean(extractor(larger)[0], axis=(1, 2))

    return pooled


def open_application(
    name: str, weights: str, alpha: float | None = None, post_activation: bool = False
) -> Network:
    """Opens a network of keras.applications.

    Args:
        name: one of `pretrained.NETWORKS`.
        weights: see `pretrained.load`; if a file has the classifier, so has the network.
        alpha: of a MobileNet; None is 1.
        post_activation: see `from_keras`.

    Raises:
        UserError: the weights cannot be read, or do not fit.
    """
    try:
        model = pretrained.build_maps(name, None, alpha)
    except ValueError as error:
        raise UserError(str(error), "omit --alpha") from error
    pretrained.load(model, weights, name, alpha)
    head = None
    if weights not in ("imagenet", "hed", "none"):
        head = classifier_values(Path(weights), model.layers, model.output_shape[-1])
    names = ()
    if head:
        model = with_classifier(model, *head)
        names = pretrained.class_names(Path(weights).parent, len(head[1]))
    return from_keras(model, name, post_activation, names)


def open_graph(path: Path, mean: float, post_activation: bool = False) -> Network:
    """Opens a frozen graph of TensorFlow 1, such as the book's tensorflow_inception_graph.pb.

    Args:
        path: the file, a serialized GraphDef with one placeholder for float32 images.
        mean: what the graph wants subtracted from images in [0, 255].
        post_activation: see `from_keras`.

    Raises:
        UserError: it is not such a graph.
    """
    hint = "give a frozen graph (.pb) with one placeholder for images"
    definition = tf.compat.v1.GraphDef()
    try:
        definition.ParseFromString(data := path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", hint) from error
    except DecodeError as error:
        raise UserError(f"{path} is not a frozen graph", hint) from error
    inputs = [node for node in definition.node if node.op == "Placeholder"]
    if len(inputs) != 1 or inputs[0].attr["dtype"].type != tf.float32.as_datatype_enum:
        names = ", ".join(node.name for node in inputs) or "none"
        raise UserError(f"{path} has no placeholder of float32 alone, but: {names}", hint)

    def run(images: tf.Tensor) -> None:
        tf.import_graph_def(definition, {f"{inputs[0].name}:0": images}, name="")

    images = tf.TensorSpec((None, None, None, 3), tf.float32)
    try:
        wrapped = tf.compat.v1.wrap_function(run, [images])
    except (ValueError, tf.errors.OpError) as error:
        raise UserError(f"{path} cannot be used on images of (batch, height, width, 3): "
                        f"{str(error).splitlines()[0]}", hint) from error
    tensors = {op.name: op.outputs[0] for op in wrapped.graph.get_operations()
               if op.type not in ("Const", "Identity", "Placeholder") and op.outputs
               and op.outputs[0].dtype == tf.float32 and op.outputs[0].shape.rank == 4
               and op.outputs[0].shape[-1]}
    channels = {layer: tensor.shape[-1] for layer, tensor in tensors.items()}

    def extractor(names: Sequence[str]) -> Extractor:
        read = [tensors[find(layer, channels, path.name)] for layer in names]
        if not post_activation:
            read = [t.op.inputs[0] if t.op.type in ("Relu", "Relu6") else t for t in read]
        graph = wrapped.prune(wrapped.inputs, read)
        return Extractor(lambda images: graph(tf.convert_to_tensor(images) - mean), graph)

    return Network(path.name, channels, extractor, files.sha256(data))
