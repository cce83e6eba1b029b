"""From a picture of any size and shade to the row of values that a network was trained on.

MNIST has white ink on black: each digit is scaled to fit a box of 20×20, and placed in 28×28 with
its centre of mass in the middle. ``prepare`` does the same to any picture: it finds the marks on
the paper that form the character, scales them and centres them.

References
----------
Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE 86(11), 1998, section III.A.
"""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from anynet.cli.paper import (
    BLANK,
    Floats,
    above_paper,
    noise_level,
    smoothed,
    without_frame,
    without_impulses,
    without_lines,
)
from anynet.data.image_format import ImageFormat
from anynet.errors import DataError

Mask = npt.NDArray[np.bool_]

#: Share of the contrast below which shades are paper: noise, shadow, artefacts of JPEG.
PAPER = 0.2
#: Distance from either end of the shades that is ignored, as a share of the contrast.
NEAR = 0.1
#: Longest side, in pixels, of the picture in which ink is searched.
WORKING = 400
#: Share of the full shade of ink below which it is paper.
FAINT = 0.25
#: Width of strokes, as a share of the character's size, below which they are thickened, and the
#: width that they get.
THIN, USUAL = 0.07, 0.115
#: Maximum distance of parts that belong to a character, as a share of its size: beside it, and
#: above or below it.
NEXT, ABOVE = 0.06, 0.25
#: Limits beyond which marks are not a character: their extent in pixels, the width of strokes and
#: their total length as shares of the extent, width to height, holes, other marks as a share of the
#: ink, and the share of the variance that remains within two shades.
SMALLEST, BROADEST, LONGEST, WIDEST, HOLES, OTHERS, MIXED = 6, 0.5, 4.0, 1.8, 3, 0.3, 0.22
EIGHT = np.ones((3, 3), dtype=bool)


def prepare(grey: Floats, top: float, wanted: ImageFormat) -> Floats:
    """Turn a grey picture into a row of the format `wanted`.

    A picture whose border shows light paper is inverted. Pictures that are then in the format of
    the data set are returned unchanged, such as an image of MNIST. From other ones the character is
    extracted, scaled and centred. If the format is not of characters (``wanted.strokes`` is
    False), everything except the background is scaled and centred.

    Parameters
    ----------
    grey : array (H, W)
        Shades from 0 (black) to `top`.
    top : float
        The value of white.
    wanted : ImageFormat
        The format of the training images.

    Returns
    -------
    array (height · width,)
        Values in the units of the data set.

    Raises
    ------
    DataError
        If the picture is blank, or no character is recognisable.
    """
    if grey.size == 0 or np.ptp(grey) < BLANK * top:
        message = "the image is blank: it holds no ink that stands out from its background"
        raise DataError(message)
    upright = top - grey if on_light_paper(grey) else grey
    if wanted.strokes:
        ready = conventional(upright / top, wanted)
    else:
        ready = grey.shape == wanted.shape and upright.min() <= NEAR * top
    if ready:
        return in_units(upright, top, wanted)
    fitted = fit_ink(find_ink(grey / top) if wanted.strokes else stretched(upright), wanted)
    return in_units(fitted, fitted.max(), wanted)


def conventional(grey: Floats, wanted: ImageFormat) -> bool:
    """Whether a picture, light on dark, has the size and the position of those of the data set."""
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
    """Flatten a picture to a row in the units of the data set, whose full ink is `full` here."""
    row: Floats = (wanted.paper + ink * ((wanted.top - wanted.paper) / full)).reshape(-1)
    return row


def stretched(grey: Floats) -> Floats:
    """Map light ink on dark paper to shades from 0 to 1, and textured paper to 0."""
    edge = border(grey)
    paper, brightest = np.percentile(edge, [25, 95])  # 25: even if ink runs along half the border
    contrast = grey.max() - paper
    ink: Floats = (grey - paper) / contrast
    ink[ink < min(PAPER + (brightest - paper) / contrast, 0.5)] = 0
    return ink


def on_light_paper(grey: Floats) -> bool:
    """Whether the background is light: by the more frequent end of the shades on the border."""
    edge, low, high = border(grey), grey.min(), grey.max()
    near = NEAR * (high - low)
    dark, light = np.sum(edge - low <= near), np.sum(high - edge <= near)
    if dark != light:
        return bool(light > dark)
    return bool(np.median(edge) > (low + high) / 2)


def border(grey: Floats) -> Floats:
    """Return the outermost pixels."""
    return np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])


def fit_ink(ink: Floats, wanted: ImageFormat) -> Floats:
    """Crop to the ink, scale it to the box, and place it in the frame.

    The centre of mass is in the middle if the box leaves a margin, as in MNIST; if it fills the
    frame, the centre of the ink's bounding box is.
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
    row = start_of(centre[0], height, wanted.shape[0])
    column = start_of(centre[1], width, wanted.shape[1])
    frame = np.zeros(wanted.shape)
    frame[row : row + height, column : column + width] = ink
    return frame


def start_of(centre: float, length: int, room: int) -> int:
    """Return the start of a strip of `length` in `room` that has `centre` in the middle if it fits.

    The middle of MNIST is pixel 14 of 0 to 27, not the 13.5 of symmetry: half a pixel costs a plain
    network more than a percentage point of accuracy.
    """
    start = math.floor(room / 2 - centre + 0.5)
    return min(max(start, 0), room - length)


def find_ink(grey: Floats) -> Floats:
    """Return the ink of the one character in a picture.

    Parameters
    ----------
    grey : array (H, W)
        Shades from 0 (black) to 1 (white); dark on light or light on dark.

    Returns
    -------
    array (h, w)
        The cropped ink, from 0 (none) to 1 (full).

    Raises
    ------
    DataError
        If no character is recognisable, or more than one.
    """
    grey = resized(grey, WORKING / max(grey.shape)) if max(grey.shape) > WORKING else grey
    grey = with_margin(without_frame(grey))
    noise = noise_level(grey)
    grey = without_impulses(grey)
    if np.ptp(grey) < BLANK:
        message = "the image is blank: it holds no ink that stands out from its background"
        raise DataError(message)
    smooth, noise = smoothed(grey, noise)
    ink = without_lines(above_paper(smooth))
    side = max(ink.shape)
    peak = float((ndimage.uniform_filter(ink, 3) if side > 100 else ink).max())
    if peak < max(BLANK, 5 * noise):
        message = "no character stands out from the noise of the image"
        raise DataError(message)
    kept = character(ink, peak)
    full = float(np.percentile(ink[kept], 75))
    check_contrast(ink / full, kept)
    ink = np.clip(ink / full, 0, 1) * ndimage.binary_dilation(kept, EIGHT, 1 + side // 100)
    ink[ink < FAINT] = 0
    ink = thickened(ink)
    return ink[extent(ink > 0)]


def resized(grey: Floats, factor: float) -> Floats:
    """Scale both sides by `factor`: bilinear if it shrinks, otherwise bicubic."""
    height, width = (max(1, round(side * factor)) for side in grey.shape)
    picture = Image.fromarray(grey.astype(np.float32))
    kind = Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.BILINEAR
    scaled = np.asarray(picture.resize((width, height), kind), dtype=np.float64)
    return scaled.clip(grey.min(), grey.max())


def with_margin(grey: Floats) -> Floats:
    """Add a margin to a picture on paper of one shade without lines: ink may reach its edges."""
    edge = border(grey)
    values, counts = np.unique(np.rint(edge * 50), return_counts=True)
    paper = values[np.argmax(counts)] / 50
    marks = np.abs(grey - paper)
    uniform = min(float(counts.max()) / edge.size, float(np.mean(marks <= 0.02))) >= 0.3
    if not uniform or np.any(without_lines(marks) != marks):
        return grey
    return np.pad(grey, 1 + max(grey.shape) // 6, constant_values=paper)


def extent(mask: Mask) -> tuple[slice, slice]:
    """Return the bounding box of True values as slices."""
    box: tuple[slice, slice] = ndimage.find_objects(mask.astype(np.uint8))[0]
    return box


def size(box: tuple[slice, ...]) -> int:
    """Return the longest side of a bounding box."""
    return max(int(edge.stop - edge.start) for edge in box)


def stroke_width(mask: Mask) -> float:
    """Estimate the mean width of strokes as four times the mean distance to their edges."""
    return 4 * float(ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1][mask].mean()) - 2


def thickened(ink: Floats) -> Floats:
    """Thicken strokes that would nearly vanish when the character is scaled down."""
    mask = ink > 0.5
    length, width = size(extent(mask)), stroke_width(mask)
    missing = USUAL * length - width
    if width >= THIN * length or missing <= 1:
        return ink
    distance = ndimage.distance_transform_edt(~np.pad(mask, math.ceil(missing / 2)))
    thick: Floats = np.clip(missing / 2 + 1 - distance, 0, 1)
    return thick


def character(ink: Floats, peak: float) -> Mask:
    """Return the marks that form the character: the largest, and its detached parts.

    Raises
    ------
    DataError
        If they do not look like one character.
    """
    for low in (FAINT, 0.4, 0.6):  # faint lines may join the character to the edges of the picture
        mask = ndimage.binary_propagation(ink > max(0.5, low) * peak, EIGHT, mask=ink > low * peak)
        parts, count = ndimage.label(mask, EIGHT)
        boxes, numbers = ndimage.find_objects(parts), np.arange(1, count + 1)
        mass = ndimage.sum_labels(ink, parts, numbers)
        mass *= [not is_box(parts[box] == i, ink.shape) for i, box in enumerate(boxes, 1)]
        main = int(np.argmax(mass))
        if not any(
            edge.stop - edge.start == side
            for edge, side in zip(boxes[main], ink.shape, strict=True)
        ):
            break
    kept: Mask = parts == main + 1
    inked = parts[mask]
    thickness = ndimage.maximum(ndimage.distance_transform_edt(mask)[mask], inked, numbers)
    distance = ndimage.minimum(ndimage.distance_transform_edt(~kept)[mask], inked, numbers)
    left, right = boxes[main][1].start, boxes[main][1].stop
    beside = np.array([box[1].start >= right or box[1].stop <= left for box in boxes])
    near = size(boxes[main]) * np.where(beside | (mass > 0.5 * mass[main]), NEXT, ABOVE)
    belongs = (
        (mass >= 0.03 * mass[main]) & (thickness >= 0.4 * thickness[main]) & (distance <= near)
    )
    kept |= np.isin(parts, numbers[belongs])
    at_edge = np.unique(np.concatenate([parts[[0, -1]].ravel(), parts[:, [0, -1]].ravel()]))
    others = mass[~belongs & ~np.isin(numbers, [main + 1, *at_edge])].sum() / ink[kept].sum()
    check_shape(kept, others)
    return kept


def is_box(part: Mask, shape: tuple[int, ...]) -> bool:
    """Whether marks are a frame: their bounding box is nearly all ink along its edges."""
    band = 1 + max(shape) // 50
    if min(part.shape) < 4 * band:
        return False
    sides = [np.rot90(part, turn)[:band].any(axis=0).mean() for turn in range(4)]
    return bool(min(sides) > 0.8 and np.mean(part) < 0.5)


def check_shape(mask: Mask, others: float) -> None:
    """Check that marks are strokes of one character; `others` is the share of other marks."""
    mask = mask[extent(mask)]
    height, width = mask.shape
    stroke = stroke_width(mask)
    gaps, _ = ndimage.label(~np.pad(mask, 1))
    holes = int(np.sum(np.bincount(gaps.ravel())[2:] > (0.4 * stroke) ** 2))
    if max(mask.shape) < SMALLEST:
        message = f"no character: the largest mark is {width} × {height} pixels"
    elif stroke > BROADEST * max(mask.shape):
        message = "no character: the largest mark is a solid shape without strokes"
    elif holes > HOLES or mask.sum() > LONGEST * stroke * max(mask.shape):
        message = "no character: the marks are those of a texture or a photograph"
    elif others > OTHERS or width > WIDEST * height:
        message = "expected one character, found several marks of similar size: crop to one"
    else:
        return
    raise DataError(message)


def check_contrast(ink: Floats, mask: Mask) -> None:
    """Check that marks have edges, unlike photographs, which have all shades between."""
    margin = 1 + size(extent(mask)) // 7
    around = extent(np.pad(mask, margin))
    near = np.pad(ink, margin, mode="edge")[
        tuple(slice(edge.start - margin, edge.stop + margin) for edge in around)
    ].clip(0, 1.2)
    light, dark = near[near <= 0.5], near[near > 0.5]
    within = sum(part.size * float(np.var(part)) for part in (light, dark) if part.size)
    if within > MIXED * near.size * np.var(near):
        message = "no character stands out clearly from the background of the image"
        raise DataError(message)
