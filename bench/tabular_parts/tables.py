"""Tables with their columns as they are, and repeated splits of their rows.

A table of the data folder is a CSV file in ``tables/`` with the target in the column ``target``;
the others are scikit-learn's, and ``generated-*`` are drawn at random. Text columns become pandas'
categories. A target of text, or with at most 20 different integers, is a class.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.model_selection import train_test_split

TARGET = "target"
TEST_FRACTION = 0.25
MOST_CLASSES = 20
MOSTLY = 0.95  # share of numbers from which text is a column of numbers with missing values
OF_SCIKIT_LEARN = ("breast_cancer", "wine", "diabetes", "digits", "iris")
GENERATED = ("generated-friedman", "generated-moons")


class Table(NamedTuple):
    """A table: columns of numbers and categories, and classes 0, 1, … or values."""

    X: pd.DataFrame
    y: np.ndarray
    n_classes: int  # 0: values

    @property
    def categories(self) -> list[str]:
        """Return the names of the categorical columns."""
        return list(self.X.columns[self.X.dtypes == "category"])


class Split(NamedTuple):
    """Training rows and the rows on which a method is scored."""

    X: pd.DataFrame
    y: np.ndarray
    X_test: pd.DataFrame
    y_test: np.ndarray


def data_folder() -> Path | None:
    """Return the folder with the tables of ``ANYNET_DATA_DIR``, if there is one."""
    folder = Path(os.environ.get("ANYNET_DATA_DIR", ""), "tables")
    return folder if folder.is_dir() else None


def names() -> list[str]:
    """Return the names of the tables that are not generated."""
    folder = data_folder()
    files = sorted(path.stem for path in folder.glob("*.csv")) if folder else []
    return [*OF_SCIKIT_LEARN, *files]


@functools.cache
def load(name: str) -> Table:
    """Return a table."""
    if name in GENERATED:
        X, y = generate(name)
        return as_table(pd.DataFrame(X).add_prefix("x"), pd.Series(y))
    if name in OF_SCIKIT_LEARN:
        frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    else:
        folder = data_folder()
        path = folder / f"{name}.csv" if folder else Path(f"{name}.csv")
        if not path.exists():
            message = f"no table {name!r}: expected one of {names()} or of {GENERATED}"
            raise FileNotFoundError(message)
        frame = pd.read_csv(path)
    return as_table(frame.drop(columns=TARGET), frame[TARGET])


def generate(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a generated regression or classification table of 2,000 rows."""
    if name == "generated-friedman":
        return datasets.make_friedman1(2000, 15, noise=1.0, random_state=0)
    return datasets.make_moons(2000, noise=0.3, random_state=0)


def as_table(X: pd.DataFrame, y: pd.Series) -> Table:
    """Return text columns as categories, and a target of classes as 0, 1, …"""
    X = X.apply(as_column)
    is_number = pd.api.types.is_numeric_dtype(y)
    if is_number and (y.nunique() > MOST_CLASSES or np.any(y % 1)):
        return Table(X, y.to_numpy(np.float64), 0)
    codes, classes = pd.factorize(y, sort=True)
    return Table(X, codes, len(classes))


def as_column(column: pd.Series) -> pd.Series:
    """Return a column as float64 numbers or as categories of text."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(np.float64)
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().sum() >= MOSTLY * column.notna().sum():
        return numbers.astype(np.float64)
    return column.astype("category")


def draw_split(table: Table, number: int, most_rows: int, *, nested: bool = False) -> Split:
    """Draw a split: a quarter of the rows for the test, at most ``most_rows`` for training.

    Parameters
    ----------
    table : Table
    number : int
        The seed.
    most_rows : int
        Maximum number of training rows; classes keep their shares.
    nested : bool
        Whether only the training rows of the split are used: a quarter of them takes the place
        of the test rows, which stay unseen.
    """
    rows = np.arange(len(table.y))
    train, test = share(table, rows, number, test_size=TEST_FRACTION)
    if nested:
        train, test = share(table, train, number, test_size=TEST_FRACTION)
    if len(train) > most_rows:
        train, _ = share(table, train, number, train_size=most_rows)
    return Split(table.X.iloc[train], table.y[train], table.X.iloc[test], table.y[test])


def share(
    table: Table, rows: np.ndarray, seed: int, **sizes: float
) -> tuple[np.ndarray, np.ndarray]:
    """Divide rows at random, stratified by class."""
    stratify = table.y[rows] if table.n_classes else None
    return train_test_split(rows, random_state=seed, stratify=stratify, **sizes)
