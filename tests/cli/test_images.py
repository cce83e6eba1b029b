"""Preparation of pictures: the result is independent of polarity, size and position."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from anynet.cli.ink import prepare
from anynet.data.image_format import ImageFormat
from anynet.errors import DataError

MNIST = ImageFormat((28, 28), 20, 255.0)
DIGITS = ImageFormat((8, 8), 8, 16.0)
Floats = npt.NDArray[np.float64]


def drawing(
    size: int = 280, at: tuple[int, int] = (0, 0), paper: int = 0, ink: int = 255
) -> Floats:
    """Draw a shape like a 4: strokes in the upper left quarter, shifted by `at`."""
    picture = Image.new("L", (size, size), paper)
    pen = ImageDraw.Draw(picture)
    unit = size / 28
    for stroke in ([(8, 3), (4, 10), (13, 10)], [(11, 5), (10, 16)]):
        points = [((x + at[0]) * unit, (y + at[1]) * unit) for x, y in stroke]
        pen.line(points, fill=ink, width=round(2.5 * unit), joint="curve")
    return np.asarray(picture, dtype=np.float64)


@st.composite
def pictures(draw: st.DrawFn) -> Floats:
    shape = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)) | st.just((28, 28)))
    seed = draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    grey = rng.integers(0, 256, shape).astype(np.float64)
    return np.where(rng.random(shape) < draw(st.floats(0, 1)), grey, draw(st.integers(0, 255)))


@given(grey=pictures(), wanted=st.sampled_from([MNIST, DIGITS]))
def test_any_picture_gives_a_row_in_range_or_raises(grey: Floats, wanted: ImageFormat) -> None:
    try:
        row = prepare(grey, 255, wanted)
    except DataError:
        return
    assert np.ptp(grey) >= 0.05 * 255
    assert row.shape == (wanted.shape[0] * wanted.shape[1],)
    assert row.min() >= 0
    assert row.max() <= wanted.top * (1 + 1e-12)
    assert row.max() > 0


@given(
    at=st.tuples(st.integers(0, 10), st.integers(0, 8)),
    paper=st.integers(0, 100),
    ink=st.integers(150, 255),
    size=st.sampled_from([28, 29, 100, 280]),
)
def test_an_inverted_picture_gives_the_same_row(
    at: tuple[int, int], paper: int, ink: int, size: int
) -> None:
    grey = drawing(size, at, paper, ink)
    np.testing.assert_array_equal(prepare(grey, 255, MNIST), prepare(255 - grey, 255, MNIST))


def test_a_picture_that_follows_the_convention_of_mnist_is_unchanged() -> None:
    grey = np.rint(prepare(drawing(), 255, MNIST).reshape(28, 28))
    np.testing.assert_array_equal(prepare(grey, 255, MNIST), grey.reshape(-1))
    np.testing.assert_array_equal(prepare(255 - grey, 255, MNIST), grey.reshape(-1))


def test_rows_have_the_units_of_the_data() -> None:
    grey = np.zeros((8, 8))
    grey[:, 3] = 255
    assert set(prepare(grey, 255, DIGITS)) == {0.0, 16.0}


@pytest.mark.parametrize("at", [(0, 0), (5, 3), (12, 10)])
def test_position_does_not_affect_the_row(at: tuple[int, int]) -> None:
    expected = prepare(drawing(), 255, MNIST)
    np.testing.assert_allclose(prepare(drawing(at=at), 255, MNIST), expected, atol=0.5)


@pytest.mark.parametrize("size", [112, 140, 560, 1120])
def test_size_does_not_affect_the_row(size: int) -> None:
    expected, row = prepare(drawing(280), 255, MNIST), prepare(drawing(size), 255, MNIST)
    assert np.mean(np.abs(row - expected)) < 6
    assert np.corrcoef(row, expected)[0, 1] > 0.97


def test_contrast_does_not_affect_the_row() -> None:
    expected = prepare(drawing(), 255, MNIST)
    np.testing.assert_allclose(prepare(drawing(paper=90, ink=180), 255, MNIST), expected, atol=1e-4)


def test_paper_with_grain_and_shade_gives_nearly_the_same_row() -> None:
    rng = np.random.default_rng(0)
    photo = drawing(at=(8, 6), paper=215, ink=40)
    photo += np.linspace(-30, 0, 280) + rng.normal(0, 5, photo.shape)
    row = prepare(photo.clip(0, 255), 255, MNIST)
    assert np.corrcoef(row, prepare(drawing(), 255, MNIST))[0, 1] > 0.97


def test_the_ink_fits_the_box_and_its_centre_of_mass_is_in_the_middle() -> None:
    row = np.rint(prepare(drawing(), 255, MNIST).reshape(28, 28))
    rows, columns = np.flatnonzero(row.any(axis=1)), np.flatnonzero(row.any(axis=0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    middle = (row.sum(axis=1) @ np.arange(28), row.sum(axis=0) @ np.arange(28)) / row.sum()
    np.testing.assert_allclose(middle, 14, atol=0.51)  # as in MNIST


@pytest.mark.parametrize("shade", [0, 7, 128, 255])
def test_a_blank_picture_raises(shade: int) -> None:
    with pytest.raises(DataError, match="blank"):
        prepare(np.full((50, 40), float(shade)), 255, MNIST)
