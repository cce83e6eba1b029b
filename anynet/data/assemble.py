"""Data sets from arrays, or from samples on disk, of many shapes and types."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anynet.data.dataset import Arrays, Dataset, grey_shape
from anynet.data.finite import first_not_finite
from anynet.data.measure import are_centred, choose_scale, ink_box, shades_of
from anynet.data.sources.source import Source
from anynet.data.subset import hold_out
from anynet.errors import DataError

MEASURED = 10_000  # images on disk whose ink is measured
_MAX_CODE_POINT = 0x10FFFF


def from_arrays(name: str, train: Arrays, test: Arrays | None = None) -> Dataset:
    """Make a data set of samples and labels of any shape and type.

    Samples are flattened. Their scale is that of `anynet.data.measure.choose_scale` for the
    training set, which also notes what it did.
    Labels may be any whole numbers or strings: the classes are their sorted distinct values.

    Parameters
    ----------
    name : str
        The name of the data set.
    train : tuple of ndarray
        Samples (N, ...) and labels (N,) or (N, 1). Samples of shape (N, rows, columns) are images,
        and so are those with one channel: (N, rows, columns, 1) or (N, 1, rows, columns).
    test : tuple of ndarray, optional
        The same for the test set. Without it every fifth training sample is held out, see
        `anynet.data.subset.hold_out`.

    Returns
    -------
    Dataset
        The data set.

    Raises
    ------
    DataError
        If shapes or types do not agree, a sample is not finite, or there are fewer than two
        classes.
    """
    pairs = [train] if test is None else [train, test]
    pairs = [(_samples(x, name), y) for x, y in pairs]
    for x, y in pairs:
        check_counts(name, x, y)
    return assemble(name, pairs, pairs[0][0].shape[1:])


def assemble(
    name: str, pairs: Sequence[tuple[Any, npt.NDArray[Any]]], sample_shape: tuple[int, ...]
) -> Dataset:
    """Make a data set of checked samples and labels.

    Parameters
    ----------
    name : str
        The name of the data set.
    pairs : sequence of tuple
        Samples, an array (N, ...) or a `Source`, and labels: of the training set, and perhaps of
        the test set.
    sample_shape : tuple of int
        The shape of a sample before flattening.

    Returns
    -------
    Dataset
        The data set, see `from_arrays`.

    Raises
    ------
    DataError
        If training and test set do not agree, or there are fewer than two classes.
    """
    x, last = pairs[0][0], pairs[-1][0]
    if x.shape[1:] != last.shape[1:] or x.dtype != last.dtype:
        message = (
            f"{name!r} has training samples of shape {x.shape[1:]} and type {x.dtype}, and "
            f"test samples of different shape or type, {last.shape[1:]} and {last.dtype}: "
            f"expected the same"
        )
        raise DataError(message)
    classes, labels = number_labels([y for _, y in pairs], name)
    sets = [(x, y) for (x, _), y in zip(pairs, labels, strict=True)]
    if len(sets) == 1:
        sets = [(x[index], labels[0][index]) for index in hold_out(labels[0], repr(name))]
    x = sets[0][0]
    scale, notes = choose_scale(x, image=len(sample_shape) >= 2)
    shape = grey_shape(sample_shape)
    images = None
    if shape:
        images = x.read(np.arange(min(len(x), MEASURED))) if isinstance(x, Source) else x
        images = images.reshape(len(images), *shape)
    train, test = ((x if isinstance(x, Source) else flatten(x), y) for x, y in sets)
    return Dataset(
        name=name,
        train=train,
        test=test,
        classes=classes,
        scale=scale,
        image_shape=shape,
        image_box=None if images is None else ink_box(images),
        image_centred=images is not None and are_centred(images),
        image_shades=None if images is None else shades_of(images, scale),
        notes=notes,
    )


def number_labels(
    sets: Sequence[npt.NDArray[Any]], name: str
) -> tuple[tuple[str, ...], list[npt.NDArray[np.int64]]]:
    """Return the sorted classes of all sets, and each set's labels as indices into them.

    Parameters
    ----------
    sets : sequence of ndarray
        Labels (N,) or (N, 1), strings or whole numbers.
    name : str
        The data set, for the message.

    Returns
    -------
    classes : tuple of str
        The names of the classes.
    labels : list of ndarray of int64
        Shape (N,) each.

    Raises
    ------
    DataError
        If labels are neither strings nor whole numbers, or there are fewer than two classes.
    """
    labels = [_labels(y, name) for y in sets]
    if len({y.dtype.kind for y in labels}) > 1:
        message = f"{name!r}: one set has string labels and the other numeric ones: use one type"
        raise DataError(message)
    values, codes = np.unique(np.concatenate(labels), return_inverse=True)
    if values.size < 2:
        message = f"{name!r} has one class, {values[0]!s}: expected at least two"
        raise DataError(message)
    ends = np.cumsum([y.size for y in labels])[:-1]
    return tuple(map(str, values)), np.split(codes.astype(np.int64), ends)


def flatten(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return samples of shape (N, ...) as rows of shape (N, features)."""
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
        If there are no samples, or not one label for each.
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
            "features) or (samples, rows, columns), of integers or floats of at most 64 bits"
        )
        raise DataError(message)
    bad = first_not_finite(x.reshape(len(x), -1)) if x.dtype.kind == "f" and x.size else None
    if bad is not None:
        message = (
            f"{name!r} has samples that are not finite, first at row {bad[0]}, column {bad[1]}: "
            f"replace NaN and infinity beforehand"
        )
        raise DataError(message)
    return x.astype(np.uint8) if x.dtype.kind == "b" else x


def _labels(y: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Return labels of shape (N,): strings unchanged, numbers as int64."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 1 and y.dtype.kind == "U" and _is_printable(y):
        return y
    if y.ndim == 1 and y.dtype.kind in "biuf":
        # Whole numbers may be stored as floats; those beyond int64 differ after the conversion.
        with np.errstate(invalid="ignore"):
            whole = y.astype(np.int64)
        if np.array_equal(whole, y) and not (y.dtype.kind == "u" and (whole < 0).any()):
            return whole
    message = (
        f"{name!r} has labels of shape {y.shape} and type {y.dtype}: expected one whole number or "
        "string for each sample"
    )
    raise DataError(message)


def _is_printable(words: npt.NDArray[Any]) -> bool:
    """Return whether all characters of strings from a file can be printed on one line."""
    codes = np.ascontiguousarray(words).view(np.uint32)
    return bool((codes <= _MAX_CODE_POINT).all()) and all(
        str(word).isprintable() for word in np.unique(words)
    )
