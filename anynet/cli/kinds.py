"""Values of options: one rule for those from the shell and those from TOML files."""

import argparse
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anynet.checks import did_you_mean
from anynet.training.checkpoint.folder import parse_interval


@dataclass(frozen=True)
class Kind:
    """The values that an option takes.

    Attributes
    ----------
    expects : str
        The end of the sentence "expected …" in a message; ``{names}`` stands for the names.
    parse : callable
        Turns shell text into the value that TOML would have; may raise ``ValueError``.
    accepts : callable
        Whether such a value is valid; may raise ``ValueError`` instead of returning False.
    make : callable
        Turns a valid value into the one that is used.
    names : callable
        Returns the valid values, if they can be listed, at the time: parts may be registered.
    most : int, optional
        Maximum of a number, named in the message only if it is exceeded.
    path : {"", "file", "folder"}
        What the value is the path of, if it may be one.
    """

    expects: str
    parse: Callable[[str], Any]
    accepts: Callable[[Any], bool]
    make: Callable[[Any], Any]
    names: Callable[[], Sequence[str]] = tuple
    most: int | None = None
    path: str = ""

    def from_text(self, text: str) -> Any:
        """Read a shell argument; this is the ``type`` that argparse calls."""
        return self._read(text, self.parse)

    def from_toml(self, value: Any) -> Any:
        """Convert a value of TOML.

        Raises
        ------
        ValueError
            If it is invalid; the message states what was expected.
        """
        return self._read(value, lambda value: value)

    def _read(self, given: Any, parse: Callable[[Any], Any]) -> Any:
        limit = ""
        try:
            value = parse(given)
            if self.accepts(value):
                if self.most is None or value <= self.most:
                    return self.make(value)
                limit = f" and at most {self.most}"
        except (ValueError, OverflowError):
            pass  # reported below, in the same words as a value that is not accepted
        hint = did_you_mean(given, self.names()) if isinstance(given, str) else ""
        expects = self.expects.format(names=", ".join(self.names()))
        message = f"expected {expects}{limit}, not {shown(given)}{hint}"
        raise InvalidValueError(message)


class InvalidValueError(argparse.ArgumentTypeError, ValueError):
    """A value of an option is invalid; argparse prints the message."""


def shown(value: Any) -> str:
    """Write a value as Python does, except for whole numbers that Python refuses to write."""
    try:
        return repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} too large to be shown"


LOG_FILES = (".csv", ".jsonl")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # a bool is an int to isinstance


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _split(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def whole(low: int, high: int = 2**63 - 1) -> Kind:
    """Accept whole numbers from `low` to `high`."""
    expects = f"a whole number of at least {low}"
    return Kind(expects, int, lambda value: type(value) is int and low <= value, int, most=high)


def real(low: float, high: float = math.inf, *, positive: bool = False) -> Kind:
    """Accept finite numbers from `low` to `high`, without zero if `positive`."""
    limits = f"above {low:g}" if positive else f"of at least {low:g}"
    limits += f" and at most {high:g}" if high < math.inf else ""

    def accepts(value: Any) -> bool:
        return _is_number(value) and low <= value <= high and (value > 0 or not positive)

    return Kind(f"a number {limits}", float, accepts, float)


def choice(names: Callable[[], Sequence[str]]) -> Kind:
    """Accept one of the names that are known at the time."""
    return Kind("one of {names}", str, lambda value: value in names(), str, names)


def character(names: Collection[str]) -> Kind:
    """Accept one of `names`, which are characters and quoted in messages."""
    return Kind(f"one of {', '.join(map(repr, names))}", str, tuple(names).__contains__, str)


def some(names: Callable[[], Sequence[str]]) -> Kind:
    """Accept some of the names that are known at the time, or none.

    They are ``affine,elastic`` on the shell, and ``["affine", "elastic"]`` in TOML.
    """

    def accepts(value: Any) -> bool:
        if not _is_list(value) or len({*map(str, value)}) < len(value):
            return False
        return all(item in names() for item in value)

    return Kind("some of {names}, each once", _split, accepts, tuple, names)


def text(expects: str) -> Kind:
    """Accept text that is not empty."""
    return Kind(expects, str, lambda value: isinstance(value, str) and value != "", str)


def path(expects: str, what: str = "file") -> Kind:
    """Accept paths; a leading ``~`` is the user's home, as in shells."""

    def make(value: str) -> Path:
        try:
            return Path(value).expanduser()
        except RuntimeError as error:  # there is no such user
            raise ValueError from error

    def accepts(value: Any) -> bool:
        return isinstance(value, str) and value != "" and "\0" not in value

    return Kind(expects, str, accepts, make, path=what)


def whole_numbers(low: int, example: str) -> Kind:
    """Accept whole numbers or none: ``128,64``, in TOML ``[128, 64]``."""
    one = whole(low)

    def make(value: Any) -> tuple[int, ...]:
        return tuple(one.from_toml(item) for item in value)

    expects = f"whole numbers of at least {low}, such as {example}"
    return Kind(
        expects,
        lambda text: [int(word) for word in text.split(",")] if text.strip() else [],
        _is_list,
        make,
    )


def interval() -> Kind:
    """Accept a number of epochs, ``5``, or of minutes, ``10min``."""

    def parse(text: str) -> int | str:
        return int(text) if text.strip().isdecimal() else text

    def accepts(value: Any) -> bool:
        parse_interval(value)
        return True

    expects = "a number of epochs, such as 5, or of minutes, such as 10min"
    return Kind(expects, parse, accepts, lambda value: value)


def assignments(values: Collection[str]) -> Kind:
    """Accept names with one of the values each: ``a=x,b=y``, in TOML ``["a=x", "b=y"]``."""
    expects = f"names with one of {', '.join(values)} each, such as name={next(iter(values))}"

    def accepts(value: Any) -> bool:
        return _are_assignments(value, values.__contains__)

    return Kind(expects, lambda text: text.split(",") if text else [], accepts, tuple)


def log_targets() -> Kind:
    """Accept logs: ``a.csv,tensorboard:b``, in TOML ``["a.csv", "tensorboard:b"]``."""

    def is_target(value: Any) -> bool:
        if not isinstance(value, str) or "\0" in value:
            return False
        kind, _, where = value.partition(":")
        if kind == "tensorboard":
            return where != ""
        return value == "mlflow" or (kind == "mlflow" and where != "") or value.endswith(LOG_FILES)

    return Kind(
        "FILE.csv, FILE.jsonl, tensorboard:DIR, mlflow or mlflow:EXPERIMENT, or several of them "
        "with commas",
        _split,
        lambda value: _is_list(value) and all(map(is_target, value)),
        tuple,
        path="file",
    )


def class_weights() -> Kind:
    """Accept ``balanced``, or factors of classes: ``yes=3,no=1``, in TOML ``["yes=3", "no=1"]``."""

    def accepts(value: Any) -> bool:
        return value == "balanced" or (
            bool(value) and _are_assignments(value, lambda factor: 0 <= float(factor) < math.inf)
        )

    return Kind(
        "balanced, or factors of at least 0 such as yes=3,no=1",
        lambda text: text if text == "balanced" else text.split(","),
        accepts,
        lambda value: value if value == "balanced" else tuple(value),
    )


def _are_assignments(value: Any, accepts: Callable[[str], bool]) -> bool:
    """Whether a value is a list of ``name=value`` with such values."""
    if not _is_list(value) or not all(isinstance(item, str) for item in value):
        return False
    pairs = [item.rpartition("=") for item in value]
    return all(name and accepts(chosen) for name, _, chosen in pairs)


def count_or_share() -> Kind:
    """Accept whole numbers from 0, and shares above 0 and below 1."""
    count = whole(0)

    def parse(text: str) -> int | float:
        return int(text) if text.strip().isdecimal() else float(text)

    def accepts(value: Any) -> bool:
        return count.accepts(value) or (type(value) is float and 0 < value < 1)

    return Kind(
        "a whole number of rows, or a share of them above 0 and below 1",
        parse,
        accepts,
        lambda value: value,
    )


def share_or_path() -> Kind:
    """Accept numbers from 0 to below 1, and paths of files."""

    def parse(text: str) -> float | str:
        try:
            return float(text)
        except ValueError:
            return text

    def accepts(value: Any) -> bool:
        return FILE.accepts(value) or FRACTION.accepts(value)

    expects = "a number from 0 to below 1, or the path of a file"
    return Kind(
        expects,
        parse,
        accepts,
        lambda value: FILE.make(value) if isinstance(value, str) else float(value),
        path="file",
    )


FRACTION = Kind(
    "a number from 0 to below 1", float, lambda value: _is_number(value) and 0 <= value < 1, float
)
#: On the shell ``--name`` or ``--no-name``.
SWITCH = Kind("true or false", bool, lambda value: isinstance(value, bool), bool)
FILE = path("the path of a file")
FOLDER = path("the path of a folder", "folder")
TOML_FILE = path("the path of a TOML file")
