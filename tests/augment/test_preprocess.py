"""Deslanting and width normalisation: documented properties, comparison with SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from anynet.augment import Deslant, NormaliseWidth, preprocess
from anynet.augment.preprocess import from_config, to_config
from anynet.errors import InvalidArgumentError

SHAPE = (24, 30)


def strokes(rng: np.random.Generator, n_images: int, dtype: Any = np.uint8) -> np.ndarray:
    """Return smooth, off-centre, slanted blobs of ink on an empty background."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    images = []
    for _ in range(n_images):
        slant, centre = rng.uniform(-0.6, 0.6), rng.uniform(-2, 2, 2)
        rows, columns = y - 12 - centre[0], x - 15 - centre[1]
        shape = (rows / 5) ** 2 + ((columns + slant * rows) / 2.0) ** 2
        images.append(np.where(shape < 3, 255 * np.exp(-shape), 0))
    return np.rint(images).astype(dtype).reshape(n_images, -1)


def moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the slant of each image's ink, and its centre of mass."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].reshape(2, -1)
    weights = images / images.sum(axis=1, keepdims=True)
    centres = np.stack([weights @ y, weights @ x], axis=1)
    rows, columns = y - centres[:, :1], x - centres[:, 1:]
    return (weights * rows * columns).sum(1) / (weights * rows**2).sum(1), centres


def test_deslanted_ink_is_upright_and_keeps_its_centre(rng: np.random.Generator) -> None:
    images = strokes(rng, 40)
    out = preprocess(images, [Deslant()], SHAPE)
    assert out.dtype == np.uint8
    (before, centres), (after, new_centres) = moments(images), moments(out)
    assert np.abs(before).max() > 0.4
    assert np.abs(after).max() < 0.02
    np.testing.assert_allclose(new_centres, centres, atol=0.05)


def test_deslanting_matches_a_shear_by_scipy(rng: np.random.Generator) -> None:
    image = strokes(rng, 1, np.float64)
    (slant,), ((row, _),) = moments(image)
    expected = ndimage.affine_transform(
        image.reshape(SHAPE), [[1, 0], [slant, 1]], [0, -slant * row], order=1, mode="grid-constant"
    )
    out = preprocess(image, [Deslant()], SHAPE)
    np.testing.assert_allclose(out.reshape(SHAPE), expected, atol=1e-9)


@pytest.mark.parametrize("width", [8, 15, 20])
def test_width_normalised_ink_is_centred_and_has_the_given_width(
    rng: np.random.Generator, width: int
) -> None:
    images = np.zeros((30, *SHAPE), np.uint8)
    for image in images:
        top, left = rng.integers(0, 8, 2)
        image[top : top + rng.integers(3, 16), left : left + rng.integers(4, 22)] = 200
    out = preprocess(images.reshape(30, -1), [NormaliseWidth(width)], SHAPE).reshape(-1, *SHAPE)
    dark = out > 100
    np.testing.assert_array_equal(dark.any(axis=2), images.any(axis=2))  # rows are unchanged
    columns = dark.any(axis=1)
    assert np.abs(columns.sum(axis=1) - width).max() <= 1
    first, last = np.argmax(columns, axis=1), SHAPE[1] - 1 - np.argmax(columns[:, ::-1], axis=1)
    np.testing.assert_allclose((first + last) / 2, (SHAPE[1] - 1) / 2, atol=0.5)


def test_centred_ink_of_the_given_width_is_unchanged() -> None:
    image = np.zeros((1, *SHAPE), np.uint8)
    image[0, 3:20, 10:20] = 200
    out = preprocess(image.reshape(1, -1), [NormaliseWidth(10)], SHAPE)
    np.testing.assert_array_equal(out, image.reshape(1, -1))


@pytest.mark.parametrize("step", [Deslant(), NormaliseWidth()])
def test_images_without_a_slant_keep_their_ink(step: Any) -> None:
    """Blank images, one full row (which has no slant), and an empty batch."""
    images = np.zeros((2, *SHAPE), np.uint8)
    images[1, 5, 5:25] = 9
    flat = images.reshape(2, -1)
    np.testing.assert_array_equal(preprocess(flat, [step], SHAPE)[:1], flat[:1])
    assert preprocess(flat, [step], SHAPE)[1].sum() == pytest.approx(flat[1].sum(), rel=0.1)
    assert preprocess(flat[:0], [step], SHAPE).shape == (0, flat.shape[1])


def test_steps_are_applied_in_order_and_have_lossless_configurations(
    rng: np.random.Generator,
) -> None:
    images, steps = strokes(rng, 3), (Deslant(), NormaliseWidth(12))
    one_by_one = preprocess(preprocess(images.astype(float), steps[:1], SHAPE), steps[1:], SHAPE)
    np.testing.assert_allclose(preprocess(images, steps, SHAPE), one_by_one, atol=0.5)
    assert from_config(to_config(steps)) == steps
    assert preprocess(images, (), None) is not None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: preprocess(x, [Deslant()], None), "whose shape is known"),
        (lambda x: preprocess(x, [Deslant()], (7, 7)), r"image shape \(7, 7\)"),
        (lambda x: preprocess(x - 300.0, [Deslant()], SHAPE), "ink above 0"),
        (lambda x: preprocess(x, [NormaliseWidth(31)], SHAPE), "does not fit images"),
        (lambda _: NormaliseWidth(0), "pixels, must be a whole number of at least 1, got 0"),
        (lambda _: NormaliseWidth(2.5), "got 2.5"),
        (lambda _: from_config([{"kind": "blur"}]), "known are deslant, width"),
        (lambda _: from_config([{"kind": "deslant", "by": 3}]), "unknown preprocessing"),
        (lambda _: from_config(3), "unknown preprocessing"),
    ],
)
def test_invalid_input_raises(rng: np.random.Generator, call: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        call(strokes(rng, 1))
