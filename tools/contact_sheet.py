"""Draws the contact sheet of the root README from six runs.

    python -m tools.contact_sheet    # writes docs/images/contact_sheet.png

Each run is called `sheet`. In the folders of the chapters, these commands make what is shown:

    chapter03  python train.py --preset best_all --name sheet --dataset_dir FOLDER --weights FILE
               python grad_cam.py --name sheet PICTURE PICTURE PICTURE
    chapter12  python train.py --name sheet
    chapter14  python train.py --name sheet && python eval.py --name sheet
    chapter15  python train.py --preset airline --name sheet && python eval.py --name sheet
    chapter18  python train.py --preset best --name sheet
    chapter20  python train.py --preset breakout --name sheet
               python play.py --name sheet --record ../runs/chapter20_dqn/sheet/game.mp4

It needs a font with Chinese characters, such as Noto Sans CJK.
"""

import sys
from pathlib import Path

import cv2
import matplotlib.font_manager
import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from common import images, rundir
from common.errors import UserError, exit_status
from common.files import ROOT

PNG = ROOT / "docs" / "images" / "contact_sheet.png"
WIDTH, HEIGHT, CAPTION, GAP = 400, 270, 30, 8  # pixels of a panel, of its caption, and between
COLUMNS = 3
INK = "#222222"
CHINESE_FONTS = ("Noto Sans CJK", "Noto Sans SC", "Source Han Sans", "WenQuanYi")
COUPLETS = {  # of the poems that the demo of chapter 12 ends with, and what they say
    "风定知帆远，酒熟对良朋。": "The wind has died: how far the sails have gone!\n"
                      "The wine is ripe; I share it with good friends.",
    "寒莺语翠竹，孤月临寒潭。": "A chilly oriole talks to green bamboo,\n"
                      "a lonely moon looks on the cold, deep pool.",
}


def run_file(chapter: str, name: str) -> Path:
    """Returns the path of a file of the run `sheet` of a chapter.

    Raises:
        UserError: it does not exist.
    """
    path = rundir.runs_dir() / chapter / "sheet" / name
    if not path.is_file():
        raise UserError(f"there is no {path}", f"make it in {chapter}, see {Path(__file__).name}")
    return path


def chinese_font(size: int) -> ImageFont.FreeTypeFont:
    """Returns an installed font with Chinese characters.

    Raises:
        UserError: none is installed.
    """
    for font in matplotlib.font_manager.fontManager.ttflist:
        if font.name.startswith(CHINESE_FONTS):
            return ImageFont.truetype(font.fname, size)
    raise UserError("no font with Chinese characters is installed", "install Noto Sans CJK")


def frame_of(video: Path, fraction: float) -> Image.Image:
    """Returns the frame at a fraction of a video, in [0, 1)."""
    capture = cv2.VideoCapture(str(video))
    capture.set(cv2.CAP_PROP_POS_FRAMES, int(fraction * capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    found, frame = capture.read()
    if not found:
        raise UserError(f"{video} cannot be read", "record it again")
    return Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1]))


def crop(path: Path, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Returns a part of an image, whose borders are fractions of its width and height."""
    image = Image.fromarray(images.read_image(path))
    width, height = image.size
    return image.crop((int(left * width), int(top * height),
                       int(right * width), int(bottom * height)))


def draw_couplets() -> Image.Image:
    """Draws two couplets that the run of chapter 12 wrote, with a translation.

    Raises:
        UserError: the run wrote others.
    """
    (chapter,) = (rundir.runs_dir() / "chapter12_char_rnn" / "sheet" / "samples").glob("*6000.txt")
    written = chapter.read_text(encoding="utf-8")
    panel = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw, top = ImageDraw.Draw(panel), 28
    for couplet, translation in COUPLETS.items():
        if couplet not in written:
            raise UserError(f"{couplet} is not in {chapter}", "translate what is there")
        draw.text((20, top), couplet, INK, chinese_font(27))
        draw.multiline_text((20, top + 44), translation, "#555555",
                            ImageFont.load_default(15), spacing=6)
        top += 122
    return panel


def panels() -> dict[str, Image.Image]:
    """Returns the six panels by caption, in the order of the sheet."""
    return {
        "20  A deep Q-network plays Breakout":
            frame_of(run_file("chapter20_dqn", "game.mp4"), 0.8),
        "3  Grad-CAM: where a classifier looks":
            crop(run_file("chapter03_finetune", "grad_cam.png"), 0, 0.33, 0.67, 0.67),
        "14  A map of word vectors":
            crop(run_file("chapter14_word2vec", "tsne.png"), 0.2, 0.22, 0.75, 0.6),
        "12  A character RNN writes couplets": draw_couplets(),
        "15  A forecast and its 90 % band":
            crop(run_file("chapter15_time_series", "predict_result.png"), 0, 0, 1, 1),
        "18  A policy that avoids the traps":
            crop(run_file("chapter18_q_learning", "policy.png"), 0, 0, 1, 1),
    }


def draw_sheet() -> np.ndarray:
    """Draws the sheet: uint8 of shape (height, width, 3)."""
    sheet = []
    for caption, image in panels().items():
        panel = Image.new("RGB", (WIDTH, HEIGHT + CAPTION), "white")
        fitted = ImageOps.contain(image, (WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        panel.paste(fitted, ((WIDTH - fitted.width) // 2, (HEIGHT - fitted.height) // 2))
        ImageDraw.Draw(panel).text((WIDTH // 2, HEIGHT + CAPTION // 2), caption, INK,
                                   ImageFont.load_default(16), anchor="mm")
        sheet.append(np.asarray(panel))
    return images.grid(sheet, COLUMNS, GAP)


def main() -> int:
    """Writes the sheet; returns the exit status."""

    def write() -> None:
        images.write_png(PNG, draw_sheet())
        print(PNG)

    return exit_status(write)


if __name__ == "__main__":
    sys.exit(main())
