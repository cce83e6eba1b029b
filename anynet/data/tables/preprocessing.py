"""From the rows of a table to the inputs of a network, and from its outputs back."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from anynet import config as codec
from anynet.checks import did_you_mean
from anynet.data.dataset import TABLE
from anynet.data.tables.categories import Category, Code
from anynet.data.tables.column import is_missing
from anynet.data.tables.encoders import Encoded, Encoder
from anynet.data.tables.encodings import Encoding
from anynet.data.tables.kinds import Found
from anynet.data.tables.marked import Saved, apply_marks
from anynet.data.tables.marks import check_marks
from anynet.data.tables.statistics import robust_factors, smooth_clip
from anynet.data.tables.table import Table, some
from anynet.data.tables.target import Target
from anynet.data.tables.values import NO_CATEGORY, PLACEHOLDERS, is_placeholder
from anynet.errors import DataError, ModelFileError, printable

#: Versions of the result of `to_config`: without and with an encoding.
VERSIONS = (1, 2)

#: Misspelt columns are suggested if there are no more than this many new ones.
MOST_NEW = 20

#: Maximum number of columns whose reasons are given if all are ignored.
MOST_REASONS = 6


@dataclass(frozen=True)
class Preprocessing:
    """What was learnt about the columns of a table from its training rows.

    It consists of numbers and names only: `to_config` returns them in a form that JSON can hold,
    which is saved with the model, so that raw rows can be predicted later and on any backend.

    Attributes
    ----------
    encoders : tuple of Encoder
        One for each column that is used.
    target : Classes or Values
        The column that is predicted.
    ignored : tuple of str
        Columns of the training table that are not used.
    marks : mapping of str to (str, str or None)
        The decimal separator of columns that have one, and a thousands separator that the user
        chose.
    encoding : Encoding or None
        The choice of encoders, with the order of inputs that it describes. None: as ``Encoding()``,
        but the inputs of each column are adjacent, in the order of the columns.
    centers, factors : tuple of float
        Of the inputs that the encoding scales: what is subtracted, and the factor of the result.

    Examples
    --------
    >>> import numpy as np
    >>> import anynet
    >>> rows = np.array([["Ulm", 30], ["Bonn", 40], ["Jena", 70], ["Ulm", 80]] * 15, dtype=object)
    >>> model = anynet.TabularRegressor("fast").fit(rows, 10.0 * rows[:, 1].astype(float))
    >>> [(each.column, each.reads) for each in model.preprocessing_.encoders]
    [('x0', 'category'), ('x1', 'number')]
    """

    encoders: tuple[Encoder, ...]
    target: Target
    ignored: tuple[str, ...] = ()
    marks: Saved = field(default_factory=dict, hash=False)
    encoding: Encoding | None = None
    centers: tuple[float, ...] = ()
    factors: tuple[float, ...] = ()

    @classmethod
    def fit(
        cls,
        table: Table,
        found: Mapping[str, Found],
        target: Target,
        encoding: str | Encoding | None = None,
    ) -> Preprocessing:
        """Measure the training rows.

        Parameters
        ----------
        table : Table
            The training rows only.
        found : mapping of str to Found
            The kind of each column, see `infer_kinds`.
        target : Classes or Values
            The column to predict.
        encoding : str, Encoding or None
            The encoders of the columns and the order of their inputs: a name in
            `anynet.data.tables.encodings.ENCODINGS`, an `Encoding`, or None, see the attribute.

        Returns
        -------
        Preprocessing
            The fitted encoders.

        Raises
        ------
        DataError
            If no column is left to predict from.
        InvalidArgumentError
            If there is no such encoding.
        """
        used = {name: each.kind for name, each in found.items() if each.kind != "ignored"}
        if not used:
            message = f"{table.name} has no column to predict {target.column!r} from: {_why(found)}"
            raise DataError(message)
        chosen = None if encoding is None else Encoding.of(encoding)
        fitting = chosen or Encoding()
        encoders = tuple(
            fitting.fit(kind, name, table.columns[name]) for name, kind in used.items()
        )
        kept = {*used, target.column}
        marks = {name: each for name, each in (table.marks or {}).items() if name in kept}
        ignored = tuple(name for name in found if name not in used)
        made = cls(encoders, target, ignored, marks, chosen)
        if not fitting.scaled:
            return made
        x = made._unscaled([each.encode(table.columns[each.column]) for each in encoders])
        centers, factors = robust_factors(x[:, made.scaled])
        return replace(made, centers=tuple(centers.tolist()), factors=tuple(factors.tolist()))

    @functools.cached_property
    def input_names(self) -> list[str]:
        """The names of the network's inputs."""
        names = np.empty(self.n_inputs, dtype=object)
        for each, places in zip(self.encoders, self.places, strict=True):
            own = each.names()
            for source, target in places:
                names[target] = own[source]
        return names.tolist()

    @functools.cached_property
    def n_inputs(self) -> int:
        """The number of the network's inputs."""
        return sum(len(each.names()) for each in self.encoders)

    @functools.cached_property
    def n_numbers(self) -> int:
        """The number of leading inputs that are numbers on a scale; 0 without an encoding."""
        return 0 if self.encoding is None else sum(each.n_numbers for each in self.encoders)

    @functools.cached_property
    def levels(self) -> tuple[int, ...]:
        """The number of values of each of the last inputs that are codes of categories.

        The codes of an input with n values are whole numbers from 0, which stands for missing
        values and unseen categories, to n - 1.
        """
        return tuple(len(each.levels) + 1 for each in self.encoders if isinstance(each, Code))

    @functools.cached_property
    def widths(self) -> tuple[int, ...]:
        """The number of inputs of each column that has some between numbers and codes."""
        first = self.n_numbers
        return tuple(
            place.stop - place.start
            for places in self.places
            for _, place in places[1:]
            if first <= place.start < place.stop <= self.n_inputs - len(self.levels)
        )

    @functools.cached_property
    def places(self) -> list[list[tuple[slice, slice]]]:
        """For each encoder pairs of places: among its own inputs, and among the network's."""
        number, code = 0, self.n_inputs - len(self.levels)
        flag = self.n_numbers
        places = []
        for each in self.encoders:
            width = len(each.names())
            split = 0 if self.encoding is None else each.n_numbers
            pairs = [(slice(0, split), slice(number, number + split))]
            if isinstance(each, Code) and self.encoding is not None:
                pairs.append((slice(split, width), slice(code, code + width)))
                code += width
            else:
                pairs.append((slice(split, width), slice(flag, flag + width - split)))
                flag += width - split
            number += split
            places.append(pairs)
        return places

    @property
    def scaled(self) -> slice:
        """The inputs between numbers and codes."""
        return slice(self.n_numbers, self.n_inputs - len(self.levels))

    def _unscaled(self, parts: Sequence[Encoded]) -> np.ndarray:
        """Return the inputs of the encoders in the order of the network, (N, n_inputs) float32."""
        x = np.empty((len(parts[0].x), self.n_inputs), dtype=np.float32)
        for part, places in zip(parts, self.places, strict=True):
            for source, target in places:
                x[:, target] = part.x[:, source]
        return x

    def transform(self, table: Any) -> np.ndarray:
        """Return the inputs of raw rows, and warn about missing columns and unknown values.

        Parameters
        ----------
        table : Table, mapping or data frame
            Raw rows.

        Returns
        -------
        ndarray of shape (N, n_inputs), float32
            The inputs, see `encode`.
        """
        x, notes = self.encode(table)
        for note in notes:
            warnings.warn(printable(note), stacklevel=2)
        return x

    def encode(self, table: Any) -> tuple[np.ndarray, list[str]]:
        """Return the inputs of raw rows, and notes on them.

        Missing columns and values that cannot be read are missing values; other columns are
        ignored; the order of the columns does not matter.

        Parameters
        ----------
        table : Table, mapping or data frame
            Raw rows.

        Returns
        -------
        x : ndarray of shape (N, n_inputs), float32
            The inputs.
        notes : list of str
            One for each column and problem: how many rows, what was done.

        Raises
        ------
        DataError
            If the table has none of the columns.
        """
        table, marked = self.read(table)
        names = [each.column for each in self.encoders]
        if not any(name in table.columns for name in names):
            message = (
                f"{table.name} has none of the columns that the model reads: expected "
                f"{some(names)}, found {some(table.columns) or 'none'}"
            )
            raise DataError(message)
        new = self._new(table)
        notes = [*table.notes, *marked]
        if new:
            notes.append(f"training had no column {some(new)}: ignored")
        near = new if len(new) <= MOST_NEW else []
        x = self._unscaled([_encode(each, table, notes, near) for each in self.encoders])
        if self.factors:
            centers, factors = np.array([self.centers, self.factors], dtype=np.float32)
            x[:, self.scaled] = smooth_clip((x[:, self.scaled] - centers) * factors)
        return x, notes

    def read(self, table: Any) -> tuple[Table, list[str]]:
        """Return a table whose numbers are read like those of the training rows.

        Parameters
        ----------
        table : Table, mapping or data frame
            Raw rows.

        Returns
        -------
        table : Table
            With numbers in Python's notation.
        notes : list of str
            Numbers that are read in another way than those of the training rows.
        """
        table = table if isinstance(table, Table) else Table.of(table)
        if table.marks is not None:
            return table, []
        numbers = [each.column for each in self.encoders if each.reads == "number"]
        if self.target.task == "regression":
            numbers.append(self.target.column)
        return apply_marks(table, self.marks, numbers)

    def decode(self, predicted: np.ndarray) -> np.ndarray:
        """Return predictions of a network as the table has them: names of classes, or values."""
        return self.target.decode(predicted)

    def labels(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """Return the encoded targets of rows, and the rows without a known target.

        Parameters
        ----------
        table : Table
            Raw rows with the target.

        Returns
        -------
        y : ndarray of shape (N,)
            Labels or standardised values.
        absent : ndarray of bool, (N,)
            Rows whose target is missing or unknown.

        Raises
        ------
        DataError
            If the table has no such column, or no row has a known target.
        """
        table.require(self.target.column, self._new(table))
        table, _ = self.read(table)
        y, absent = self.target.encode(table.columns[self.target.column])
        if absent.all():
            message = f"{table.name}: no row has a {self.target.column!r} that the model knows"
            raise DataError(message)
        return y, absent

    def to_config(self) -> dict[str, Any]:
        """Return it in a form that JSON can hold."""
        target = codec.to_config(self.target)
        config = {
            "version": VERSIONS[self.encoding is not None],
            "target": {"task": target.pop("kind")} | target,
            "columns": [codec.to_config(each) for each in self.encoders],
            "ignored": list(self.ignored),
            "marks": {name: list(each) for name, each in self.marks.items()},
        }
        if self.encoding is None:
            return config
        scaling = {"centers": list(self.centers), "factors": list(self.factors)}
        return config | {"encoding": codec.to_config(self.encoding)} | scaling

    @classmethod
    def from_config(cls, config: Any) -> Preprocessing:
        """Restore it from the result of `to_config`.

        Parameters
        ----------
        config : object
            JSON from a file that may be damaged.

        Returns
        -------
        Preprocessing
            The same as before.

        Raises
        ------
        ModelFileError
            If it is something else.
        """
        try:
            if config["version"] not in VERSIONS:
                message = f"version {config['version']!r} of tables, expected one of {VERSIONS}"
                raise ValueError(message)
            options = dict(config["target"])
            target = codec.from_config("target", {"kind": options.pop("task")} | options)
            encoders = tuple(codec.from_config("encoder", each) for each in config["columns"])
            if not encoders:
                message = "it has no columns"
                raise ValueError(message)
            marks: dict[str, tuple[str, str | None]] = {}
            for name, (decimal, thousands) in config.get("marks", {}).items():
                check_marks(decimal, thousands)
                marks[str(name)] = decimal or ".", thousands
            made = cls(encoders, target, tuple(map(str, config["ignored"])), marks)
            return made if config["version"] == VERSIONS[0] else made._encoded(config)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            message = f"the model does not describe its table correctly: {error}"
            raise ModelFileError(message) from error

    @classmethod
    def of(cls, model: Any) -> Preprocessing:
        """Return the preprocessing in the metadata of a model.

        Parameters
        ----------
        model : Model or Ensemble
            A model that was trained on a table.

        Returns
        -------
        Preprocessing
            That of its table.

        Raises
        ------
        ModelFileError
            If the model was not trained on a table, or does not fit it.
        """
        config = model.metadata.get(TABLE)
        if config is None:
            message = (
                "this model was not trained on a table that anynet read: give it arrays, or train "
                "with metadata=data.metadata of anynet.load_tabular_dataset"
            )
            raise ModelFileError(message)
        made = cls.from_config(config)
        first = getattr(model, "models", (model,))[0]  # the members of an ensemble are alike
        network = first.network
        found = network.n_inputs, first.loss.task, network.n_outputs
        if found != (made.n_inputs, *made.target.outputs):
            message = (
                f"the network and the table of the model do not belong together: inputs, task and "
                f"outputs are {found} and {(made.n_inputs, *made.target.outputs)}"
            )
            raise ModelFileError(message)
        return made

    def _encoded(self, config: Mapping[str, Any]) -> Preprocessing:
        """Return it with the encoding of a file."""
        encoding = codec.from_config("encoding", config["encoding"])
        centers, factors = (tuple(map(float, config[name])) for name in ("centers", "factors"))
        made = replace(self, encoding=encoding, centers=centers, factors=factors)
        scaled = len(range(made.n_inputs)[made.scaled]) if encoding.scaled else 0
        if not len(centers) == len(factors) == scaled or not np.all(np.isfinite(centers + factors)):
            message = f"centers and factors must be {scaled} finite numbers each"
            raise ValueError(message)
        return made

    def _new(self, table: Table) -> list[str]:
        """Return the names of columns that the training table did not have."""
        known = {self.target.column, *self.ignored, *(each.column for each in self.encoders)}
        known.update(table.index)
        return [name for name in table.columns if name not in known]


def notes_on_rare(encoders: Iterable[Encoder]) -> list[str]:
    """Return notes on the columns in which the rarer categories share an input."""
    return [
        f"{each.column}: the {len(each.levels)} most frequent categories have an input each, and "
        f"the others share one"
        for each in encoders
        if isinstance(each, Category) and each.other
    ]


def _encode(encoder: Encoder, table: Table, notes: list[str], new: Sequence[str]) -> Encoded:
    """Return the inputs of one column, and append notes; `new` are columns that may be misspelt."""
    name = encoder.column
    if name in table.columns:
        encoded = encoder.encode(table.columns[name])
        notes += _notes_on_column(encoder, table, encoded)
        return encoded
    notes.append(
        f"{name}: there is no such column{did_you_mean(name, new)}: taken as missing in every "
        f"row, which is {encoder.imputed()}"
    )
    return encoder.encode(np.full(table.n_rows, np.nan))


def _notes_on_column(encoder: Encoder, table: Table, encoded: Encoded) -> list[str]:
    """Return notes on values that cannot be read, or are missing or new for the first time."""
    column = table.columns[encoder.column]
    category = encoder.reads == "category"
    placeholder = is_placeholder(column, NO_CATEGORY if category else PLACEHOLDERS)
    absent = is_missing(column)
    rare = isinstance(encoder, Category) and encoder.other
    missing = f"taken as missing, which is {encoder.imputed()}"
    found = (
        (placeholder, "a placeholder", True, missing),
        (encoded.bad, f"no {encoder.reads}", True, missing),
        (
            absent & (not encoder.indicator),
            "no value, unlike those for training",
            False,
            f"taken as {encoder.imputed()}",
        ),
        (
            encoded.unseen,
            "a category that training did not have",
            True,
            f"taken as {'one of the rarest' if rare else 'none of those it had'}",
        ),
    )
    notes = []
    for mask, what, show, done in found:
        if mask.any():
            count = int(np.sum(mask))
            first = f" ({table.shown(encoder.column, mask)})" if show else ""
            holds = f"{count:,} of {mask.size:,} rows {'holds' if count == 1 else 'hold'}"
            notes.append(f"{encoder.column}: {holds} {what}{first}: {done}")
    return notes


def _why(found: Mapping[str, Found]) -> str:
    """Return the reasons why there is no column to predict from."""
    if not found:
        return "it has no other column"
    reasons = [f"{name!r} is ignored: {each.reason}" for name, each in found.items()]
    if len(reasons) > MOST_REASONS:
        reasons[MOST_REASONS:] = [f"{len(reasons) - MOST_REASONS} more are ignored"]
    return "; ".join(reasons)
