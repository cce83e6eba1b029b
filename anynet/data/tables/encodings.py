"""Encodings: which encoder each kind of column gets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from anynet.checks import check_choice
from anynet.config import register
from anynet.data.tables.categories import Category, Code
from anynet.data.tables.encoders import Boolean, Date, Encoder, Number
from anynet.data.tables.quantile import Quantile
from anynet.errors import InvalidArgumentError

NUMBERS: dict[str, type[Number] | type[Quantile]] = {"robust": Number, "quantile": Quantile}


@register("encoding")
@dataclass(frozen=True)
class Encoding:
    """How the columns of a table become inputs of a network.

    The inputs that are numbers on a scale (numbers, and the days of dates) come first, then the
    others (categories, truth values, indicators of missing values, positions in the year and in the
    week), then the codes of categories.

    Attributes
    ----------
    numbers : {"robust", "quantile"}
        Numbers are centred, scaled and clipped (`Number`), or have a standard normal distribution
        (`Quantile`).
    signed : bool
        Whether truth values, and the categories of a column with two of them, are 1 and -1 in one
        input; a missing value is then 0 in every input of its column, without an indicator. Columns
        of numbers and dates keep their indicators.
    scaled : bool
        Whether the inputs between numbers and codes are centred, scaled and clipped like numbers.
    max_one_hot : int or None
        Maximum number of categories, with the missing one, that have an input each; a column with
        more becomes one code, see `Code`. None: no codes.
    clamped : bool
        Whether predicted values are clamped to the range of the target in the training rows.
    """

    kind: ClassVar[str] = "columns"

    numbers: str = "robust"
    signed: bool = False
    scaled: bool = False
    max_one_hot: int | None = None
    clamped: bool = False

    def __post_init__(self) -> None:
        """Check options that may be from a file."""
        check_choice("numbers", self.numbers, NUMBERS)

    @classmethod
    def of(cls, given: Any) -> Encoding:
        """Return the encoding of a name in `ENCODINGS`, or the one that is given.

        Raises
        ------
        InvalidArgumentError
            If it is neither.
        """
        if isinstance(given, cls):
            return given
        if not isinstance(given, str) or given not in ENCODINGS:
            message = (
                f"encoding must be one of {', '.join(ENCODINGS)}, or an Encoding, got {given!r}"
            )
            raise InvalidArgumentError(message)
        return ENCODINGS[given]

    def fit(self, kind: str, name: str, column: np.ndarray) -> Encoder:
        """Return the encoder of a column, measured on the training rows.

        Parameters
        ----------
        kind : {"number", "boolean", "date", "category"}
            The kind of the column.
        name : str
            Its name.
        column : ndarray of shape (N,)
            Its values in the training rows, as in a `Table`.
        """
        if kind == "number":
            return NUMBERS[self.numbers].fit(name, column)
        if kind == "boolean":
            return Boolean.fit(name, column, signed=self.signed)
        if kind == "date":
            return Date.fit(name, column)
        one_hot = Category.fit(name, column)
        n_levels = len(one_hot.levels) + len(one_hot.rare)
        if self.max_one_hot is not None and n_levels + 1 > self.max_one_hot:
            return Code.of(one_hot)
        return replace(one_hot, signed=self.signed)


#: Encodings by name: those of anynet's networks, TabM, RealMLP-TD-S and RealMLP-TD.
ENCODINGS = {
    "robust": Encoding(),
    "quantile": Encoding(numbers="quantile"),
    "realmlp-s": Encoding(signed=True, scaled=True),
    "realmlp": Encoding(signed=True, scaled=True, max_one_hot=9, clamped=True),
}
