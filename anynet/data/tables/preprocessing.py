"""From the rows of a table to the inputs of a network, and from its outputs back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from anynet.data.dataset import TABLE
from anynet.data.tables.config import made_of
from anynet.data.tables.encoders import ENCODERS
from anynet.data.tables.encoding import Encoder
from anynet.data.tables.kinds import Found
from anynet.data.tables.marked import Saved, apply_marks
from anynet.data.tables.marks import DECIMALS, THOUSANDS
from anynet.data.tables.notes import note_on_absent_column, notes_on_column
from anynet.data.tables.table import Table, some
from anynet.data.tables.target import TARGETS, Target
from anynet.errors import DataError, ModelFileError, printable

VERSION = 1  # of what to_config gives

#: Misspelt columns are suggested where there are no more than this many new ones.
MOST_NEW = 20

#: Columns whose reasons are given where all are ignored.
MOST_REASONS = 6


@dataclass(frozen=True)
class Preprocessing:
    """What was learnt of a table's columns from its training rows.

    It is plain numbers and names: `to_config` gives what JSON can hold, which is saved with the
    model, so that raw rows can be predicted later and on any backend.

    Attributes
    ----------
    encoders : tuple of Encoder
        One a column that is used, in the order of the inputs.
    target : Classes or Values
        The column that is predicted.
    ignored : tuple of str
        Columns that the training table had and that are not used.
    marks : mapping of str to (str, str or None)
        The decimal separator of columns that have one, and a thousands separator that the user
        chose.
    """

    encoders: tuple[Encoder, ...]
    target: Target
    ignored: tuple[str, ...] = ()
    marks: Saved = field(default_factory=dict, hash=False)

    @classmethod
    def fit(cls, table: Table, found: Mapping[str, Found], target: Target) -> Preprocessing:
        """Measure the training rows.

        Parameters
        ----------
        table : Table
            The training rows, and no others.
        found : mapping of str to Found
            The kind of each column, see `infer_kinds`.
        target : Classes or Values

        Raises
        ------
        DataError
            If no column is left to predict from.
        """
        used = {name: each.kind for name, each in found.items() if each.kind != "ignored"}
        if not used:
            message = f"{table.name} has no column to predict {target.column!r} from: {_why(found)}"
            raise DataError(message)
        encoders = tuple(
            ENCODERS[kind].fit(name, table.columns[name], table.decimal)
            for name, kind in used.items()
        )
        kept = {*used, target.column}
        marks = {name: each for name, each in (table.marks or {}).items() if name in kept}
        return cls(encoders, target, tuple(name for name in found if name not in used), marks)

    @property
    def input_names(self) -> list[str]:
        """The names of the network's inputs."""
        return [name for each in self.encoders for name in each.names()]

    @property
    def n_inputs(self) -> int:
        """How many inputs the columns become."""
        return len(self.input_names)

    def transform(self, table: Any) -> np.ndarray:
        """Return the inputs (N, n_inputs) of raw rows, float32.

        Warns about missing columns and unknown values: see `encode`.
        """
        x, notes = self.encode(table)
        for note in notes:
            warnings.warn(printable(note), stacklevel=2)
        return x

    def encode(self, table: Any) -> tuple[np.ndarray, list[str]]:
        """Return the inputs of raw rows, and what had to be done about them.

        Missing columns and values that cannot be read count as missing values; other columns are
        ignored; the order of the columns does not matter.

        Parameters
        ----------
        table : Table, mapping or data frame

        Returns
        -------
        x : ndarray of shape (N, n_inputs), float32
        notes : list of str
            One a column and matter: which, how many rows, what was done.

        Raises
        ------
        DataError
            If the table has none of the columns.
        """
        table, told = self.read(table)
        names = [each.column for each in self.encoders]
        if not any(name in table.columns for name in names):
            message = (
                f"{table.name} has none of the columns that the model reads: expected "
                f"{some(names)}, found {some(table.columns) or 'none'}"
            )
            raise DataError(message)
        new = self._new(table)
        notes = [*table.notes, *told]
        if new:
            notes.append(f"training had no column {some(new)}: ignored")
        near = new if len(new) <= MOST_NEW else []
        parts = [self._encode(each, table, notes, near) for each in self.encoders]
        return np.concatenate(parts, axis=1), notes

    def read(self, table: Any) -> tuple[Table, list[str]]:
        """Return a table whose numbers are read as those of the training rows, and notes on that.

        Parameters
        ----------
        table : Table, mapping or data frame
        """
        table = table if isinstance(table, Table) else Table.of(table)
        if table.marks is not None:
            return table, []
        numbers = [each.column for each in self.encoders if each.kind == "number"]
        if self.target.task == "regression":
            numbers.append(self.target.column)
        return apply_marks(table, self.marks, numbers)

    def decode(self, predicted: np.ndarray) -> np.ndarray:
        """Return what a network predicted as the table has it: names of classes, or values."""
        return self.target.decode(predicted)

    def labels(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """Return the encoded targets of rows, and in which rows there is none that is known.

        Raises
        ------
        DataError
            If the table has no such column, or no row a target that is known.
        """
        table.require(self.target.column, self._new(table))
        table, _ = self.read(table)
        y, absent = self.target.encode(table.columns[self.target.column], table.decimal)
        if absent.all():
            message = f"{table.name}: no row has a {self.target.column!r} that the model knows"
            raise DataError(message)
        return y, absent

    def to_config(self) -> dict[str, Any]:
        """Return it as what JSON can hold."""
        return {
            "version": VERSION,
            "target": {"task": self.target.task} | asdict(self.target),
            "columns": [
                {"kind": each.kind} | asdict(each)  # type: ignore[call-overload]
                for each in self.encoders
            ],
            "ignored": list(self.ignored),
            "marks": {name: list(each) for name, each in self.marks.items()},
        }

    @classmethod
    def from_config(cls, config: Any) -> Preprocessing:
        """Make it again from what `to_config` gave.

        Raises
        ------
        ModelFileError
            If it is not that.
        """
        try:
            if config["version"] != VERSION:
                message = f"version {config['version']!r} of tables, expected {VERSION}"
                raise ValueError(message)
            target: Target = made_of(config["target"], "task", TARGETS)
            encoders = tuple(made_of(each, "kind", ENCODERS) for each in config["columns"])
            if not encoders:
                message = "it has no columns"
                raise ValueError(message)
            marks = {str(name): _marks(*each) for name, each in config.get("marks", {}).items()}
            return cls(encoders, target, tuple(map(str, config["ignored"])), marks)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            message = f"the model does not say properly what its table looks like: {error}"
            raise ModelFileError(message) from error

    @classmethod
    def of(cls, model: Any) -> Preprocessing:
        """Return that of a model, from its metadata.

        Raises
        ------
        ModelFileError
            If the model was not trained on a table.
        """
        config = model.metadata.get(TABLE)
        if config is None:
            message = (
                "this model was not trained on a table that anynet read: give it arrays, or train "
                "with metadata=data.metadata of anynet.load_table"
            )
            raise ModelFileError(message)
        made = cls.from_config(config)
        network = model.network
        found = network.n_inputs, model.loss.task, network.n_outputs
        if found != (made.n_inputs, *made.target.outputs):
            message = (
                f"the network and the table of the model do not belong together: inputs, task and "
                f"outputs are {found} and {(made.n_inputs, *made.target.outputs)}"
            )
            raise ModelFileError(message)
        return made

    def _encode(
        self, encoder: Encoder, table: Table, notes: list[str], new: Sequence[str]
    ) -> np.ndarray:
        """Encode one column, and tell what is amiss."""
        name = encoder.column
        if name in table.columns:
            encoded = encoder.encode(table.columns[name], table.decimal)
            notes += notes_on_column(encoder, table, encoded)
            return encoded.x
        notes.append(note_on_absent_column(encoder, new))
        return encoder.encode(np.full(table.n_rows, np.nan), table.decimal).x

    def _new(self, table: Table) -> list[str]:
        """Return the names of columns that the training table did not have."""
        known = {self.target.column, *self.ignored, *(each.column for each in self.encoders)}
        known.update(table.index)
        return [name for name in table.columns if name not in known]


def _marks(decimal: Any, thousands: Any) -> tuple[str, str | None]:
    if decimal not in DECIMALS or thousands not in (None, *THOUSANDS):
        message = f"{decimal!r} and {thousands!r} separate no numbers"
        raise ValueError(message)
    return decimal, thousands


def _why(found: Mapping[str, Found]) -> str:
    """Say why there is nothing to predict from."""
    if not found:
        return "it has no other column"
    reasons = [f"{name!r} is ignored: {each.reason}" for name, each in found.items()]
    if len(reasons) > MOST_REASONS:
        reasons[MOST_REASONS:] = [f"{len(reasons) - MOST_REASONS} more are ignored"]
    return "; ".join(reasons)
