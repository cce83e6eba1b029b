"""What an encoder is: it turns one column of any table into inputs of a network.

It is fitted on the training rows and reads the column of other tables as what it was there: a value
that cannot be read counts as missing, and a missing one is imputed, with an indicator beside it
where the training rows had missing ones too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Protocol

import numpy as np


class Encoded(NamedTuple):
    """The inputs that a column became.

    Attributes
    ----------
    x : ndarray of shape (N, K), float32
    bad : ndarray of bool, (N,)
        Where a value could not be read, and counted as missing.
    unseen : ndarray of bool, (N,)
        Where a category is that the training rows did not have.
    """

    x: np.ndarray
    bad: np.ndarray
    unseen: np.ndarray


class Encoder(Protocol):
    """What one column becomes."""

    kind: ClassVar[str]

    @property
    def column(self) -> str:
        """The name of the column."""

    @property
    def indicator(self) -> bool:
        """Whether an input tells that the value is missing, as the training rows had it."""

    def names(self) -> list[str]:
        """Name the inputs, K of them."""

    def encode(self, column: np.ndarray, decimal: str) -> Encoded:
        """Turn a column into inputs."""

    def imputed(self) -> str:
        """Say what a missing value becomes."""


def encoded(
    parts: Sequence[np.ndarray], values: np.ndarray, bad: np.ndarray, indicator: bool
) -> Encoded:
    """Put the inputs of a column together; where a value is NaN they are 0, and it is indicated."""
    absent = np.isnan(values)
    columns = [np.where(np.isnan(part), 0.0, part) for part in parts]
    if indicator:
        columns.append(absent.astype(np.float64))
    x = np.stack(columns, axis=1).astype(np.float32)
    return Encoded(x, bad, np.zeros(len(values), dtype=bool))


def indicator_name(encoder: Encoder) -> list[str]:
    """Name the input that tells of missing values, if there is one."""
    return [f"{encoder.column}: missing"] if encoder.indicator else []
