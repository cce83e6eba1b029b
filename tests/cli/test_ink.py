"""Pictures of one drawn digit: paper, scanner and pen do not change the result."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from treatments import ARRAYS, TREATMENTS

from anynet.cli.pictures import read_rows
from anynet.data.image_format import ImageFormat
from anynet.errors import DataError

MNIST = ImageFormat((28, 28), 20, 255.0)
#: These change the digit itself or its resolution.
OTHERWISE = ("thick", "thin", "hairline", "rotated", "blur", "16 × 16", "half as large")


@pytest.fixture(scope="module")
def digit() -> np.ndarray:
    """Draw a 4 in the layout of MNIST: in a box of 20, with its centre of mass in the middle."""
    picture = Image.new("L", (280, 280))
    pen = ImageDraw.Draw(picture)
    pen.line([(110, 50), (80, 140), (185, 140)], fill=255, width=26, joint="curve")
    pen.line([(160, 80), (150, 230)], fill=255, width=26)
    content = io.BytesIO()
    picture.save(content, format="PNG")
    return row_of(content.getvalue(), None).reshape(28, 28).astype(np.uint8)


def row_of(content: bytes, folder: Path | None) -> np.ndarray:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "picture"
        path.write_bytes(content)
        (row,) = read_rows(path, 784, MNIST)
    if isinstance(row, DataError):
        raise row
    return row


def likeness(row: np.ndarray, digit: np.ndarray) -> float:
    """Correlate a row with a digit; the centre of mass may be rounded to the next pixel."""
    shifts = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    moved = [np.roll(digit, shift, (0, 1)).reshape(-1) for shift in shifts]
    return max(float(np.corrcoef(row, each)[0, 1]) for each in moved)


@pytest.mark.parametrize("name", [n for n in TREATMENTS if not any(w in n for w in OTHERWISE)])
def test_a_treated_digit_gives_the_row_of_the_clean_digit(
    name: str, digit: np.ndarray, tmp_path: Path
) -> None:
    row = row_of(TREATMENTS[name](digit, np.random.default_rng(5)), tmp_path)
    assert likeness(row, digit) > 0.9


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_either_polarity_give_the_row_of_the_clean_digit(
    name: str, digit: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", ARRAYS[name](np.stack([digit] * 3), np.random.default_rng(5)))
    for row in read_rows(tmp_path / "x.npy", 784, MNIST):
        assert likeness(row, digit) > 0.9


def _without_a_digit(digit: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    large = np.asarray(Image.fromarray(digit).resize((140, 140)))
    return {
        "noise": rng.uniform(0, 255, (28, 28)),
        "paper with noise": 200 + rng.normal(0, 20, (140, 140)),
        "fine noise": rng.uniform(0, 255, (280, 280)),
        "a gradient": np.add.outer(np.linspace(0, 100, 200), np.linspace(50, 150, 200)),
        "two digits": 255 - np.hstack([large, large]),
        "two digits above each other": np.vstack([large, large]),
        "a disc": 255.0 * (np.hypot(*np.mgrid[-90:90, -90:90]) > 60),
        "squares": 255.0 * (np.add.outer(np.arange(200) // 20, np.arange(200) // 20) % 2),
        "stripes": 255.0 * np.add.outer(np.arange(200) // 12 % 2, np.zeros(200)),
        "ruled paper": np.where(np.arange(200) % 40 < 2, 120.0, 240.0)[:, None] * np.ones(200),
    }


@pytest.mark.parametrize("kind", _without_a_digit(np.zeros((28, 28), np.uint8)))
def test_a_picture_without_exactly_one_digit_raises(
    kind: str, digit: np.ndarray, tmp_path: Path
) -> None:
    shades = _without_a_digit(digit)[kind].clip(0, 255).astype(np.uint8)
    Image.fromarray(shades).save(tmp_path / "x.png")
    (row,) = read_rows(tmp_path / "x.png", 784, MNIST)
    assert isinstance(row, DataError)
    assert str(tmp_path / "x.png") in str(row)


def test_garments_keep_their_shades_and_position(tmp_path: Path) -> None:
    """Pictures for a network of other objects than characters are not cleaned."""
    garments = ImageFormat((28, 28), 28, 255.0, strokes=False)
    shades = np.zeros((28, 28), np.uint8)
    shades[3:25, 6:20] = np.random.default_rng(0).integers(60, 255, (22, 14))
    Image.fromarray(shades).save(tmp_path / "x.png")
    np.save(tmp_path / "x.npy", 255 - shades.reshape(1, 784))
    (row,) = read_rows(tmp_path / "x.png", 784, garments)
    np.testing.assert_array_equal(row, shades.reshape(-1))
    (row,) = read_rows(tmp_path / "x.npy", 784, garments)
    np.testing.assert_array_equal(row, 255 - shades.reshape(-1))
