"""common/page.py: what a user wrote is shown and never run; tables have images, and pages."""

import re
from html.parser import HTMLParser

import numpy as np
import PIL.Image
import pytest

from common import page

BAD = '<img src=x onerror="alert(1)"> & \'春\''


class Reader(HTMLParser):
    """Collects the tags of a page, and what it shows in its body."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.shown = [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.shown += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_a_title_is_escaped_and_a_body_is_html(tmp_path):
    path = tmp_path / "page.html"
    page.write(path, BAD, "<p>a &lt; b</p>", "  p { color: red; }")
    read = Reader(path)
    assert read.shown.count(BAD) == 2 and "a < b" in read.shown  # title and h1
    assert not read.all("img") and len(read.all("p")) == 1
    assert "p { color: red; }" in path.read_text(encoding="utf-8")


def test_cells_are_escaped_texts_numbers_and_images_with_captions(tmp_path):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    colour = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    rows = [(BAD, 0.123456789, grey, (colour, BAD)), ("", np.float32(1 / 3), colour, (grey, ""))]
    path = page.write_table(tmp_path / "new", BAD, [BAD, "loss", "input", "output"], iter(rows))
    assert path == tmp_path / "new" / "index.html"
    read = Reader(path)
    assert read.shown.count(BAD) == 5  # title, h1, head, cell, caption
    assert "0.1235" in read.shown and "0.3333" in read.shown
    assert len(read.all("tr")) == 3 and len(read.all("td")) == 8 and len(read.all("small")) == 1
    sources = [attributes["src"] for attributes in read.all("img")]
    assert all(re.fullmatch(r"images/[\d-]+\.png", source) for source in sources)
    for source, image in zip(sources, (grey, colour, colour, grey), strict=True):
        np.testing.assert_array_equal(PIL.Image.open(path.parent / source), image)
    assert not read.all("a") and not read.all("script")


@pytest.mark.parametrize(("num_rows", "sizes"), [(0, [0]), (100, [100]), (201, [100, 100, 1])])
def test_a_page_has_a_hundred_rows_and_links_to_all_others(num_rows, sizes, tmp_path):
    page.write_table(tmp_path, "numbers", ["n"], ([n] for n in range(num_rows)))
    names = ["index.html", "index-2.html", "index-3.html"][: len(sizes)]
    assert sorted(path.name for path in tmp_path.glob("*.html")) == sorted(names)
    shown = []
    for name, size in zip(names, sizes, strict=True):
        read = Reader(tmp_path / name)
        links = [attributes["href"] for attributes in read.all("a")]
        assert links == 2 * [other for other in names if other != name]
        assert len(read.all("td")) == size
        shown += re.findall(r"\d+", read.shown.split("n\n", 1)[1])[:size]
    assert shown == [str(n) for n in range(num_rows)]


def test_a_row_of_another_length_is_refused(tmp_path):
    with pytest.raises(ValueError, match="zip"):
        page.write_table(tmp_path, "numbers", ["a", "b"], [[1]])
