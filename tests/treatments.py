"""Treatments of digits: effects of scanners, cameras, pens and programs on a picture.

Each takes a digit of MNIST (28×28, uint8, light on dark) and a random generator, and returns the
content of an image file. `ARRAYS` does the same with a batch, and returns an array for a .npy file.

``python tests/treatments.py RUN`` prints the accuracy of a model for each treatment.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

import anynet
from anynet.cli.models import image_format
from anynet.cli.pictures import read_rows

Treatment = Callable[[np.ndarray, np.random.Generator], bytes]


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    if isinstance(image, np.ndarray) and image.dtype != np.uint16:
        image = Image.fromarray(np.clip(np.rint(image), 0, 255).astype(np.uint8))
    elif isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    content = io.BytesIO()
    image.save(content, format=kind, **options)
    return content.getvalue()


def share(digit: np.ndarray, side: int = 28) -> np.ndarray:
    """Scale a digit to side × side, and return the amount of ink in each pixel, 0 to 1."""
    image = Image.fromarray(digit)
    if side != 28:
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=float) / 255


def drawn(ink: np.ndarray, paper: float = 255.0, pen: float = 0.0) -> np.ndarray:
    return paper + (pen - paper) * ink


def placed(ink: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Place ink at some position on an empty page."""
    page = np.zeros(shape)
    y, x = (rng.integers(room - size + 1) for room, size in zip(shape, ink.shape, strict=True))
    page[y : y + ink.shape[0], x : x + ink.shape[1]] = ink
    return page


def either_way(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return drawn(ink) if rng.random() < 0.5 else drawn(ink, 0, 255)


def scaled(side: int) -> Treatment:
    return lambda digit, rng: encoded(either_way(share(digit, side), rng))


def off_centre(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    by = rng.choice([-4, -3, 3, 4], 2)
    return encoded(either_way(ndimage.shift(share(digit), by, order=0), rng))


def half_size(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    return encoded(either_way(placed(share(digit, 14), (28, 28), rng), rng))


def noisy(sigma: float, side: int = 140) -> Treatment:
    def treat(digit: np.ndarray, rng: np.random.Generator) -> bytes:
        page = drawn(share(digit, side), 200, 40)
        return encoded(page + rng.normal(0, sigma, page.shape))

    return treat


def salt_and_pepper(part: float, side: int) -> Treatment:
    def treat(digit: np.ndarray, rng: np.random.Generator) -> bytes:
        page = either_way(share(digit, side), rng)
        hit = rng.random(page.shape) < part
        return encoded(np.where(hit, rng.choice([0, 255], page.shape), page))

    return treat


def specks(number: int, side: int = 280, radius: float = 4) -> Treatment:
    """Add dots of ink in the margin."""

    def treat(digit: np.ndarray, rng: np.random.Generator) -> bytes:
        ink = share(digit, side)
        rows, columns = np.mgrid[:side, :side]
        for _ in range(number):
            along, edge = rng.uniform(0.02, 0.98), rng.uniform(0.02, 0.1)
            y, x = (along, edge) if rng.random() < 0.5 else (edge, along)
            y, x = (1 - y, 1 - x) if rng.random() < 0.5 else (y, x)
            ink[(rows - y * side) ** 2 + (columns - x * side) ** 2 <= radius**2] = 1
        return encoded(either_way(ink, rng))

    return treat


def framed(width: int, side: int = 28, sides: int = 4) -> Treatment:
    def treat(digit: np.ndarray, rng: np.random.Generator) -> bytes:
        ink = share(digit, side)
        for edge in rng.permutation(4)[:sides]:
            np.rot90(ink, edge)[:width] = 1
        return encoded(either_way(ink, rng))

    return treat


def framed_inside(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    """Draw a box around the digit, at some distance from the edge."""
    page = np.pad(np.pad(share(digit, 140), 2, constant_values=1), 30)
    return encoded(either_way(page, rng))


def _light(side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:side, :side] / (side - 1) * 2 - 1
    return x * np.cos(angle) + y * np.sin(angle), np.hypot(x, y)


def gradient(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    along, _ = _light(280, rng)
    return encoded(drawn(share(digit, 280), 240, 30) * (0.7 + 0.2 * along))


def vignette(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    _, radius = _light(280, rng)
    return encoded(drawn(share(digit, 280), 230, 30) * (1 - 0.3 * radius**2))


def shadow(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    along, _ = _light(280, rng)
    lit = 1 - 0.4 / (1 + np.exp(-(along - rng.uniform(-0.5, 0.5)) * 20))
    page = drawn(share(digit, 280), 220, 40) * lit
    return encoded(page + rng.normal(0, 4, page.shape))


def low_contrast(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    page = drawn(share(digit, 140), 150, 125)
    return encoded(page + rng.normal(0, 2, page.shape))


def blurred(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    return encoded(either_way(ndimage.gaussian_filter(share(digit, 140), 5), rng))


def jpeg(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    return encoded(either_way(share(digit, 112), rng), "JPEG", quality=10)


def transparent(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    alpha = np.rint(255 * share(digit, 140)).clip(0, 255).astype(np.uint8)
    pixels = np.empty((140, 140, 4), np.uint8)
    pixels[:] = rng.choice([0, 255], 1)
    pixels[..., 3] = alpha
    return encoded(Image.fromarray(pixels))


def coloured(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    pairs = [
        ((255, 240, 150), (20, 40, 160)),  # blue on yellow
        ((70, 120, 70), (240, 240, 230)),  # chalk on a board
        ((200, 40, 40), (40, 90, 60)),
        ((230, 200, 170), (200, 30, 40)),
        ((90, 130, 200), (210, 90, 90)),  # the same luminance
    ]
    paper, pen = np.array(pairs[rng.integers(len(pairs))], dtype=float)
    page = paper + (pen - paper) * share(digit, 140)[..., None]
    return encoded(page + rng.normal(0, 4, page.shape))


def palette(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    page = either_way(share(digit, 112), rng)
    return encoded(Image.fromarray(page.clip(0, 255).astype(np.uint8)).convert("RGB").quantize(8))


def sixteen_bits(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    return encoded((either_way(share(digit, 112), rng).clip(0, 255) * 257).astype(np.uint16))


def one_bit(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    return encoded(Image.fromarray(either_way(share(digit, 112), rng) > 127))


def turned_by_exif(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # displayed with a quarter turn clockwise
    return encoded(np.rot90(either_way(share(digit, 112), rng)), "JPEG", exif=exif)


def ruled(spacing: int, *, grid: bool, strength: float) -> Treatment:
    def treat(digit: np.ndarray, rng: np.random.Generator) -> bytes:
        ink = placed(share(digit, 280), (340, 340), rng)
        start = rng.integers(spacing)
        lines = np.zeros_like(ink)
        for line in (0, 1):
            lines[start + line :: spacing] = strength
            if grid:
                lines[:, start + line :: spacing] = strength
        return encoded(drawn(np.maximum(ink, lines), 245, 30))

    return treat


def margin(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    return encoded(either_way(placed(share(digit, 100), (620, 440), rng), rng))


def stroke(change: int) -> Treatment:
    """Make strokes thicker or thinner, in tenths of an MNIST pixel (approximate)."""

    def treat(digit: np.ndarray, rng: np.random.Generator) -> bytes:
        ink = share(digit, 280)
        disc = np.hypot(*np.mgrid[-20:21, -20:21]) <= abs(change) / 2
        morph = ndimage.grey_dilation if change > 0 else ndimage.grey_erosion
        return encoded(either_way(morph(ink, footprint=disc), rng))

    return treat


def hairline(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    """Draw the midline of the strokes, four pixels wide on 400 × 400."""
    line = np.pad(ndimage.gaussian_filter(share(digit, 200), 4) > 0.35, 1)
    before = ~line
    while (line != before).any():
        before = line
        for turn in range(4):
            for hit in ([[0, 0, 0], [0, 1, 0], [1, 1, 1]], [[0, 0, 0], [1, 1, 0], [0, 1, 0]]):
                miss = [[1, 1, 1], [0, 0, 0], [0, 0, 0]], [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
                pair = np.rot90(hit, turn), np.rot90(miss[hit[1][0]], turn)
                line = line & ~ndimage.binary_hit_or_miss(line, *pair)
    return encoded(either_way(line[1:-1].repeat(2, 0).repeat(2, 1).astype(float), rng))


def cropped(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    """Remove the whole margin."""
    ink = share(digit, 280)
    rows, columns = (np.flatnonzero((ink > 0.3).any(axis=axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return encoded(either_way(ink, rng))


def rotated(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    ink = ndimage.rotate(share(digit, 140), rng.choice([-10, 10]), reshape=False, order=1)
    return encoded(either_way(ink, rng))


def photographed(digit: np.ndarray, rng: np.random.Generator) -> bytes:
    """Combine mild treatments: a page in uneven light, noise, blur, JPEG."""
    along, radius = _light(400, rng)
    page = drawn(placed(share(digit, 250), (400, 400), rng), 210, 50)
    page *= 0.85 + 0.1 * along - 0.1 * radius**2
    page = ndimage.gaussian_filter(page, 1.5) + rng.normal(0, 8, page.shape)
    return encoded(page, "JPEG", quality=60)


TREATMENTS: dict[str, Treatment] = {
    "56 × 56 pixels": scaled(56),
    "112 × 112 pixels": scaled(112),
    "280 × 280 pixels": scaled(280),
    "1000 × 1000 pixels": scaled(1000),
    "16 × 16 pixels": scaled(16),
    "28 × 28, off centre by 3 or 4 pixels": off_centre,
    "28 × 28, half as large": half_size,
    "28 × 28, dark on light or light on dark": scaled(28),
    "grey paper, noise σ = 10": noisy(10),
    "grey paper, noise σ = 20": noisy(20),
    "28 × 28, grey paper, noise σ = 10": noisy(10, 28),
    "28 × 28, grey paper, noise σ = 20": noisy(20, 28),
    "salt and pepper, 5 %": salt_and_pepper(0.05, 140),
    "28 × 28, salt and pepper, 2 %": salt_and_pepper(0.02, 28),
    "one speck": specks(1),
    "six specks": specks(6),
    "28 × 28, one pixel of ink in the margin": specks(1, 28, 0.5),
    "28 × 28, frame of 1 pixel": framed(1),
    "28 × 28, frame of 3 pixels": framed(3),
    "28 × 28, frame on one or two sides": framed(1, sides=2),
    "280 × 280, frame of 10 pixels": framed(10, 280),
    "280 × 280, frame on one side": framed(6, 280, 1),
    "box drawn around the digit": framed_inside,
    "uneven light": gradient,
    "vignette": vignette,
    "shadow with an edge": shadow,
    "low contrast": low_contrast,
    "blur": blurred,
    "JPEG, quality 10": jpeg,
    "transparent paper": transparent,
    "colours": coloured,
    "palette of 8 colours": palette,
    "16 bits": sixteen_bits,
    "1 bit": one_bit,
    "EXIF orientation": turned_by_exif,
    "ruled paper": ruled(56, grid=False, strength=0.4),
    "squared paper": ruled(34, grid=True, strength=0.3),
    "ruled paper, lines as dark as the ink": ruled(80, grid=False, strength=1.0),
    "small on a large page": margin,
    "thick strokes": stroke(14),
    "thin strokes": stroke(-12),
    "hairline strokes": hairline,
    "cropped to the ink": cropped,
    "rotated by 10 degrees": rotated,
    "photograph": photographed,
}


def _mixed(digits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    light = rng.random((len(digits), 1, 1)) < 0.5
    return np.where(light, 255 - digits, digits)


ARRAYS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "rows (N, 784), dark on light": lambda x, rng: 255 - x.reshape(len(x), -1),  # noqa: ARG005
    "stack (N, 28, 28), dark on light": lambda x, rng: 255 - x,  # noqa: ARG005
    "rows, some dark on light": lambda x, rng: _mixed(x, rng).reshape(len(x), -1),
    "stack, some dark on light": _mixed,
    "rows from 0 to 1, dark on light": lambda x, rng: 1 - x.reshape(len(x), -1) / 255,  # noqa: ARG005
    "stack from 0 to 1, off centre": lambda x, rng: ndimage.shift(  # noqa: ARG005
        x / 255, (0, 3, -3), order=0
    ),
    "stack (N, 56, 56)": lambda x, rng: _mixed(x, rng).repeat(2, 1).repeat(2, 2),
}


def sample(number: int = 300, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Draw digits, and their labels, from the test set of MNIST."""
    x, y = anynet.load_dataset("mnist", download=False).test
    chosen = np.random.default_rng(seed).permutation(len(x))[:number]
    return x[chosen].reshape(-1, 28, 28), y[chosen]


def accuracies(model: Any, digits: np.ndarray, labels: np.ndarray) -> Iterator[tuple[str, float]]:
    """Measure the accuracy for each treatment; a missing answer counts as wrong."""
    wanted = image_format(model)

    def right(rows: Any) -> float:
        answers = [
            -1 if isinstance(row, anynet.DataError) else int(model.predict(row[None])[0])
            for row in rows
        ]
        return float(np.mean(answers == labels))

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        for name, treat in TREATMENTS.items():
            rng, rows = np.random.default_rng(7), []
            for digit in digits:
                path.write_bytes(treat(digit, rng))
                rows += read_rows(path, model.network.n_inputs, wanted)
            yield name, right(rows)
        for name, change in ARRAYS.items():
            np.save(path.with_suffix(".npy"), change(digits, np.random.default_rng(7)))
            yield name, right(read_rows(path.with_suffix(".npy"), model.network.n_inputs, wanted))


if __name__ == "__main__":
    sys.stdout.write("| treatment | accuracy |\n| --- | --- |\n")
    for name, accuracy in accuracies(anynet.load(sys.argv[1], backend="numpy"), *sample()):
        sys.stdout.write(f"| {name} | {accuracy:.3f} |\n")
