"""Reading, decoding, writing and arranging images."""

import importlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from common import images
from common.errors import UserError

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def saved(path, image, **options):
    image.save(path, **options)
    return path


def test_read_image_in_every_mode(tmp_path):
    rgb = Image.fromarray(RGB)
    np.testing.assert_array_equal(images.read_image(saved(tmp_path / "rgb.png", rgb)), RGB)
    grey = saved(tmp_path / "grey.png", rgb.convert("L"))
    np.testing.assert_array_equal(images.read_image(grey, "L"), np.asarray(rgb.convert("L")))
    assert images.read_image(grey).shape == (5, 7, 3)
    palette = rgb.quantize(8)
    found = images.read_image(saved(tmp_path / "palette.gif", palette))
    np.testing.assert_array_equal(found, np.asarray(palette.convert("RGB")))


def test_read_image_composites_on_white(tmp_path):
    rgba = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [0, 0, 0, 51]]], np.uint8)
    found = images.read_image(saved(tmp_path / "a.png", Image.fromarray(rgba)))
    np.testing.assert_array_equal(found, [[[200, 100, 0], [255] * 3, [204] * 3]])
    kept = images.read_image(tmp_path / "a.png", keep_alpha=True)
    np.testing.assert_array_equal(kept, rgba)
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    found = images.read_image(saved(tmp_path / "p.png", palette, transparency=1))
    np.testing.assert_array_equal(found, [[[10, 20, 30], [255] * 3]])
    opaque = saved(tmp_path / "opaque.png", Image.fromarray(RGB))
    assert images.read_image(opaque, keep_alpha=True).shape == RGB.shape


@pytest.mark.parametrize(("mode", "kind"), [
    ("RGB", "PNG"), ("RGBA", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("RGB", "JPEG"),
    ("L", "JPEG"), ("RGB", "BMP"), ("P", "GIF"),
])
def test_decoding_in_a_graph_equals_read_image(tmp_path, mode, kind):
    colours = np.random.default_rng(0).integers(0, 256, (60, 50, 4), np.uint8)
    path = tmp_path / "image"
    Image.fromarray(colours, "RGBA").convert(mode).save(path, kind)
    decode = tf.function(images.decode_on_white, input_signature=[tf.TensorSpec((), tf.string)])
    found = decode(path.read_bytes()).numpy()
    np.testing.assert_array_equal(found, images.read_image(path))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("endian", ["<", ">"])
def test_decoding_in_a_graph_applies_the_exif_orientation(tmp_path, kind, endian):
    wide = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    decode = tf.function(images.decode_on_white, input_signature=[tf.TensorSpec((), tf.string)])
    exif = Image.Exif()
    exif.endian = endian
    exif[0x010F] = "maker 相机"
    for orientation in range(10):  # 1 to 8 are defined
        exif[0x0112] = orientation
        path = saved(tmp_path / "a", wide, format=kind, exif=exif.tobytes())
        found = decode(path.read_bytes()).numpy()
        np.testing.assert_array_equal(found, images.read_image(path))
        assert (found.shape == (60, 40, 3)) == (5 <= orientation <= 8)


@pytest.mark.parametrize("animated", [False, True])
def test_decoding_in_a_graph_refuses_webp(tmp_path, animated):
    more = {"save_all": True, "append_images": [Image.new("RGB", (7, 5))]} if animated else {}
    encoded = saved(tmp_path / "a.webp", Image.fromarray(RGB), **more).read_bytes()
    decode = tf.function(images.decode_on_white, input_signature=[tf.TensorSpec((), tf.string)])
    for read in (decode, images.decode_on_white):
        with pytest.raises(tf.errors.InvalidArgumentError, match="WebP is not supported"):
            read(encoded)
        for nothing in (b"", b"x", b"RIFF"):
            with pytest.raises(tf.errors.InvalidArgumentError):
                read(nothing)


def test_read_image_is_silent_in_threads(tmp_path, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 1
    path = saved(tmp_path / "odd.jpg", Image.fromarray(RGB), exif=exif.tobytes()[:-3])
    with pytest.warns(UserWarning, match="Corrupt EXIF"):
        ImageOps.exif_transpose(Image.open(path))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        importlib.reload(images)  # pytest removes the filters that imports set
        before = list(warnings.filters)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(images.read_image, [path] * 100))
        assert len(found) == 100 and told == [] and warnings.filters == before


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_read_image_refuses_32_bits(tmp_path, kind):
    path = saved(tmp_path / "deep.tif", Image.fromarray(np.array([[0, 256, 70000]], kind)))
    with pytest.raises(UserError, match=r"deep.tif has grey values of 32 bits \(mode [IF]\)"):
        images.read_image(path)


def test_read_image_scales_16_bits(tmp_path):
    deep = Image.fromarray(np.array([[0, 256, 32768, 65535]], np.uint16))
    found = images.read_image(saved(tmp_path / "deep.png", deep), "L")
    np.testing.assert_array_equal(found, [[0, 1, 128, 255]])


def test_read_image_applies_the_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise to display
    lying = np.zeros((16, 32, 3), np.uint8)
    lying[:, :16] = 255
    path = saved(tmp_path / "a.jpg", Image.fromarray(lying), exif=exif, quality=95)
    found = images.read_image(path)
    assert found.shape == (32, 16, 3)
    assert found[:12].min() > 200 and found[20:].max() < 50


@pytest.mark.parametrize("content", [b"", b"no image", b"PNG", b"JPEG"])
def test_read_image_refuses_what_is_no_image(tmp_path, content):
    path = tmp_path / "a.png"
    if content in (b"PNG", b"JPEG"):
        saved(path, Image.fromarray(RGB).resize((64, 64)), format=content.decode())
        content = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path} is not a readable image"):
        images.read_image(path)


def test_read_image_refuses_missing_files_and_folders(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        images.read_image(tmp_path / "a.png")
    with pytest.raises(UserError, match="is not a readable image"):
        images.read_image(tmp_path)


def test_read_image_does_not_wait_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "管 道.png")
    for path in (tmp_path / "管 道.png", Path("/dev/null")):
        with pytest.raises(UserError, match=f"{path} is a pipe or a device"):
            images.read_image(path)


def test_read_image_refuses_bombs(tmp_path, monkeypatch):
    path = saved(tmp_path / "bomb.png", Image.new("1", (13_000, 13_000)))
    assert path.stat().st_size < 40_000
    with pytest.raises(UserError, match="has 13000 x 13000 pixels, more than 64,000,000") as error:
        images.read_image(path)
    assert "DL21_MAX_PIXELS" in error.value.hint
    path = saved(tmp_path / "a.png", Image.fromarray(RGB))
    monkeypatch.setenv("DL21_MAX_PIXELS", "35")
    assert images.read_image(path).shape == (5, 7, 3)
    monkeypatch.setenv("DL21_MAX_PIXELS", "34")
    with pytest.raises(UserError, match="has 7 x 5 pixels, more than 34"):
        images.read_image(path)
    for wrong in ("1e8", "many", "0", "-1", "9" * 5000):
        monkeypatch.setenv("DL21_MAX_PIXELS", wrong)
        with pytest.raises(UserError, match=f"^the .* variable DL21_MAX_PIXELS is '{wrong}"):
            images.read_image(path)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3)])
def test_write_png_and_back(tmp_path, shape):
    image = RGB[..., : shape[-1] if len(shape) == 3 else 1].reshape(shape)
    path = tmp_path / "new" / "a.png"
    images.write_png(path, image)
    found = images.read_image(path, "RGB" if shape[-1] == 3 else "L")
    np.testing.assert_array_equal(found.reshape(shape), image)


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_grid_arranges_images_in_rows(channels):
    batch = np.stack([np.full((2, 3, *channels), number, np.uint8) for number in range(5)])
    sheet = images.grid(batch, columns=3, gap=1)
    assert sheet.shape == (7, 13, *channels) and sheet.dtype == np.uint8
    assert (sheet[1:3, 5:8] == 1).all() and (sheet[4:6, 1:4] == 3).all()
    assert (sheet[4:6, 9:12] == 255).all() and (sheet[0] == 255).all()


def test_a_folder_is_listed_in_order_without_hidden_files(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / ".thumbnails").mkdir()
    paths = [tmp_path / name for name in ("b.png", "一.jpg", "sub/c.png", ".hidden",
                                          ".thumbnails/d.png")]
    for path in paths:
        path.touch()
    assert images.list_folder(tmp_path) == [tmp_path / "b.png", tmp_path / "一.jpg"]
    assert images.list_folder(tmp_path, recursive=True) == sorted(paths[:3])
