"""Appendix C: every operation against a second implementation, optimizers against Keras."""

import colorsys
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import scipy.stats
from PIL import Image

from appendix_c_image_processing import (
    binary,
    blur,
    contact_sheet,
    contours,
    corners,
    filters,
    heat_map,
    histograms,
    hit_or_miss,
    morphology,
    operations,
    optimizers,
    pictures,
    rotate,
    skeleton,
    update_rules,
    video_frames,
)
from appendix_c_image_processing.operations import OPERATIONS
from common import video

PHOTOGRAPH, DRAWING = pictures.photograph()[100:260, 80:320], pictures.drawing()
SHAPES = operations.foreground(DRAWING)
NOISE = np.random.default_rng(0).random((50, 61)) < 0.5
STRUCTURES = [binary.SQUARE, binary.CROSS, binary.RIGHT]
SCRIPTS = [heat_map, blur, rotate, contours, corners, histograms, morphology, hit_or_miss, skeleton]


def largest_difference(left, right):
    return np.abs(np.asarray(left, float) - np.asarray(right, float)).max()


# ---------------------------------------------------------------- filters


def test_grey_is_that_of_opencv():
    assert largest_difference(filters.grey(PHOTOGRAPH),
                              cv2.cvtColor(PHOTOGRAPH, cv2.COLOR_RGB2GRAY)) <= 1


@pytest.mark.parametrize(("size", "sigma"), [(3, 3.0), (25, 6.0)])
def test_blur_is_that_of_opencv_and_scipy(size, sigma):
    ours = operations.blur(PHOTOGRAPH, size, sigma)
    assert largest_difference(ours, cv2.GaussianBlur(PHOTOGRAPH, (size, size), sigma)) <= 1
    exact = filters.gaussian_filter(PHOTOGRAPH, size, sigma)
    theirs = scipy.ndimage.gaussian_filter(PHOTOGRAPH.astype(float), sigma, mode="mirror",
                                           axes=(0, 1), radius=size // 2)
    assert largest_difference(exact, theirs) < 1e-10


def test_a_separated_kernel_is_the_whole_one():
    down, right = np.array([1.0, 5.0, -2.0]), np.array([0.5, 0.0, 3.0, 1.0])  # of even size, too
    grey = filters.grey(PHOTOGRAPH)
    separated = filters.correlate_axis(filters.correlate_axis(grey, down, 0), right, 1)
    assert largest_difference(separated, filters.correlate(grey, np.outer(down, right))) < 1e-9
    inside = scipy.signal.correlate2d(grey.astype(float), np.outer(down, right), "valid")
    assert largest_difference(separated[1:-1, 2:-1], inside) < 1e-9


@pytest.mark.parametrize("size", [3, 5, 23, 31])
def test_sobel_kernels_are_those_of_opencv(size):
    derivative, smoothing = cv2.getDerivKernels(1, 0, size, ktype=cv2.CV_64F)
    ours = filters.sobel_kernels(size)
    np.testing.assert_array_equal(ours[0], smoothing[:, 0])
    np.testing.assert_array_equal(ours[1], derivative[:, 0])


@pytest.mark.parametrize(("block", "aperture"), [(2, 23), (2, 3), (3, 5)])
def test_harris_response_is_that_of_opencv(block, aperture):
    grey = filters.grey(PHOTOGRAPH)
    ours = filters.harris_response(grey, block, aperture, 0.04)
    theirs = cv2.cornerHarris(grey, block, aperture, 0.04)
    assert largest_difference(ours, theirs) < 1e-5 * np.abs(ours).max()


def test_harris_tells_corners_from_edges_and_from_what_is_flat():
    square = np.zeros((80, 80), np.uint8)
    square[20:60, 20:60] = 255
    response = filters.harris_response(square, 2, 3, 0.04)
    assert response[20, 20] > 0 > response[20, 40] and response[40, 40] == 0 == response[5, 5]


# ---------------------------------------------------------------- pictures to pictures


@pytest.mark.parametrize("degrees", [30, 90, 135, 180, -10])
def test_rotation_is_that_of_opencv_and_scipy(degrees):
    h, w, _ = PHOTOGRAPH.shape
    ours = operations.rotate(PHOTOGRAPH, degrees)
    scale = operations.fill_scale(h, w, degrees)
    matrix = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), degrees, scale)
    theirs = cv2.warpAffine(PHOTOGRAPH, matrix, (w, h), borderMode=cv2.BORDER_REPLICATE)
    # OpenCV rounds coordinates to 1/32 of a pixel.
    assert largest_difference(ours, theirs) <= 6
    assert np.abs(ours.astype(int) - theirs).mean() < 0.5
    (xx, xy, x0), (yx, yy, y0) = cv2.invertAffineTransform(matrix)
    for channel in range(3):
        exact = scipy.ndimage.affine_transform(
            PHOTOGRAPH[..., channel].astype(float), [[yy, yx], [xy, xx]], [y0, x0], order=1,
            mode="nearest")
        assert largest_difference(ours[..., channel], exact) <= 0.5 + 1e-6


def test_a_quarter_turn_of_a_square_is_rot90():
    square = PHOTOGRAPH[:100, :100]
    np.testing.assert_array_equal(operations.rotate(square, 90), np.rot90(square))


@pytest.mark.parametrize(("degrees", "scale"), [(0, 1), (180, 1), (90, 1.5), (270, 1.5),
                                                (30, np.hypot(240, 160) / 160)])
def test_the_scale_that_fills(degrees, scale):
    assert operations.fill_scale(160, 240, degrees) == pytest.approx(scale)


@pytest.mark.parametrize("degrees", range(0, 360, 15))
def test_the_least_scale_fills_and_no_smaller_one_does(degrees):
    h, w = 160, 240
    least = operations.least_scale(h, w, degrees)
    assert least <= operations.fill_scale(h, w, degrees) + 1e-12

    def gaps(scale):  # of the frame, in continuous coordinates
        corners = np.array([(x, y) for x in (-w / 2, w / 2) for y in (-h / 2, h / 2)])
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        before = np.abs(corners @ np.array([[cos, -sin], [sin, cos]])) / scale
        return (before > np.array([w / 2, h / 2])).any()

    assert not gaps(1.0001 * least) and gaps(0.9999 * least)


def test_the_heat_map_counts_and_smooths_as_scipy():
    h, w = 60, 90
    points = operations.clusters(h, w, seed=3)
    assert points.shape == (20000, 2)
    inside = points[((points >= 0) & (points < (h, w))).all(axis=1)].astype(int)
    counts = np.bincount(inside[:, 0] * w + inside[:, 1], minlength=h * w).reshape(h, w)
    smooth = scipy.ndimage.gaussian_filter(counts.astype(float), 10, mode="mirror")
    assert largest_difference(operations.density(points, h, w), smooth) < 1e-10


def test_the_heat_map_is_red_where_points_are_dense_and_transparent_where_there_are_none():
    picture = pictures.photograph()
    h, w, _ = picture.shape
    ours, heat = operations.heat_map(picture), operations.density(operations.clusters(h, w), h, w)
    hottest = np.unravel_index(heat.argmax(), heat.shape)
    red, green, blue = ours[hottest] - 0.2 * picture[hottest]  # alpha is at most .8
    assert red > 90 and green < 10 and blue < 10
    far = heat < 1e-6 * heat.max()
    assert far.any()
    np.testing.assert_array_equal(ours[far], picture[far])
    assert (operations.heat_map(picture, seed=1) != ours).any()


def test_contours_are_the_border_pixels_of_shapes_and_holes():
    for mask in (SHAPES, NOISE):
        found = operations.find_contours(mask, cv2.CHAIN_APPROX_NONE)
        border = np.zeros_like(mask)
        for contour in found:
            border[contour[:, 1], contour[:, 0]] = True
        np.testing.assert_array_equal(border, mask & ~binary.erode(mask, binary.CROSS))
        shapes = scipy.ndimage.label(mask, np.ones((3, 3)))[1]
        holes = scipy.ndimage.label(~np.pad(mask, 1))[1] - 1
        assert len(operations.find_contours(mask)) == len(found) == shapes + holes


def test_straight_pieces_keep_their_ends():
    mask = np.zeros((20, 30), bool)
    mask[5:15, 4:24] = True
    (contour,) = operations.find_contours(mask)
    assert sorted(map(tuple, contour.tolist())) == [(4, 5), (4, 14), (23, 5), (23, 14)]


def test_histograms_agree_three_ways_with_and_without_a_mask():
    mask = operations.middle(*PHOTOGRAPH.shape[:2])
    for chosen in (mask, np.ones_like(mask)):
        counts = histograms.three_ways(PHOTOGRAPH, chosen)
        assert len(counts) == 3
        for ours in counts.values():
            np.testing.assert_array_equal(ours, counts["calcHist"])
            assert ours.sum(axis=1).tolist() == [chosen.sum()] * 3
    assert mask.sum() == mask.size / 4
    np.testing.assert_array_equal(operations.histogram(PHOTOGRAPH), counts["np.bincount"])


# ---------------------------------------------------------------- binary morphology


@pytest.mark.parametrize("structure", STRUCTURES, ids=["square", "cross", "right"])
@pytest.mark.parametrize("mask", [SHAPES, NOISE], ids=["shapes", "noise"])
def test_dilation_and_erosion_are_those_of_scipy_and_opencv(mask, structure):
    dilated, eroded = binary.dilate(mask, structure), binary.erode(mask, structure)
    np.testing.assert_array_equal(dilated, scipy.ndimage.binary_dilation(mask, structure))
    np.testing.assert_array_equal(eroded, scipy.ndimage.binary_erosion(mask, structure))
    outside = {"borderType": cv2.BORDER_CONSTANT, "borderValue": 0}
    flipped = np.ascontiguousarray(structure[::-1, ::-1].astype(np.uint8))  # OpenCV does not flip
    theirs = cv2.dilate(mask.astype(np.uint8), flipped, **outside)
    np.testing.assert_array_equal(dilated, theirs.astype(bool))
    theirs = cv2.erode(mask.astype(np.uint8), structure.astype(np.uint8), **outside)
    np.testing.assert_array_equal(eroded, theirs.astype(bool))


def test_a_one_sided_element_grows_to_one_side():
    row = np.array([[False, True, True, False, False]])
    assert binary.dilate(row, binary.RIGHT).tolist() == [[False, True, True, True, False]]
    assert binary.erode(row, binary.RIGHT).tolist() == [[False, True, False, False, False]]


@pytest.mark.parametrize("pattern", [binary.CORNER, *binary.THINNING])
@pytest.mark.parametrize("mask", [SHAPES, NOISE], ids=["shapes", "noise"])
def test_hit_or_miss_is_that_of_scipy_and_opencv(mask, pattern):
    ours = binary.hit_or_miss(mask, pattern)
    theirs = scipy.ndimage.binary_hit_or_miss(mask, pattern == 1, pattern == 0)
    np.testing.assert_array_equal(ours, theirs)
    kernel = np.select([pattern == 1, pattern == 0], [1, -1], 0).astype(np.int32)
    theirs = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_HITMISS, kernel).astype(bool)
    np.testing.assert_array_equal(ours[1:-1, 1:-1], theirs[1:-1, 1:-1])  # borders differ
    assert ours.any()


def test_the_eight_patterns_are_different():
    assert len({pattern.tobytes() for pattern in map(np.ascontiguousarray, binary.THINNING)}) == 8


@pytest.mark.parametrize("mask", [SHAPES, NOISE], ids=["shapes", "noise"])
def test_a_skeleton_keeps_shapes_and_holes(mask):
    thin = binary.skeleton(mask)
    assert not (thin & ~mask).any() and thin.sum() < mask.sum()
    for connected, before, after in ((np.ones((3, 3)), mask, thin),
                                     (None, ~np.pad(mask, 1), ~np.pad(thin, 1))):
        assert (scipy.ndimage.label(before, connected)[1]
                == scipy.ndimage.label(after, connected)[1])
    np.testing.assert_array_equal(binary.skeleton(thin), thin)


def test_a_skeleton_is_one_pixel_wide():
    thin = binary.skeleton(SHAPES)
    assert not (thin[1:, 1:] & thin[1:, :-1] & thin[:-1, 1:] & thin[:-1, :-1]).any()


@pytest.mark.parametrize("mask", [SHAPES, NOISE], ids=["shapes", "noise"])
def test_all_of_scikit_images_thinning_is_within_a_pixel_of_the_skeleton(mask):
    """The converse does not hold: ours has branches into the corners of upright rectangles."""
    thinning = pytest.importorskip("skimage.morphology", reason="scikit-image is not installed")
    theirs = thinning.thin(mask)
    assert theirs.any() and not (theirs & ~binary.dilate(binary.skeleton(mask))).any()


# ---------------------------------------------------------------- frames of a video


def test_the_hue_of_a_frame_is_that_of_colorsys():
    rng = np.random.default_rng(1)
    for r, g, b in rng.integers(0, 256, (200, 3), np.uint8):
        hue, saturation, value = colorsys.rgb_to_hsv(r / 255, g / 255, b / 255)
        sixths = 6 * hue
        if abs(sixths % 1 - 0.5) < 0.05:
            continue  # between two names
        found = video_frames.hue_name(np.full((2, 2, 3), (r, g, b), np.uint8))
        if saturation > 0.26 and value > 0.13:
            assert found == video_frames.HUES[round(sixths) % 6]
        elif saturation < 0.24 or value < 0.12:
            assert found == "grey"


def test_the_majority_outvotes_and_of_several_the_first_wins():
    assert video_frames.majority(["red", "green", "green"]) == "green"
    assert video_frames.majority(["red", "green", "green", "red"]) == "red"
    votes = np.random.default_rng(0).integers(0, 4, 101)
    assert video_frames.majority(votes.tolist()) == scipy.stats.mode(votes).mode


def test_the_first_twenty_frames_are_written_and_vote(runs, capsys):
    assert video_frames.main([]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result == {"class": "green", "votes": {"green": 16, "red": 4}}
    folder = runs / "appendix_c_image_processing" / "video_frames" / "drawn"
    drawn = list(video_frames.drawn_frames())
    assert len(drawn) == 30 and len(list(folder.glob("frame_*.png"))) == 20
    for number in (0, 8, 19):
        written = np.asarray(Image.open(folder / f"frame_{number:03}.png"))
        assert np.abs(written.astype(int) - drawn[number]).mean() < 6  # MPEG-4 is lossy
    assert Image.open(folder / "sheet.png").size == (2 + 5 * 162, 2 + 4 * 122)


# ---------------------------------------------------------------- optimizers


@pytest.mark.parametrize("name", update_rules.RULES)
def test_update_rules_are_those_of_keras(name):
    # At this rate, because Keras rounds Adam's .999 to float32.
    ours = update_rules.follow(name, optimizers.gradient, optimizers.START, 0.001, 100)
    theirs = optimizers.follow_keras(name, 0.001, 100)
    assert ours.shape == theirs.shape == (101, 2)
    assert largest_difference(ours, theirs) < 1e-6
    assert largest_difference(ours[0], ours[-1]) > 1e-6 * 100  # they have moved


def test_the_drawn_paths_descend_and_are_those_of_keras(runs, capsys):
    assert optimizers.main([]) == 0
    distances = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(distances) == list(update_rules.RULES)
    # The rounding of .999 times the rate of the figure, .3.
    assert all(distance < (1e-4 if name == "Adam" else 2e-6)
               for name, distance in distances.items())
    for name, rate in optimizers.RATES.items():
        path = update_rules.follow(name, optimizers.gradient, optimizers.START, rate, 100)
        assert optimizers.height(path[-1]) < optimizers.height(path[0]) / 20
    assert (runs / "appendix_c_image_processing" / "optimizers.png").stat().st_size > 10_000


def test_the_gradient_is_that_of_the_surface():
    point, step = np.array([1.3, -0.7]), 1e-6
    differences = [(optimizers.height(point + move) - optimizers.height(point - move)) / (2 * step)
                   for move in step * np.eye(2)]
    np.testing.assert_allclose(optimizers.gradient(point), differences, atol=1e-8)


# ---------------------------------------------------------------- any picture, and user mistakes


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (2, 2), (37, 20)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_operations_take_pictures_of_any_size(name, shape, value):
    picture = np.full((*shape, 3), value, np.uint8)
    picture.flags.writeable = False
    result = OPERATIONS[name](picture)
    assert result.shape == picture.shape and result.dtype == np.uint8


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_change_a_picture(name):
    assert (OPERATIONS[name](DRAWING) != DRAWING).any()


def test_operations_are_imported_without_tensorflow():
    code = ("import sys; from appendix_c_image_processing import blur, contact_sheet, operations; "
            "raise SystemExit('tensorflow' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


FILES = {
    "alpha": Image.fromarray(np.dstack([PHOTOGRAPH, PHOTOGRAPH[..., :1]])),
    "grey": Image.fromarray(PHOTOGRAPH[..., 0]),
    "deep": Image.fromarray(PHOTOGRAPH[..., 0].astype(np.uint16) << 8),
    "pixel": Image.fromarray(PHOTOGRAPH[:1, :1]),
}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda module: module.__name__.split(".")[-1])
def test_scripts_take_any_picture(script, tmp_path):
    for name, image in FILES.items():
        image.save(tmp_path / f"{name}.png")
        output = tmp_path / "new" / f"{script.__name__}-{name}.png"
        assert script.main(["--image", str(tmp_path / f"{name}.png"), "--output",
                            str(output)]) == 0
        assert Image.open(output).size == image.size


def test_the_contact_sheet_shows_a_picture_of_ones_own(tmp_path):
    output, own = tmp_path / "sheet.png", (200, 40, 90)
    for argv, shows in (([], False), (["--image", str(tmp_path / "own.png")], True)):
        Image.new("RGB", (1, 1), own).save(tmp_path / "own.png")
        assert contact_sheet.main([*argv, "--output", str(output)]) == 0
        share = (np.asarray(Image.open(output).convert("RGB")) == own).all(axis=2).mean()
        assert (share > 0.2) == shows  # itself and its blur, rotation, contours, corners


def test_a_picture_with_alpha_lies_on_white(tmp_path):
    Image.fromarray(np.uint8([[[200, 0, 0, 255], [200, 0, 0, 0]]])).save(tmp_path / "a.png")
    args = rotate.build_parser().parse_args(["--image", str(tmp_path / "a.png")])
    assert pictures.read(args).tolist() == [[[200, 0, 0], [255, 255, 255]]]


def test_a_frame_of_a_video_is_processed(tmp_path, capsys):
    with video.writer(tmp_path / "a.mp4", rate=10) as write:
        for value in (0, 255):
            write(np.full((48, 64, 3), value, np.uint8))
    flags = ["--video", str(tmp_path / "a.mp4"), "--output", str(tmp_path / "a.png")]
    for frame, pixels in (("0", 0), ("1", 48 * 64)):
        assert skeleton.main([*flags, "--frame", frame]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["pixels_before"] == pixels
    assert skeleton.main([*flags, "--frame", "2"]) == 2
    assert "has no frame 2" in capsys.readouterr().err


@pytest.mark.parametrize(("script", "argv", "says"), [
    (blur, ["--image", "none.png"], "no file"),
    (blur, ["--image", "text.png"], "not a readable image"),
    (blur, ["--video", "none.mp4"], "no file"),
    (blur, ["--video", "text.mp4"], "no frame of"),
    (video_frames, ["--video", "text.mp4"], "no frame of"),
    (video_frames, ["--video", "none.mp4"], "no file"),
    (video_frames, ["--num_frames", "0"], "0 is not a number from 1 to 999"),
    (blur, ["--image", "a.png", "--video", "a.mp4"], "not allowed with"),
    (blur, ["--frame", "1"], "--frame 1 has no effect"),
    (blur, ["--output", "a.jpg"], "a.jpg is not a file name that ends in .png"),
    (blur, ["--size", "4"], "--size 4 is even"),
    (blur, ["--sigma", "0"], "0 is not 0.1 or more"),
    (rotate, ["--degrees", "inf"], "inf is not a number"),
    (rotate, ["--degrees", "90", "--least"], "--least has no effect"),
    (corners, ["--aperture", "4"], "--aperture 4 is even"),
    (corners, ["--aperture", "33"], "33 is not a number from 3 to 31"),
    (hit_or_miss, ["--turns", "4"], "4 is not a number from 0 to 3"),
    (morphology, ["--structure", "circle"], "invalid choice: 'circle'"),
    (optimizers, ["--steps", "0"], "0 is not a number from 1 to 9999"),
])
def test_mistakes_are_explained(script, argv, says, runs, tmp_path, monkeypatch, capfd):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for name in ("text.png", "text.mp4"):
        (work / name).write_text("no picture")
    assert script.main(argv) == 2
    error = capfd.readouterr().err
    assert says in error and "hint: " in error and "Traceback" not in error
    assert sorted(path.name for path in work.iterdir()) == ["text.mp4", "text.png"]
    assert not (runs / "appendix_c_image_processing").exists()


def test_flags_change_the_result(tmp_path):
    def result(script, *argv):
        assert script.main([*argv, "--output", str(tmp_path / "a.png")]) == 0
        return (tmp_path / "a.png").read_bytes()

    for script, *flags in ((heat_map, "--seed", "1"), (blur, "--size", "9"),
                           (blur, "--sigma", "0.5"), (rotate, "--least"),
                           (rotate, "--degrees", "60"),
                           (corners, "--k", "0.1"), (corners, "--block", "5"),
                           (corners, "--aperture", "3"), (histograms, "--whole"),
                           (morphology, "--operation", "erode"), (hit_or_miss, "--turns", "1"),
                           (morphology, "--structure", "right"), (morphology, "--times", "1")):
        assert result(script) != result(script, *flags)
        assert result(script) == result(script)
