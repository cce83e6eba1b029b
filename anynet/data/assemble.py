"""From arrays of anyone's making to a `Dataset`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anynet.data.dataset import Arrays, Dataset, grey_shape
from anynet.data.finite import first_not_finite
from anynet.data.holdout import hold_out
from anynet.data.scaling import blocks_of, choose_scale, measure
from anynet.errors import DataError

_MAX_CODE_POINT = 0x10FFFF


def from_arrays(name: str, train: Arrays, test: Arrays | None = None) -> Dataset:
    """Make a data set of samples and labels in whatever shape and type they come.

    Samples are flattened. Bytes get the scale 1/255 (or 1 where they are only zeros and ones, as
    booleans become), other numbers that of `anynet.data.scaling.choose_scale` for the training set,
    which also notes what it did.
    Labels may be any whole numbers or words: the classes are their sorted distinct values.

    Parameters
    ----------
    name : str
        The name of the data set.
    train : tuple of ndarray
        Samples (N, ...) and labels (N,) or (N, 1). Samples of shape (N, rows, columns) are images,
        and so are those with one channel: (N, rows, columns, 1) or (N, 1, rows, columns).
    test : tuple of ndarray, optional
        The same for the test set. Without it every fifth training sample is held out, see
        `anynet.data.holdout.hold_out`.

    Returns
    -------
    Dataset
        The data set.

    Raises
    ------
    DataError
        When shapes or types do not agree, a sample is not finite, or there are fewer than two
        classes.
    """
    pairs = [train] if test is None else [train, test]
    samples = [_samples(x, name) for x, _ in pairs]
    for x, (_, y) in zip(samples, pairs, strict=True):
        check_counts(name, x, y)
    first, last = samples[0], samples[-1]
    if first.shape[1:] != last.shape[1:] or first.dtype != last.dtype:
        message = (
            f"{name!r} has training samples of shape {first.shape[1:]} and type {first.dtype}, and "
            f"test samples of shape {last.shape[1:]} and type {last.dtype}: expected the same"
        )
        raise DataError(message)
    classes, labels = number_labels([y for _, y in pairs], name)
    y_train, y_test = labels[0], labels[-1]
    if test is None:
        kept, held = hold_out(y_train, repr(name))
        first, last, y_train, y_test = first[kept], first[held], y_train[kept], y_train[held]
    image = grey_shape(first.shape[1:])
    scale, notes = _scale(first)
    return Dataset(
        name=name,
        train=(flatten(first), y_train),
        test=(flatten(last), y_test),
        classes=classes,
        scale=scale,
        image_shape=image,
        image_box=ink_box(first.reshape(len(first), *image)) if image else None,
        image_centred=image is not None and are_centred(first.reshape(len(first), *image)),
        image_shades=shades_of(first.reshape(len(first), *image), scale) if image else None,
        notes=notes,
    )


def number_labels(
    sets: Sequence[npt.NDArray[Any]], name: str
) -> tuple[tuple[str, ...], list[npt.NDArray[np.int64]]]:
    """Return the classes of all sets, sorted, and each set's labels as indices into them.

    Raises
    ------
    DataError
        When labels are neither words nor whole numbers, or there are fewer than two classes.
    """
    labels = [_labels(y, name) for y in sets]
    if len({y.dtype.kind for y in labels}) > 1:
        message = f"{name!r} has words for labels in one set, numbers in the other: expected one"
        raise DataError(message)
    values, codes = np.unique(np.concatenate(labels), return_inverse=True)
    if values.size < 2:
        message = f"{name!r} has one class, {values[0]!s}: expected two at least"
        raise DataError(message)
    ends = np.cumsum([y.size for y in labels])[:-1]
    return tuple(map(str, values)), np.split(codes.astype(np.int64), ends)


def flatten(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Turn samples of shape (N, ...) into rows of shape (N, features)."""
    return samples.reshape(samples.shape[0], -1)


def check_counts(name: str, samples: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
    """Check that there are samples, and one label for each.

    Parameters
    ----------
    name : str
        The data set or file, for the message.
    samples, labels : ndarray
        Arrays with one entry for each sample along the first axis.

    Raises
    ------
    DataError
        When there are none, or not as many labels as samples.
    """
    if not samples.size or len(samples) != len(labels):
        message = (
            f"{name!r} has {len(labels)} labels for samples of shape {samples.shape}: expected at "
            "least one sample and a label for each"
        )
        raise DataError(message)


def _samples(x: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    if x.ndim < 2 or x.dtype.kind not in "biuf" or x.dtype.itemsize > 8:
        message = (
            f"{name!r} has samples of shape {x.shape} and type {x.dtype}: expected (samples, "
            "features) or (samples, rows, columns), of integers or floats of 64 bits at most"
        )
        raise DataError(message)
    place = first_not_finite(x.reshape(len(x), -1)) if x.dtype.kind == "f" and x.size else None
    if place is not None:
        message = (
            f"{name!r} has samples that are not finite, first at row {place[0]}, column "
            f"{place[1]}: replace NaN and infinity beforehand"
        )
        raise DataError(message)
    return x.astype(np.uint8) if x.dtype.kind == "b" else x


def _labels(y: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Return labels of shape (N,): words as they are, numbers as int64."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 1 and y.dtype.kind == "U" and _is_printable(y):
        return y
    if y.ndim == 1 and y.dtype.kind in "biuf":
        # Whole numbers in floating point are labels too; what int64 cannot hold comes back changed.
        with np.errstate(invalid="ignore"):
            whole = y.astype(np.int64)
        if np.array_equal(whole, y) and not (y.dtype.kind == "u" and (whole < 0).any()):
            return whole
    message = (
        f"{name!r} has labels of shape {y.shape} and type {y.dtype}: expected one whole number or "
        "word for each sample"
    )
    raise DataError(message)


def _is_printable(words: npt.NDArray[Any]) -> bool:
    """Whether text from a file is made of characters that can be shown on one line."""
    codes = np.ascontiguousarray(words).view(np.uint32)
    return bool((codes <= _MAX_CODE_POINT).all()) and all(
        str(word).isprintable() for word in np.unique(words)
    )


def _scale(x: npt.NDArray[Any]) -> tuple[float, tuple[str, ...]]:
    if x.dtype == np.uint8:
        return (1 / 255 if x.max() > 1 else 1.0), ()
    return choose_scale(measure(blocks_of(x)), x.dtype, image=x.ndim >= 3)


def ink_sizes(images: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Measure the longest side of the box around what is not zero, for each image (N, H, W)."""
    ink = images != 0
    longest = np.zeros(len(images), dtype=np.int64)
    for across in (1, 2):
        profile = ink.any(axis=across)
        after = profile.shape[1] - profile[:, ::-1].argmax(axis=1)
        longest = np.maximum(longest, (after - profile.argmax(axis=1)) * profile.any(axis=1))
    return longest


def ink_box(images: npt.NDArray[Any]) -> int:
    """Measure the longest side of the box around what is not zero, over all images (N, H, W)."""
    return int(ink_sizes(images).max(initial=0)) or max(images.shape[1:])


def are_centred(images: npt.NDArray[Any]) -> bool:
    """Whether images (N, H, W) follow the convention of MNIST.

    Nearly all have ink of the same size, smaller than the image, with its centre of mass in the
    middle. The first thousand are examined.
    """
    some = np.abs(images[:1000].astype(np.float64))
    sizes, mass = ink_sizes(some), some.sum(axis=(1, 2))
    if not mass.all() or sizes.max(initial=0) == max(some.shape[1:]):
        return False
    follows = sizes >= sizes.max() - 1
    for axis in (1, 2):
        middle = some.sum(axis=3 - axis) @ np.arange(some.shape[axis]) / mass
        follows &= np.abs(middle - some.shape[axis] / 2) < 1
    return bool(np.mean(follows) > 0.95)


def shades_of(images: npt.NDArray[Any], scale: float) -> tuple[float, float] | None:
    """Return the values of background and ink; None where they are 0 and 1 / scale.

    Images (N, H, W) are dark on light where most of their borders are. The first thousand are
    examined.
    """
    some = images[:1000].astype(np.float64)
    low, high = min(float(some.min()), 0.0), float(some.max())
    edges = (some[:, 0], some[:, -1], some[:, :, 0], some[:, :, -1])
    light = np.median(np.concatenate([edge.ravel() for edge in edges])) > (low + high) / 2
    high = 1 / scale if low == 0 else high
    if low == high or (low == 0 and not light):
        return None
    return (high, low) if light else (low, high)
