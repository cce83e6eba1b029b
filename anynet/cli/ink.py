"""The ink of one character in a picture: which of the marks on the paper belong to it."""

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
from anynet.errors import DataError

Mask = npt.NDArray[np.bool_]

#: The longest side, in pixels, at which the ink is searched.
WORKING = 400
#: Ink below this share of its full shade is paper.
FAINT = 0.25
#: Strokes narrower than this share of the character's size are thickened, to the second share.
THIN, USUAL = 0.07, 0.115
#: Parts belong to a character up to this share of its size away: beside it, and above or below it.
NEXT, ABOVE = 0.06, 0.25
#: Beyond these, marks are no character: their extent in pixels, the width of strokes and their
#: total length as shares of the extent, width to height, holes, other marks as a share of the ink,
#: and the share of the variance that remains within two shades.
SMALLEST, BROADEST, LONGEST, WIDEST, HOLES, OTHERS, MIXED = 6, 0.5, 4.0, 1.8, 3, 0.3, 0.22
EIGHT = np.ones((3, 3), dtype=bool)


def find_ink(grey: Floats) -> Floats:
    """Return the ink of the one character in a picture.

    Parameters
    ----------
    grey : array (H, W)
        From 0, black, to 1, white; dark on light or light on dark.

    Returns
    -------
    array (h, w)
        The ink, cropped, from 0 (none) to 1 (full).

    Raises
    ------
    DataError
        No character, or more than one, can be made out.
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
    """Scale both sides by `factor`: average pixels to shrink, convolve by a cubic to enlarge."""
    height, width = (max(1, round(side * factor)) for side in grey.shape)
    picture = Image.fromarray(grey.astype(np.float32))
    kind = Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.BILINEAR
    scaled = np.asarray(picture.resize((width, height), kind), dtype=np.float64)
    return scaled.clip(grey.min(), grey.max())


def with_margin(grey: Floats) -> Floats:
    """Add paper around a picture on paper of one shade without lines: ink may reach its edges."""
    edge = np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])
    values, counts = np.unique(np.rint(edge * 50), return_counts=True)
    paper = values[np.argmax(counts)] / 50
    marks = np.abs(grey - paper)
    uniform = min(float(counts.max()) / edge.size, float(np.mean(marks <= 0.02))) >= 0.3
    if not uniform or np.any(without_lines(marks) != marks):
        return grey
    return np.pad(grey, 1 + max(grey.shape) // 6, constant_values=paper)


def extent(mask: Mask) -> tuple[slice, slice]:
    """Return the bounding box of what is true, as slices."""
    box: tuple[slice, slice] = ndimage.find_objects(mask.astype(np.uint8))[0]
    return box


def size(box: tuple[slice, ...]) -> int:
    """Return the longest side of a bounding box."""
    return max(int(edge.stop - edge.start) for edge in box)


def stroke_width(mask: Mask) -> float:
    """Estimate the mean width of strokes: the mean distance to their edge is a quarter of it."""
    return 4 * float(ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1][mask].mean()) - 2


def thickened(ink: Floats) -> Floats:
    """Thicken strokes that would all but vanish once the character is scaled down."""
    mask = ink > 0.5
    length, width = size(extent(mask)), stroke_width(mask)
    missing = USUAL * length - width
    if width >= THIN * length or missing <= 1:
        return ink
    distance = ndimage.distance_transform_edt(~np.pad(mask, math.ceil(missing / 2)))
    thick: Floats = np.clip(missing / 2 + 1 - distance, 0, 1)
    return thick


def character(ink: Floats, peak: float) -> Mask:
    """Choose the marks that make up the character: the heaviest, and its detached parts.

    Raises
    ------
    DataError
        They look like no character, or like several.
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
    """Whether marks are a frame: along their bounding box nearly all is ink."""
    band = 1 + max(shape) // 50
    if min(part.shape) < 4 * band:
        return False
    sides = [np.rot90(part, turn)[:band].any(axis=0).mean() for turn in range(4)]
    return bool(min(sides) > 0.8 and np.mean(part) < 0.5)


def check_shape(mask: Mask, others: float) -> None:
    """Refuse marks that are no strokes of one character, given the share of other marks."""
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
    """Refuse marks without an edge: around them are shades of all degrees, as in a photograph."""
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
