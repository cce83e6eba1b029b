"""Separate ink from paper: from noise, frames, uneven light and the lines of ruled paper."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.cluster.vq import ClusterError, kmeans2
from scipy.interpolate import interp1d

Floats = npt.NDArray[np.float64]

#: Contrast, as a share of white, below which a picture is blank.
BLANK = 0.05
#: Maximum share of the variance within two shades if there is no third one.
THIRD_SHADE = 0.12
#: Longest side, in pixels, of pictures whose strokes may be one pixel wide.
TINY = 64


def without_frame(grey: Floats) -> Floats:
    """Remove uniform strips along the edges that differ from what they enclose."""
    trimmed = grey
    span = float(np.ptp(grey))
    for turn in range(4):
        trimmed = np.rot90(trimmed[strip(np.rot90(grey, turn), span) :])
    return trimmed if np.ptp(trimmed) > BLANK else grey


def strip(grey: Floats, span: float) -> int:
    """Return the number of top rows that form a strip, at whose end nearly all pixels change."""
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
    """Limit each pixel to the third smallest and the third largest of its 3 × 3 neighbourhood.

    Light or dark specks of one or two pixels vanish; lines and corners remain. In pictures of at
    most `TINY` pixels a side, the limits are the second smallest and second largest: a stroke is
    little wider than a pixel there, and would lose its ends.
    """
    rank = 1 if max(grey.shape) <= TINY else 2
    low, high = (ndimage.rank_filter(grey, order, size=3) for order in (rank, -1 - rank))
    return np.clip(grey, low, high)


def noise_level(grey: Floats) -> float:
    """Estimate the standard deviation of the noise (Immerkær 1996, with the median)."""
    kernel = np.outer([1, -2, 1], [1, -2, 1])
    detail = np.abs(ndimage.convolve(grey, kernel, mode="mirror"))
    return float(np.median(detail)) / (0.6745 * 6)


def smoothed(grey: Floats, noise: float) -> tuple[Floats, float]:
    """Blur noise, by no more than what is invisible when the picture is scaled down.

    Returns
    -------
    tuple
        The picture and the remaining noise.
    """
    width = min(noise / (0.03 * float(np.ptp(grey))), max(grey.shape) / 120)
    if width < 0.3:  # a filter that leaves the pixels as they are
        return grey, noise
    return ndimage.gaussian_filter(grey, width), noise / max(1.0, 2 * math.sqrt(math.pi) * width)


def above_paper(grey: Floats) -> Floats:
    """Subtract the paper, and make the ink positive.

    Ink differs from a smooth surface fitted to the margin, and is narrow. The inside of a loop does
    not differ from the surface, and a shadow is broad.
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
    candidates = []  # dark ink first, which is chosen of equal ones
    for sign in (1, -1):
        narrow = without_shadows(sign * above)
        evidence = np.minimum(narrow, sign * above)
        evidence[evidence < 0.3 * np.abs(above).max()] = 0
        candidates.append((float(evidence.sum()), sign, narrow))
    _, sign, narrow = max(candidates, key=lambda candidate: candidate[0])
    return sign * above if broad else narrow


def two_shades(grey: Floats) -> bool:
    """Whether paper and ink are the only shades, without a third one such as a shadow's."""
    sample = grey.ravel()[:: 1 + grey.size // 5000, None]
    if np.ptp(sample) == 0:
        return True
    ends = np.array([[sample.min()], [sample.max()]])
    try:
        shades, labels = kmeans2(sample, ends, minit="matrix", missing="raise")
    except ClusterError:
        return False
    within = float(np.var(sample - shades[labels])) - noise_level(grey) ** 2
    return within < THIRD_SHADE * float(np.var(sample))


def robust_fit(terms: Floats, values: Floats) -> Floats:
    """Fit by least squares with Cauchy's weights, which ignore outliers."""
    solution: Any = np.zeros(terms.shape[1])
    solution[0] = np.median(values)
    for _ in range(8):
        error = np.abs(values - terms @ solution)
        scale = max(1.4826 * float(np.median(error)), 0.01)
        weights = 1 / (1 + (error / scale) ** 2)
        solution = np.linalg.lstsq(terms * weights[:, None], values * weights, rcond=1e-6)[0]
    return np.asarray(solution, dtype=np.float64)


def without_shadows(ink: Floats) -> Floats:
    """Subtract structures that are broader than strokes."""
    side = max(ink.shape)
    window = max(3, round(0.35 * side))
    calm = ndimage.gaussian_filter(ink, side / 100)
    padded = np.pad(calm, window, mode="edge")
    broad = ndimage.grey_opening(padded, size=(window, window))[window:-window, window:-window]
    ink = ink - broad
    paper = ink[ink < 0.3 * ink.max()]
    level = float(np.median(paper)) if paper.size else 0.0
    return np.asarray(ink - level, dtype=np.float64)


def without_lines(ink: Floats) -> Floats:
    """Interpolate across the lines of ruled paper, which are thin and as long as the picture."""
    for _ in range(2):
        thickest = 1 + len(ink) // 25
        level = max(0.12 * float(ink.max()), 3 * noise_level(ink))
        ruled = np.mean(ink > level, axis=1) >= 0.95
        runs, count = ndimage.label(ruled)
        heights = ndimage.sum_labels(ruled, runs, np.arange(count + 1))
        ruled = ndimage.binary_dilation(ruled & (heights <= thickest)[runs])
        rows = np.arange(len(ink))
        if ruled.any() and np.sum(~ruled) >= 2:
            between = interp1d(
                rows[~ruled], ink[~ruled], axis=0, bounds_error=False, fill_value=0.0
            )
            ink = np.where(ruled[:, None], between(rows), ink)
        ink = ink.T
    return ink
