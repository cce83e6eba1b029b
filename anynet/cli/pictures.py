"""Read pictures from files: PNG, JPEG, IDX and .npy, detected by their first bytes."""

import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from anynet.cli.ink import WORKING, prepare
from anynet.cli.paper import BLANK, Floats
from anynet.data import read_idx
from anynet.data.dataset import grey_shape
from anynet.data.files import reading
from anynet.data.image_format import ImageFormat
from anynet.data.npy import read_npy
from anynet.errors import DataError

_NPY = b"\x93NUMPY"
_IDX = (b"\x00\x00", b"\x1f\x8b")  # IDX begins with two zeros; gzip may hold IDX

_SCAN = b"\xff\xda"  # begins a scan of a JPEG, and does not occur within one

#: Maximum number of scans of a JPEG: each may visit all pixels, and encoders write about ten.
MOST_SCANS = 100
#: Maximum expansion of deflate, and so of PNG; a pixel takes at least one bit.
DEFLATE = 1032
#: Number of pixels; pictures of several times as many are reduced by averaging blocks.
ENOUGH_PIXELS = WORKING**2


def read_rows(
    path: Path, features: int, wanted: ImageFormat | None
) -> Sequence[Floats | DataError]:
    """Read the pictures in a file as rows for the network.

    An array may hold rows (N, features), one picture of the shape of the training images, or a
    stack (N, H, W) of any size. A single picture of another size must be (1, H, W), since it cannot
    be distinguished from rows of another length. Rows of characters are prepared like pictures. Of
    other rows and stacks in the size of the training images only the scale of the values is
    adapted, unless these have negative values.

    Parameters
    ----------
    path : Path
        PNG, JPEG, IDX (gzip or not) or .npy.
    features : int
        Number of inputs of the network.
    wanted : ImageFormat or None
        Format of the training images. None for a network that was not trained on pictures, which
        takes only rows.

    Returns
    -------
    sequence of N arrays (features,) or DataError
        An error in place of each picture in which nothing is recognisable.

    Raises
    ------
    DataError
        If the file cannot be read, or its content is invalid.
    """
    try:
        with reading(path), path.open("rb") as file:
            start = file.read(len(_NPY))
            if start == _NPY:
                return _rows_of(path, read_npy(path), features, wanted)
            if start.startswith(_IDX):
                return _rows_of(path, read_idx(path), features, wanted)
            if wanted is None:
                message = (
                    f"this model was not trained on pictures (in grey): it takes rows of "
                    f"{features} features, as .npy or IDX"
                )
                raise DataError(message)
            grey, top = _read_image(path)
            return [_attempt(f"{path}: ", grey, top, wanted)]
    except DataError as error:
        message = str(error)
        raise DataError(message if str(path) in message else f"{path}: {message}") from error


def _rows_of(
    path: Path, array: Any, features: int, wanted: ImageFormat | None
) -> Sequence[Floats | DataError]:
    """Return the rows of an array, which holds rows, one picture or a stack of them."""
    if array.dtype.kind not in "buif" or array.size == 0:
        message = f"expected numbers, found {array.size} values of type {array.dtype}"
        raise DataError(message)
    values = np.asarray(array, dtype=np.float64)
    if not np.isfinite(values).all():
        message = "the array holds values that are not finite"
        raise DataError(message)
    if wanted is None:  # samples of any shape, flattened as for training
        if values.size == features:
            return list(values.reshape(1, features))
        if math.prod(values.shape[1:]) != features:
            message = f"expected rows of {features} features, found an array of shape {array.shape}"
            raise DataError(message)
        return list(values.reshape(-1, features))
    if values.shape == (*wanted.shape, 1):
        values = values[..., 0]
    elif values.ndim == 4 and (shape := grey_shape(values.shape[1:])):
        values = values.reshape(-1, *shape)
    rows = values[None] if values.ndim == 1 else values
    own_shape = rows.shape[1:] == (features,) or values.shape[-2:] == wanted.shape
    if own_shape and min(wanted.paper, wanted.top) < 0:  # no other scale can be inferred
        return list(values.reshape(-1, features))
    if values.min() < 0:
        message = f"expected shades from 0 upwards, found {values.min():g}"
        raise DataError(message)
    unit = max(wanted.paper, wanted.top)
    top = _white(values, unit)
    if own_shape and not wanted.strokes:
        return list(values.reshape(-1, features) * (unit / top))
    if rows.shape[1:] == (features,) and values.shape != wanted.shape:
        values = rows.reshape(-1, *wanted.shape)
    stack = values[None] if values.shape == wanted.shape else values
    if stack.ndim != 3 or stack.shape[-1] in (3, 4):
        message = (
            f"expected rows (N, {features}), one picture {wanted.shape}, or pictures of any size "
            f"as a stack (N, H, W), found an array of shape {array.shape}"
        )
        raise DataError(message)
    return [_attempt(f"{path}: image {i}: ", grey, top, wanted) for i, grey in enumerate(stack)]


def _attempt(where: str, grey: Floats, top: float, wanted: ImageFormat) -> Floats | DataError:
    try:
        return prepare(grey, top, wanted)
    except DataError as error:
        return DataError(f"{where}{error}")


def _white(values: Floats, unit: float) -> float:
    """Infer the value of white: the smallest of the usual ones that no value exceeds."""
    most = float(values.max())
    return min((top for top in (1.0, unit, 255.0, 65535.0) if top >= most), default=most)


def _read_image(path: Path) -> tuple[Floats, float]:
    """Decode a PNG or JPEG upright; return it with the value of white."""
    content = path.read_bytes()
    if content.count(_SCAN) > MOST_SCANS:
        message = f"a JPEG of more than {MOST_SCANS} scans, which would take too long to decode"
        raise DataError(message)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unusual metadata are not an error
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as image:
                _check_claim(image, len(content))
                return _grey(ImageOps.exif_transpose(image))
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            message = f"more than {Image.MAX_IMAGE_PIXELS:,} pixels: too large to decode safely"
            raise DataError(message) from error
        except UnidentifiedImageError as error:
            message = "not a PNG, JPEG, IDX or .npy file"
            raise DataError(message) from error
        except DataError:
            raise
        except Exception as error:  # decoders raise many errors, always because of the file
            message = f"a damaged image ({error})"
            raise DataError(message) from error


def _check_claim(image: Image.Image, size: int) -> None:
    """Check before memory is allocated that the file can hold as many pixels as it claims."""
    if image.width * image.height > 8 * DEFLATE * size:
        message = f"a damaged image: {image.width}×{image.height} pixels cannot be in {size} bytes"
        raise DataError(message)


def _grey(image: Image.Image) -> tuple[Floats, float]:
    """Convert any mode to grey; transparency is white paper, or black if the ink is white."""
    if image.mode.startswith(("I", "F")):
        deep = _floats(image)
        return deep, _white(deep, 255.0)
    if "A" not in image.getbands() and "transparency" not in image.info:
        return _shades(image), 255.0
    image = _reduced(image if image.mode == "RGBA" else image.convert("RGBA"))
    for paper in ("white", "black"):
        flat = Image.alpha_composite(Image.new("RGBA", image.size, paper), image)
        grey = _shades(flat)
        if np.ptp(grey) >= BLANK * 255:
            break
    return grey, 255.0


def _shades(image: Image.Image) -> Floats:
    """Convert colours to shades along the line on which they differ most, from 0 to at most 255.

    Ink and paper of different colours may have the same luminance.
    """
    if image.mode in ("1", "L"):
        return _floats(image.convert("L"))
    colours = np.asarray(_reduced(image.convert("RGB")), dtype=np.float64)
    offset = colours - np.median(colours, axis=(0, 1))
    _, axes = np.linalg.eigh(np.einsum("hwi,hwj->ij", offset, offset))
    axis = axes[:, -1] * (1 if axes[:, -1].sum() >= 0 else -1)
    shades: Floats = colours @ axis / np.abs(axis).sum()
    return shades - min(0.0, float(shades.min()))


def _floats(image: Image.Image) -> Floats:
    return np.asarray(_reduced(image), dtype=np.float64)


def _reduced(image: Image.Image) -> Image.Image:
    """Average blocks of pixels of pictures that are far larger than needed."""
    factor = math.isqrt(image.width * image.height // ENOUGH_PIXELS)
    if factor <= 1:
        return image
    if image.mode.startswith("I;"):
        image = image.convert("I")  # the only integers that can be averaged
    return image.reduce(factor)
