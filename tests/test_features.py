"""Networks whose inner layers are read: before or after their ReLU, of Keras or a frozen graph."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from common import features, pretrained
from common.errors import UserError

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 40, 56, 3)).astype(np.float32)
KERNEL = np.random.default_rng(1).normal(size=(3, 3, 3, 4)).astype(np.float32)


def small_network() -> keras.Model:
    """A network with a fused ReLU, one of its own, and a sum."""
    keras.utils.set_random_seed(0)
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", padding="same", name="block1_conv1")(images)
    y = keras.layers.BatchNormalization(name="norm")(x)
    y = keras.layers.ReLU(name="relu")(y)
    return keras.Model(images, keras.layers.Add(name="sum")([x, y]))


def read(network: features.Network, *layers: str) -> list[np.ndarray]:
    return [maps.numpy() for maps in network.extractor(layers)(IMAGES)]


def test_layers_are_read_before_their_relu_unless_asked():
    model = small_network()
    before, after = (features.from_keras(model, "net", post) for post in (False, True))
    assert before.channels == {"block1_conv1": 4, "norm": 4, "relu": 4, "sum": 4}
    fused, own, normalised = read(before, "block1_conv1", "relu", "norm")
    assert fused.shape == (2, 40, 56, 4) and fused.min() < 0
    np.testing.assert_array_equal(own, normalised)
    np.testing.assert_allclose(read(after, "block1_conv1")[0], np.maximum(fused, 0), rtol=1e-6)
    fused, own, of_norm = read(after, "block1_conv1", "relu", "norm")
    np.testing.assert_array_equal(of_norm, own)
    assert own.min() == 0
    np.testing.assert_allclose(read(after, "sum")[0], fused + own, rtol=1e-6)


def test_one_layer_is_a_list_too_and_vggs_paper_names_are_known():
    network = features.from_keras(small_network(), "net")
    (by_paper,), (by_keras,) = read(network, "conv1_1"), read(network, "block1_conv1")
    np.testing.assert_array_equal(by_paper, by_keras)


def test_an_unknown_layer_is_an_error_with_the_nearest_names():
    network = features.from_keras(small_network(), "net")
    with pytest.raises(UserError, match="net has no layer 'block1_conv2'; near it: block1_conv1"):
        network.extractor(["block1_conv2"])


def test_images_are_prepared_before_the_network():
    model = small_network()
    plain = features.from_keras(model, "net")
    halved = features.from_keras(model, "net", prepare=lambda images: images / 2)
    np.testing.assert_allclose(halved.extractor(["norm"])(2 * IMAGES)[0], read(plain, "norm")[0],
                               rtol=1e-4, atol=1e-4)


def test_the_last_maps_are_averaged_over_all_places():
    """Small images are enlarged first, others are not; the classifier is not the last maps."""
    maps = small_network()
    network = features.from_keras(
        features.with_classifier(maps, np.ones((4, 3)), np.zeros(3)), "net", class_names="abc")
    (last,) = read(network, "sum")
    np.testing.assert_allclose(features.make_pooled(network, 40)(IMAGES), last.mean(axis=(1, 2)),
                               rtol=1e-4)
    larger = tf.image.resize(IMAGES, (80, 112))
    expected = network.extractor(["sum"])(larger)[0].numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(features.make_pooled(network, 80)(IMAGES), expected, rtol=1e-4)


def test_the_digest_is_that_of_the_weights():
    model = small_network()
    first = features.from_keras(model, "net").digest
    assert features.from_keras(model, "other").digest == first
    model.get_layer("block1_conv1").bias.assign_add([1, 0, 0, 0])
    assert features.from_keras(model, "net").digest != first


def test_a_files_classifier_becomes_the_layer_logits(tmp_path):
    keras.utils.set_random_seed(3)
    whole = pretrained.NETWORKS["MobileNet"].build(
        weights=None, classes=7, classifier_activation=None, alpha=0.25, input_shape=(224, 224, 3))
    whole.save_weights(path := tmp_path / "mobilenet.weights.h5")
    network = features.open_application("MobileNet", str(path), 0.25)
    assert network.class_names == tuple("0123456") and network.channels["logits"] == 7
    images = np.random.default_rng(0).uniform(0, 255, (1, 224, 224, 3)).astype(np.float32)
    (logits,) = network.extractor(["logits"])(images)
    np.testing.assert_allclose(logits[:, 0, 0], whole(images / 127.5 - 1, training=False),
                               rtol=1e-3, atol=1e-5)


def test_a_file_without_a_classifier_opens_without_one(tmp_path):
    maps = pretrained.build_maps("MobileNet", None, 0.25)
    maps.save_weights(path := tmp_path / "maps.weights.h5")
    network = features.open_application("MobileNet", str(path), 0.25)
    assert "logits" not in network.channels and network.class_names == ()


def test_alpha_is_for_mobilenets():
    with pytest.raises(UserError, match=r"--alpha 0\.5 is for a MobileNet"):
        features.open_application("VGG16", "none", 0.5)


def test_the_shared_mobilenet_names_what_it_sees(real_data):
    from common.images import read_image

    path = real_data("pretrained/mobilenet_v1_0.75_224.weights.h5")
    network = features.open_application("MobileNet", str(path), 0.75)
    goldfish = read_image(real_data("imagenet_photos/n01443537_goldfish.JPEG"))
    (logits,) = network.extractor(["logits"])(tf.image.resize(goldfish, (224, 224))[None])
    assert network.class_names[int(tf.argmax(logits[0, 0, 0]))] == "goldfish"


# Frozen graphs


def write_graph(path: Path, placeholders: int = 1, dtype: tf.DType = tf.float32) -> Path:
    """Writes a frozen graph with a convolution and a ReLU, named as in the book's graph."""
    with tf.Graph().as_default() as graph:
        for number in range(placeholders):
            name = f"input{number or ''}"
            images = tf.compat.v1.placeholder(dtype, (None, None, None, 3), name)
        images = tf.cast(images, tf.float32)
        maps = tf.nn.conv2d(images, KERNEL, 1, "SAME", name="mixed_pre_relu/conv")
        maps = tf.nn.bias_add(maps, np.arange(4, dtype=np.float32), name="mixed_pre_relu")
        tf.reduce_mean(tf.nn.relu(maps, name="mixed"), axis=(1, 2), name="pooled")
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def test_a_frozen_graph_is_read_with_gradients(tmp_path):
    network = features.open_graph(write_graph(tmp_path / "graph.pb"), 117.0)
    assert network.channels == {"mixed_pre_relu/conv": 4, "mixed_pre_relu": 4, "mixed": 4}
    expected = tf.nn.conv2d(IMAGES - 117, KERNEL, 1, "SAME") + np.arange(4, dtype=np.float32)
    before, same = read(network, "mixed", "mixed_pre_relu")
    np.testing.assert_allclose(before, expected, rtol=1e-4, atol=1e-2)
    np.testing.assert_array_equal(before, same)
    after = features.open_graph(tmp_path / "graph.pb", 117.0, post_activation=True)
    np.testing.assert_allclose(read(after, "mixed")[0], np.maximum(before, 0))
    # The gradient of a linear network is its kernel: here of channel 2 at one place.
    picture = tf.Variable(IMAGES[:1])
    with tf.GradientTape() as tape:
        activation = network.extractor(["mixed"])(picture)[0][0, 10, 20, 2]
    gradient = tape.gradient(activation, picture)[0].numpy()
    np.testing.assert_allclose(gradient[9:12, 19:22], KERNEL[..., 2], rtol=1e-5)
    assert np.count_nonzero(gradient) == 27


@pytest.mark.parametrize(("options", "says"), [
    ({"placeholders": 2}, "has no placeholder of float32 alone, but: input, input1"),
    ({"placeholders": 1, "dtype": tf.uint8}, "has no placeholder of float32 alone, but: input"),
])
def test_a_graph_without_one_placeholder_for_floats_is_an_error(tmp_path, options, says):
    with pytest.raises(UserError, match=says):
        features.open_graph(write_graph(tmp_path / "graph.pb", **options), 117.0)


def test_what_is_no_graph_is_an_error(tmp_path):
    (path := tmp_path / "graph.pb").write_bytes(b"\xff\xd8 a picture")
    with pytest.raises(UserError, match="is not a frozen graph"):
        features.open_graph(path, 117.0)
    with pytest.raises(UserError, match="cannot read"):
        features.open_graph(tmp_path / "absent.pb", 117.0)
