"""The encoder of numbers by their quantiles, whose result has a standard normal distribution."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from anynet.config import register
from anynet.data.tables.encoders import Encoder
from anynet.data.tables.statistics import order_statistics, overflow_factor
from anynet.errors import InvalidArgumentError

#: Number of rows for each quantile, and the bounds of the number of quantiles.
ROWS, FEWEST, MOST = 30, 10, 1000

#: Standard deviation of the noise that separates equal values, in distances between the quartiles.
NOISE = 1e-5

#: The smallest probability, which bounds the result to ±5.2.
SMALLEST = 1e-7

# Coefficients of the rational functions of AS 241 (PPND16), of increasing powers.
CENTRE = (
    (
        *(3.387132872796366608, 133.14166789178437745, 1971.5909503065514427),
        *(13731.693765509461125, 45921.953931549871457, 67265.770927008700853),
        *(33430.575583588128105, 2509.0809287301226727),
    ),
    (
        *(1.0, 42.313330701600911252, 687.1870074920579083, 5394.1960214247511077),
        *(21213.794301586595867, 39307.89580009271061, 28729.085735721942674),
        5226.495278852545925,
    ),
)
TAIL = (
    (
        *(1.42343711074968357734, 4.6303378461565452959, 5.7694972214606914055),
        *(3.64784832476320460504, 1.27045825245236838258, 0.24178072517745061177),
        *(0.0227238449892691845833, 7.7454501427834140764e-4),
    ),
    (
        *(1.0, 2.05319162663775882187, 1.6763848301838038494, 0.68976733498510000455),
        *(0.14810397642748007459, 0.0151986665636164571966, 5.475938084995344946e-4),
        1.05075007164441684324e-9,
    ),
)


@register("encoder")
@dataclass(frozen=True)
class Quantile(Encoder):
    """A number as the quantile of the standard normal distribution that has its probability.

    The probability of a value is interpolated between quantiles of the training rows, of which
    there are max(min(N/30, 1000), 10). Noise is added to the training rows before they are
    measured, so that the quantiles of repeated values are distinct. Missing values become 0, the
    median. This is scikit-learn's ``QuantileTransformer(output_distribution="normal")``.

    Attributes
    ----------
    column : str
        The name of the column.
    quantiles : tuple of float
        Quantiles of the training rows with probabilities from 0 to 1 in equal steps.
    indicator : bool
        Whether the training rows had missing values, which an input indicates.

    References
    ----------
    Y. Gorishniy, I. Rubachev, V. Khrulkov, A. Babenko, "Revisiting Deep Learning Models for Tabular
    Data", NeurIPS 2021. There the noise has the standard deviation 1e-5 whatever the unit of the
    column; here it is 1e-5 of the distance between the quartiles.
    """

    kind: ClassVar[str] = "quantile"
    reads: ClassVar[str] = "number"
    n_numbers: ClassVar[int] = 1

    column: str
    quantiles: tuple[float, ...]
    indicator: bool

    def __post_init__(self) -> None:
        """Check quantiles that may be from a file."""
        if not self.quantiles or np.any(np.diff(self._quantiles) < 0):
            message = f"quantiles of {self.column!r} must be increasing, got {self.quantiles}"
            raise InvalidArgumentError(message)

    @classmethod
    def fit(cls, name: str, column: np.ndarray) -> Self:
        """Measure the training rows."""
        values, _ = cls.read(column)
        present = values[~np.isnan(values)]
        count = min(max(min(present.size // ROWS, MOST), FEWEST), present.size)
        if not present.size:
            return cls(name, (0.0,), True)
        factor = overflow_factor(float(np.max(np.abs(present))))
        _, scale = order_statistics(present)
        noise = np.random.default_rng(0).normal(0.0, NOISE, present.size) * (scale * factor)
        found = np.quantile(present * factor + noise, np.linspace(0, 1, count))
        limit = np.finfo(np.float64).max * factor  # the noise may exceed it
        found = np.clip(found, -limit, limit) / factor
        quantiles = np.maximum.accumulate(np.nan_to_num(found))
        return cls(name, tuple(quantiles.tolist()), present.size < values.size)

    @functools.cached_property
    def _quantiles(self) -> np.ndarray:
        """The quantiles as an array, scaled so that differences of them do not overflow."""
        return np.asarray(self.quantiles, dtype=np.float64) * self._factor

    @property
    def _factor(self) -> float:
        largest = max(-self.quantiles[0], self.quantiles[-1])
        return overflow_factor(largest)

    def inputs(self, values: np.ndarray) -> list[np.ndarray]:
        """Return quantiles of the standard normal distribution; missing values become 0."""
        known, scaled = self._quantiles, values * self._factor
        probabilities = np.linspace(0, 1, known.size)
        # Of equal quantiles, one interpolation finds the first probability, the other the last.
        upper = np.interp(scaled, known, probabilities)
        lower = np.interp(-scaled, -known[::-1], -probabilities[::-1])
        return [normal_quantile((upper - lower) / 2)]

    def imputed(self) -> str:
        """Return what a missing value becomes, for messages."""
        return f"the median, {self.quantiles[len(self.quantiles) // 2]:g}"


def normal_quantile(probability: np.ndarray) -> np.ndarray:
    """Return quantiles of the standard normal distribution, the inverse of its distribution.

    Parameters
    ----------
    probability : ndarray of float64
        Clipped to [1e-7, 1 - 1e-7]; NaN stays NaN.

    Returns
    -------
    ndarray of float64
        The quantiles, with a relative error of about 1e-15.

    References
    ----------
    M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", Applied
    Statistics 37 (1988), routine PPND16.
    """
    p = np.clip(probability, SMALLEST, 1 - SMALLEST)
    q = p - 0.5
    z = q * _ratio(CENTRE, 0.180625 - q * q)
    tail = np.flatnonzero(np.abs(q) > 0.425)
    r = np.sqrt(-np.log(np.minimum(p[tail], 1 - p[tail])))
    z[tail] = np.sign(q[tail]) * _ratio(TAIL, r - 1.6)
    return np.asarray(z)


def _ratio(coefficients: tuple[tuple[float, ...], ...], x: np.ndarray) -> np.ndarray:
    numerator, denominator = (np.polynomial.polynomial.polyval(x, each) for each in coefficients)
    ratio: np.ndarray = numerator / denominator
    return ratio
