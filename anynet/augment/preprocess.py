"""Preprocessing of images before training and prediction: deslanting and normalised width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from anynet import config
from anynet.checks import check_whole
from anynet.config import register, registered
from anynet.errors import InvalidArgumentError

STEEPEST = 1.0  # pixels sideways per row: the slant of a horizontal stroke is not defined
BLOCK = 128  # images at a time, so that intermediate arrays fit in the cache


@register("preprocessing")
@dataclass(frozen=True)
class Deslant:
    """Shear each image so that its ink is upright.

    Rows are shifted so that the covariance of the ink's x and y is 0, by at most 45°; the centre of
    mass of the ink does not move. LeCun et al. 1998, "Gradient-Based Learning Applied to
    Document Recognition", section III.C, deslanted the inputs of their linear classifiers.
    """

    kind: ClassVar[str] = "deslant"

    def columns(self, images: np.ndarray) -> np.ndarray:
        """Return the source of each pixel of (N, H, W) as a position in its row, (N, H, W)."""
        _, height, width = images.shape
        mass = np.maximum(images.sum(axis=(1, 2)), np.finfo(np.float64).tiny)
        y = np.arange(height) - (images.sum(axis=2) @ np.arange(height) / mass)[:, None]
        x = np.arange(width) - (images.sum(axis=1) @ np.arange(width) / mass)[:, None]
        covariance = np.einsum("nij,ni,nj->n", images, y, x, optimize=True)
        variance = np.einsum("nij,ni->n", images, y**2, optimize=True)
        slant = covariance / np.maximum(variance, np.finfo(np.float64).tiny)
        slant = np.clip(slant, -STEEPEST, STEEPEST)
        moved: np.ndarray = np.arange(width) + (slant[:, None] * y)[:, :, None]
        return moved


@register("preprocessing")
@dataclass(frozen=True)
class NormaliseWidth:
    """Stretch each image horizontally to a given width of its ink, and centre it.

    Cireşan et al. 2011, "Convolutional Neural Network Committees for Handwritten Character
    Classification", section II, train the members of a committee on widths from 10 to 20.

    Parameters
    ----------
    width : int
        Pixels from the first column with ink to the last, at most the width of the image.
    """

    kind: ClassVar[str] = "width"

    width: int = 20

    def __post_init__(self) -> None:
        check_whole("the width of ink, in pixels,", self.width)

    def columns(self, images: np.ndarray) -> np.ndarray:
        """Return the source of each pixel of (N, H, W) as a position in its row, (N, H, W)."""
        n_images, height, width = images.shape
        if self.width > width:
            message = f"ink of {self.width} pixels does not fit images of width {width}"
            raise InvalidArgumentError(message)
        inked: np.ndarray = np.any(images > 0, axis=1)
        first = np.argmax(inked, axis=1)
        last = width - 1 - np.argmax(inked[:, ::-1], axis=1)
        from_centre = np.arange(width) - (width - 1) / 2
        stretch = np.where(np.any(inked, axis=1), (last - first + 1) / self.width, 1.0)
        x = (first + last)[:, None] / 2 + stretch[:, None] * from_centre
        return np.broadcast_to(x[:, None, :], (n_images, height, width))


PREPROCESSINGS: Mapping[str, Any] = registered("preprocessing")


def preprocess(
    samples: Any, steps: Sequence[Any], image_shape: tuple[int, int] | None
) -> np.ndarray:
    """Apply preprocessing steps one after another.

    Parameters
    ----------
    samples : array of shape (N, H·W)
        Images on a background of 0, in any real dtype, on the host.
    steps : sequence of Deslant, NormaliseWidth
    image_shape : (int, int) or None
        H and W; None for samples that are not images.

    Returns
    -------
    ndarray of shape (N, H·W)
        In the same dtype; integers are rounded.

    Raises
    ------
    InvalidArgumentError
        If the samples are not such images.
    """
    x: np.ndarray = np.asarray(samples)
    if not steps:
        return x
    if image_shape is None or x.ndim != 2 or x.shape[1] != image_shape[0] * image_shape[1]:
        message = (
            f"{steps[0].kind} needs images (N, rows · columns) whose shape is known, got "
            f"samples of shape {x.shape} and image shape {image_shape}"
        )
        raise InvalidArgumentError(message)
    if x.size and x.min() < 0:
        message = f"{steps[0].kind} needs ink above 0 on a background of 0, found {x.min():g}"
        raise InvalidArgumentError(message)
    parts = [_transform(x[i : i + BLOCK], steps, image_shape) for i in range(0, len(x), BLOCK)]
    return np.concatenate(parts) if parts else x


def _transform(x: np.ndarray, steps: Sequence[Any], shape: tuple[int, int]) -> np.ndarray:
    images: Any = x.astype(np.float64).reshape(-1, *shape)
    for step in steps:
        images = _sample_rows(images, step.columns(images))
    images = images.reshape(x.shape)
    rounded: np.ndarray = images if x.dtype.kind == "f" else np.rint(images)
    return rounded.astype(x.dtype)


def _sample_rows(images: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Interpolate each row of (N, H, W) linearly at positions in it; outside of the row it is 0."""
    height, width = images.shape[1:]
    positions = np.clip(columns.astype(images.dtype), -1, width)
    left = np.floor(positions)
    row = width + 3  # one zero before, two after
    padded = np.zeros((len(images), height, row), dtype=images.dtype)
    padded[:, :, 1:-2] = images
    starts = np.arange(1, padded.size, row).reshape(-1, height, 1)
    index = left.astype(np.intp) + starts
    before, after = (padded.reshape(-1).take(index + offset) for offset in (0, 1))
    sampled: np.ndarray = before + (positions - left) * (after - before)
    return sampled


def to_config(steps: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the configurations of preprocessing steps as JSON."""
    return [config.to_config(step) for step in steps]


def from_config(configs: Any) -> tuple[Any, ...]:
    """Return the preprocessing steps from the result of ``to_config``.

    Raises
    ------
    InvalidArgumentError
        If a kind or an option of one is unknown.
    """
    listed = configs if isinstance(configs, (list, tuple)) else [configs]
    return tuple(config.from_config("preprocessing", one) for one in listed)
