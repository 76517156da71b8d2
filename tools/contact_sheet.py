"""Draws the contact sheet of the root README from figures that the chapters' commands drew.

    python -m tools.contact_sheet    # writes docs/images/contact_sheet.jpg

The READMEs of the chapters show each figure and its command; the couplets are those that
chapter 12's README shows. It needs a font with Chinese characters, such as Noto Sans CJK.
"""

import sys
from pathlib import Path

import matplotlib.font_manager
import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from common import images
from common.errors import UserError, exit_status
from common.files import ROOT

FIGURES = ROOT / "docs" / "images"
POEMS = ROOT / "chapter12_char_rnn" / "README.md"
WIDTH, HEIGHT, CAPTION, GAP, COLUMNS = 400, 270, 30, 8, 4  # pixels of a panel and its caption
INK, GREY = "#222222", "#555555"
CHINESE_FONTS = ("Noto Sans CJK", "Noto Sans SC", "Source Han Sans", "WenQuanYi")
COUPLETS = {  # and what they say
    "风定知帆远，酒熟对良朋。": "The wind has died: how far the sails have gone!\n"
                      "The wine is ripe; I share it with good friends.",
    "寒莺语翠竹，孤月临寒潭。": "A chilly oriole talks to green bamboo,\n"
                      "a lonely moon looks on the cold, deep pool.",
}


def chinese_font(size: int) -> ImageFont.FreeTypeFont:
    """Returns an installed font with Chinese characters.

    Raises:
        UserError: none is installed.
    """
    for font in matplotlib.font_manager.fontManager.ttflist:
        if font.name.startswith(CHINESE_FONTS):
            return ImageFont.truetype(font.fname, size)
    raise UserError("no font with Chinese characters is installed", "install Noto Sans CJK")


def crop(name: str, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Returns a part of a figure, whose borders are fractions of its width and height."""
    image = Image.fromarray(images.read_image(FIGURES / name))
    width, height = image.size
    return image.crop((int(left * width), int(top * height),
                       int(right * width), int(bottom * height)))


def draw_couplets(poems: Path) -> Image.Image:
    """Draws couplets from chapter 12's README, each with a translation.

    Raises:
        UserError: the README shows others.
    """
    written = poems.read_text(encoding="utf-8")
    panel = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw, top = ImageDraw.Draw(panel), 28
    for couplet, translation in COUPLETS.items():
        if couplet not in written:
            raise UserError(f"{couplet} is not in {poems}", "translate the couplets that are")
        draw.text((20, top), couplet, INK, chinese_font(27))
        draw.multiline_text((20, top + 44), translation, GREY, ImageFont.load_default(15),
                            spacing=6)
        top += 122
    return panel


def draw_panel(caption: str, image: Image.Image) -> np.ndarray:
    """Draws an image with its caption below: uint8 of shape (HEIGHT + CAPTION, WIDTH, 3)."""
    panel = Image.new("RGB", (WIDTH, HEIGHT + CAPTION), "white")
    fitted = ImageOps.contain(image, (WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    panel.paste(fitted, ((WIDTH - fitted.width) // 2, (HEIGHT - fitted.height) // 2))
    ImageDraw.Draw(panel).text((WIDTH // 2, HEIGHT + CAPTION // 2), caption, INK,
                               ImageFont.load_default(16), anchor="mm")
    return np.asarray(panel)


def main() -> int:
    """Writes the sheet; returns the exit status."""

    def write() -> None:
        panels = {
            "3  Grad-CAM: where a classifier looks":
                crop("chapter03_grad_cam.jpg", 0, 0.345, 0.67, 0.665),
            "4  Deep Dream: what a channel looks for":
                crop("chapter04_dreams.jpg", 0.511, 0.046, 0.992, 0.497),
            "7  A photograph in the style of a painting":
                crop("chapter07_runs.jpg", 0.343, 0.126, 0.657, 0.956),
            "12  A character RNN writes couplets": draw_couplets(POEMS),
            "14  A map of word vectors": crop("chapter14_tsne.png", 0.2, 0.25, 0.75, 0.64),
            "15  A forecast with its 90 % band": crop("chapter15_airline.png", 0.42, 0.1, 1, 1),
            "18  A policy in a maze with traps": crop("chapter18_policy.png", 0, 0, 0.46, 1),
            "20  Breakout: return by step": crop("chapter20_breakout.png", 0, 0, 0.5, 1),
        }
        sheet = images.grid([draw_panel(*panel) for panel in panels.items()], COLUMNS, GAP)
        # Without subsampling of colours, letters and lines stay sharp.
        Image.fromarray(sheet).save(FIGURES / "contact_sheet.jpg", quality=88, subsampling=0,
                                    optimize=True)

    return exit_status(write)


if __name__ == "__main__":
    sys.exit(main())
