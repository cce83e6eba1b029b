"""From a picture of any size and shade to the rows that a network was trained on.

MNIST is white ink on black: each digit scaled to fit a box of 20×20 and set into 28×28 with its
centre of mass in the middle. `prepare` does the same to any picture.

References
----------
Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE 86(11), 1998, section III.A.
"""

import math

import numpy as np

from anynet.cli.ink import find_ink, resized
from anynet.cli.models import ImageFormat
from anynet.cli.paper import BLANK, Floats
from anynet.errors import DataError

#: Shades below this share of the contrast are paper: noise, shadow, the ripples of a JPEG.
PAPER = 0.2
#: Shades this close to either end are as good as there.
NEAR = 0.1


def prepare(grey: Floats, top: float, wanted: ImageFormat) -> Floats:
    """Turn one grey picture into one row of `wanted`.

    The border shows the background; a picture on light paper is inverted. Pictures that are then
    as those of the data set are returned unchanged: an MNIST image gives back itself. From any
    other the character is extracted, scaled and centred. For a network of other pictures than
    characters (``wanted.strokes`` is false), all that is not background is scaled and centred.

    Parameters
    ----------
    grey : array (H, W)
        From 0 to `top`, dark to light.
    top : float
        White.
    wanted : ImageFormat
        The pictures that the network knows.

    Returns
    -------
    array (height · width,)
        In the data's own units.

    Raises
    ------
    DataError
        The picture is blank, or no character can be made out.
    """
    if grey.size == 0 or np.ptp(grey) < BLANK * top:
        message = "the image is blank: it holds no ink that stands out from its background"
        raise DataError(message)
    upright = top - grey if on_light_paper(grey) else grey
    if wanted.strokes:
        if conventional(upright / top, wanted):
            return in_units(upright, top, wanted)
        fitted = fit_ink(find_ink(grey / top), wanted)
    else:
        if grey.shape == wanted.shape and upright.min() <= NEAR * top:
            return in_units(upright, top, wanted)
        fitted = fit_ink(stretched(upright), wanted)
    return in_units(fitted, fitted.max(), wanted)


def conventional(grey: Floats, wanted: ImageFormat) -> bool:
    """Whether a picture, light on dark, is as large and where those of the data set are."""
    if grey.shape != wanted.shape or np.mean(grey <= 0.02) < 0.3 or grey.max() < 0.7:
        return False
    rows, columns = (np.flatnonzero((grey > NEAR).any(axis=axis)) for axis in (1, 0))
    longest = 1 + max(np.ptp(rows), np.ptp(columns))
    if wanted.box == max(wanted.shape):
        return bool(longest >= wanted.box - 1)
    mass = grey.sum(axis=1) @ np.arange(len(grey)), grey.sum(axis=0) @ np.arange(len(grey[0]))
    offset = np.array(mass) / grey.sum() - np.array(wanted.shape) / 2
    return bool(abs(longest - wanted.box) <= 1 and np.abs(offset).max() < 1)


def in_units(ink: Floats, full: float, wanted: ImageFormat) -> Floats:
    """Flatten a picture to a row in which 0 and the shade `full` have the data's own values."""
    row: Floats = (wanted.paper + ink * ((wanted.top - wanted.paper) / full)).reshape(-1)
    return row


def stretched(grey: Floats) -> Floats:
    """Map light ink on dark paper to shades from 0 to 1, the paper to 0 in spite of its texture."""
    edge = border(grey)
    paper, brightest = np.percentile(edge, [25, 95])  # 25: even if ink runs along half the border
    contrast = grey.max() - paper
    ink: Floats = (grey - paper) / contrast
    ink[ink < min(PAPER + (brightest - paper) / contrast, 0.5)] = 0
    return ink


def on_light_paper(grey: Floats) -> bool:
    """Judge the background: by which end of the shades prevails on the border, else its middle."""
    edge, low, high = border(grey), grey.min(), grey.max()
    near = NEAR * (high - low)
    dark, light = np.sum(edge - low <= near), np.sum(high - edge <= near)
    if dark != light:
        return bool(light > dark)
    return bool(np.median(edge) > (low + high) / 2)


def border(grey: Floats) -> Floats:
    """Collect the outermost pixels."""
    return np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])


def fit_ink(ink: Floats, wanted: ImageFormat) -> Floats:
    """Crop to the ink, scale it to the box, and put it into the frame.

    Its centre of mass goes to the middle where the box leaves a margin, as in MNIST; where it
    fills the frame, the centre of the ink's own box does.
    """
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    room = zip((wanted.box, *wanted.shape), (max(ink.shape), *ink.shape), strict=True)
    ink = resized(ink, min(limit / side for limit, side in room))
    height, width = ink.shape
    centre = (height / 2, width / 2)
    if wanted.box < max(wanted.shape):
        across = ink.sum(axis=1) @ np.arange(height), ink.sum(axis=0) @ np.arange(width)
        centre = across[0] / ink.sum(), across[1] / ink.sum()
    row = place(centre[0], height, wanted.shape[0])
    column = place(centre[1], width, wanted.shape[1])
    frame = np.zeros(wanted.shape)
    frame[row : row + height, column : column + width] = ink
    return frame


def place(centre: float, length: int, room: int) -> int:
    """Choose the start of a strip of `length` in `room`, its `centre` in the middle if it fits.

    MNIST takes pixel 14 of 0 to 27 for the middle, not the 13.5 of symmetry: half a pixel aside
    costs a plain network more than a point of accuracy.
    """
    start = math.floor(room / 2 - centre + 0.5)
    return min(max(start, 0), room - length)
