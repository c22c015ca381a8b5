"""Recognition of spoilt pages whose text is known. The whole set of 24 is measured by ``python -m benchmarks.ocr``."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy
import pytest
from PIL import Image

from benchmarks import faxpages
from benchmarks.faxpages import Spoil
from gateway_plugins.fax import clean, ocr, pages

# Face, points, fine, text, seed: each face once, both resolutions, from the smallest type to the largest.
PAGES = (("song", 10.5, True, 0, 11), ("kai", 12.0, False, 1, 12), ("hei", 16.0, False, 2, 13))


@pytest.fixture(scope="module")
def read() -> Iterator[list[tuple[faxpages.Page, ocr.Recognised]]]:
    made = [faxpages.page(face, points, fine=fine, text=text, seed=seed) for face, points, fine, text, seed in PAGES]
    yield [(page, ocr.recognise(next(i for i in pages.images(page.tiff) if i is not None))) for page in made]


Read = list[tuple[faxpages.Page, ocr.Recognised]]


def test_spoilt_pages_are_read_rightly(read: Read) -> None:
    right = [faxpages.accuracy(page.text, found.text) for page, found in read]
    assert sum(right) / len(right) >= 0.97, right
    assert min(right) >= 0.93, right
    assert "3.2万立方米" in faxpages.plain(read[2][1].text), "a decimal point is no speck"


def test_a_page_with_a_lost_line_is_flagged_and_one_without_is_not(read: Read) -> None:
    for page, found in read:
        assert found.dropped is bool(faxpages.lost(page.lines, found.text)), page.name


def test_each_line_that_is_taken_away_is_noticed(read: Read) -> None:
    for page, found in read:
        for number, line in enumerate(found.lines):
            rest = [*found.lines[:number], *found.lines[number + 1 :]]
            assert ocr.dropped_lines(found.grey, rest), f"{page.name}: {line.text}"


def test_a_line_that_was_not_read_to_its_end_is_noticed(read: Read) -> None:
    _page, found = read[0]
    number, line = max(enumerate(found.lines), key=lambda pair: len(pair[1].text))
    short = ocr.Line(line.text[:8], line.left, line.top, line.right, line.bottom)
    assert ocr.dropped_lines(found.grey, [*found.lines[:number], short, *found.lines[number + 1 :]])


def test_a_page_put_in_upside_down_is_read() -> None:
    page = faxpages.page("hei", 16, fine=True, text=3, seed=5)
    turned = Image.open(io.BytesIO(page.tiff)).convert("L").rotate(180)
    assert faxpages.accuracy(page.text, ocr.recognise(turned).text) >= 0.97


# Cleaning; no recognition.


def grey(spoil: Spoil, fine: bool = True) -> numpy.ndarray:
    page = faxpages.page("song", 10.5, fine=fine, text=2, seed=4, spoil=spoil)
    return numpy.asarray(next(image for image in pages.images(page.tiff) if image is not None))


@pytest.mark.parametrize("skew", [-2.5, -1.0, -0.3, 0.0, 0.4, 1.7])
@pytest.mark.parametrize("fine", [True, False])
def test_the_page_is_turned_back(skew: float, fine: bool) -> None:
    found = clean.clean(grey(Spoil(skew=skew, specks=0.001), fine), 1 if fine else 2)
    assert abs(found.skew + skew) <= 0.16


def test_specks_go_and_full_stops_stay() -> None:
    bare, speckled = grey(Spoil()), grey(Spoil(specks=0.003))
    before = int((bare < clean.INK).sum())
    added = int((speckled < clean.INK).sum()) - before
    left = int((clean.despeckled(speckled, clean.SPECK) < clean.INK).sum()) - before
    assert added > 8000
    assert left < 0.25 * added, "what lies on a letter stays"
    kept = int((clean.despeckled(bare, clean.SPECK) < clean.INK).sum())
    assert kept >= 0.995 * before, "no sign of the text is a speck"


def test_an_empty_page_and_one_of_a_few_dots() -> None:
    white, dot, black = numpy.full((300, 400), 255, numpy.uint8), numpy.full((1, 1), 255, numpy.uint8), numpy.zeros((50, 50), numpy.uint8)
    assert clean.clean(white).skew == clean.clean(dot).skew == 0
    assert clean.clean(white).grey.shape == (300, 400)
    assert clean.clean(black).grey.shape == (50, 50)
