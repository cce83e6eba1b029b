"""Separate the ink of one character from its paper: noise, specks, frames, lines, uneven light."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage
from scipy.cluster.vq import kmeans2

from anynet.errors import DataError

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: The longest side, in pixels, at which the ink is searched.
WORKING = 400
#: Contrast, as a share of white, below which a picture is blank.
BLANK = 0.05
#: Ink below this share of its full shade is paper.
FAINT = 0.25
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
    grey = without_impulses(without_frame(grey))
    if np.ptp(grey) < BLANK:
        message = "the image is blank: it holds no ink that stands out from its background"
        raise DataError(message)
    side = max(grey.shape)
    noise = noise_level(grey)
    smooth = smoothed(grey, noise, side)
    ink = without_lines(above_paper(smooth))
    noise = noise_level(ink)
    peak = float(ndimage.uniform_filter(ink, 3).max()) if side > 100 else float(ink.max())
    if peak < max(BLANK, 4 * noise):
        message = "no character stands out from the noise of the image"
        raise DataError(message)
    kept = character(ink, peak)
    full = float(np.percentile(ink[kept], 75))
    ink = np.clip(ink / full, 0, 1) * ndimage.binary_dilation(kept, EIGHT, 1 + side // 100)
    ink[ink < FAINT] = 0
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def resized(grey: Floats, factor: float) -> Floats:
    """Scale both sides by `factor`; each new pixel averages those that it covers."""
    height, width = (max(1, round(side * factor)) for side in grey.shape)
    picture = Image.fromarray(grey.astype(np.float32))
    scaled = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(scaled, dtype=np.float64)


def without_frame(grey: Floats) -> Floats:
    """Cut off uniform strips along the edges that differ from what they enclose."""
    trimmed = grey
    span = float(np.ptp(grey))
    for turn in range(4):
        trimmed = np.rot90(trimmed[strip(np.rot90(grey, turn), span) :])
    return trimmed if np.ptp(trimmed) > BLANK else grey


def strip(grey: Floats, span: float) -> int:
    """Count the rows, from the top, of a strip that ends at an abrupt change of nearly all pixels."""
    height = len(grey)
    step = 1 + height // 100
    levels = np.median(grey, axis=1)
    for depth in range(min(height // 5, height - 1 - step), 0, -1):
        jump = levels[depth + step - 1] - levels[depth - 1]
        if abs(jump) > span / 2:
            middle = levels[depth - 1] + jump / 2
            inside = np.mean((grey[depth - 1] > middle) == (jump < 0))
            if inside >= 0.95:
                return depth + step - 1
    return 0


def without_impulses(grey: Floats) -> Floats:
    """Limit each pixel to the third least and the third greatest of its 3 × 3 neighbourhood.

    Specks of one or two pixels vanish, light or dark; lines and corners remain.
    """
    low, high = (ndimage.rank_filter(grey, rank, size=3) for rank in (2, -3))
    return np.clip(grey, low, high)


def noise_level(grey: Floats) -> float:
    """Estimate the standard deviation of the noise (Immerkær 1996, with the median)."""
    kernel = np.outer([1, -2, 1], [1, -2, 1])
    detail = np.abs(ndimage.convolve(grey, kernel, mode="mirror"))
    return float(np.median(detail)) / (0.6745 * 6)


def smoothed(grey: Floats, noise: float, side: int) -> Floats:
    """Blur noise away, by no more than what does not matter once the picture is scaled down."""
    sharpness = noise / (0.03 * float(np.ptp(grey)))
    width = min(sharpness, side / 120)
    return ndimage.gaussian_filter(grey, width) if width > 0.2 else grey


def above_paper(grey: Floats) -> Floats:
    """Subtract the paper, and turn the ink positive.

    Ink differs from a smooth surface fitted to the margin, and is narrow: loops differ from their
    strokes but not from that surface, and shadows are broad.
    """
    height, width = grey.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    margin = 1 + max(height, width) // 25
    ring = np.ones(grey.shape, dtype=bool)
    ring[margin:-margin, margin:-margin] = False
    surface = terms @ robust_fit(terms[ring], grey[ring])
    above = surface - grey
    broad = two_shades(above)
    candidates = []
    for sign in (1, -1):
        narrow = without_shadows(sign * above)
        evidence = np.minimum(narrow, sign * above)
        evidence[evidence < 0.3 * np.abs(above).max()] = 0
        candidates.append((float(evidence.sum()), sign, narrow))
    dark, light = candidates
    _, sign, narrow = dark if dark[0] >= light[0] else light
    return sign * above if broad else narrow


def two_shades(grey: Floats) -> bool:
    """Whether paper and ink explain the picture: there is no third shade, such as a shadow's."""
    sample = grey.ravel()[:: 1 + grey.size // 5000, None]
    shades, labels = kmeans2(sample, np.array([[sample.min()], [sample.max()]]), minit="matrix")
    within = float(np.var(sample - shades[labels])) - noise_level(grey) ** 2
    return within < 0.12 * float(np.var(sample))


def robust_fit(terms: Floats, values: Floats) -> Floats:
    """Fit by least squares with Cauchy's weights, which ignore what is far off."""
    weights = np.ones(len(values))
    start = np.zeros(terms.shape[1])
    start[0] = np.median(values)
    solution = start
    for _ in range(8):
        error = np.abs(values - terms @ solution)
        scale = max(1.4826 * float(np.median(error)), 0.01)
        weights = 1 / (1 + (error / scale) ** 2)
        solution = np.linalg.lstsq(
            terms * weights[:, None], values * weights, rcond=1e-6
        )[0]
    return solution


def without_shadows(ink: Floats) -> Floats:
    """Subtract what is broader than any stroke."""
    side = max(ink.shape)
    window = max(3, round(0.35 * side))
    calm = ndimage.gaussian_filter(ink, side / 100)
    padded = np.pad(calm, window, mode="edge")
    broad = ndimage.grey_opening(padded, size=(window, window))[window:-window, window:-window]
    ink = ink - broad
    return ink - np.median(ink[ink < 0.3 * ink.max()])


def without_lines(ink: Floats) -> Floats:
    """Interpolate across the lines of ruled and squared paper: thin, and as long as the picture."""
    for _ in range(2):
        thickest = 1 + len(ink) // 25
        level = max(0.12 * float(ink.max()), 3 * noise_level(ink))
        ruled, count = ndimage.label(np.mean(ink > level, axis=1) >= 0.95)
        for lines in ndimage.find_objects(ruled):
            first, after = lines[0].start - 1, lines[0].stop + 1
            if after - first - 2 <= thickest:
                above = ink[first - 1] if first > 0 else np.zeros_like(ink[0])
                below = ink[after] if after < len(ink) else np.zeros_like(ink[0])
                share = np.linspace(0, 1, after - first + 2)[1:-1, None]
                start, stop = max(first, 0), min(after, len(ink))
                ink[start:stop] = ((1 - share) * above + share * below)[
                    start - first : stop - first
                ]
        ink = ink.T
    return ink


def character(ink: Floats, peak: float) -> Mask:
    """Choose the components of the ink that make up the character."""
    for low in (FAINT, 0.4, 0.6):
        mask = ndimage.binary_propagation(ink > max(0.5, low) * peak, EIGHT, mask=ink > low * peak)
        parts, count = ndimage.label(mask, EIGHT)
        boxes = ndimage.find_objects(parts)
        mass = ndimage.sum_labels(ink, parts, np.arange(1, count + 1))
        mass = mass * [not is_box(parts[box] == i + 1, ink.shape) for i, box in enumerate(boxes)]
        main = int(np.argmax(mass))
        spans = [
            (edge.start == 0) + (edge.stop == size) == 2
            for edge, size in zip(boxes[main], ink.shape, strict=True)
        ]
        if not any(spans):
            break
    kept = parts == main + 1
    thickness = ndimage.maximum(ndimage.distance_transform_edt(mask), parts, np.arange(1, count + 1))
    reach = 0.15 * max(edge.stop - edge.start for edge in boxes[main])
    wanted = (mass >= 0.03 * mass[main]) & (thickness >= 0.4 * thickness[main])
    while True:
        distance = ndimage.distance_transform_edt(~kept)
        nearest = ndimage.minimum(distance, parts, np.arange(1, count + 1))
        more = np.isin(parts, 1 + np.flatnonzero(wanted & (nearest <= reach)))
        if not (more & ~kept).any():
            return kept
        kept |= more


def is_box(part: Mask, shape: tuple[int, ...]) -> bool:
    """Whether a component is a frame: along its bounding box nearly all is ink."""
    band = 1 + max(shape) // 50
    if min(part.shape) < 4 * band:
        return False
    sides = [np.rot90(part, turn)[:band].any(axis=0).mean() for turn in range(4)]
    return min(sides) > 0.8
