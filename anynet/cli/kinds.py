"""What the value of an option may be: from the shell or from TOML, judged by the same rule."""

import argparse
import difflib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anynet.training.checkpoint.folder import parse_interval


@dataclass(frozen=True)
class Kind:
    """One sort of value.

    Attributes
    ----------
    expects : str
        The end of the sentence "expected …" in an error message.
    parse : callable
        Shell text to a value; a ``ValueError`` means that the text is not of this kind.
    convert : callable
        A value, parsed or out of a TOML file, to the value that is used; again with ``ValueError``.
    names : tuple of str
        The values that there are, where they can be listed.
    """

    expects: str
    parse: Callable[[str], Any]
    convert: Callable[[Any], Any]
    names: tuple[str, ...] = ()

    def from_text(self, text: str) -> Any:
        """Read a shell argument; this is the ``type`` that argparse calls."""
        try:
            return self.convert(self.parse(text))
        except (ValueError, OverflowError) as error:
            expects = self.expects + _limit(error)
            message = f"expected {expects}, not {text!r}{did_you_mean(text, self.names)}"
            raise argparse.ArgumentTypeError(message) from None

    def from_toml(self, value: Any) -> Any:
        """Take a value out of TOML, or raise a ``ValueError`` that says what was expected."""
        try:
            return self.convert(value)
        except (ValueError, OverflowError) as error:
            near = did_you_mean(value, self.names) if isinstance(value, str) else ""
            message = f"expected {self.expects}{_limit(error)}, not {shown(value)}{near}"
            raise ValueError(message) from None


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """The end of a message about a word that is not among the names: the nearest of them."""
    near = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def shown(value: Any) -> str:
    """Write a value as Python does, where Python can: not a whole number of 5,000 digits."""
    try:
        return repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} too large to be shown"


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError


class TooLargeError(ValueError):
    """A number is above the limit of its kind, which is the argument."""


def _limit(error: Exception) -> str:
    return f" and at most {error.args[0]}" if isinstance(error, TooLargeError) else ""


def whole(low: int, high: int = 2**63 - 1) -> Kind:
    """A whole number from `low` to `high`."""

    def convert(value: Any) -> int:
        _require(type(value) is int and low <= value)  # a bool is an int to isinstance
        if value > high:
            raise TooLargeError(high)
        return int(value)

    return Kind(f"a whole number of at least {low}", int, convert)


def real(low: float, high: float = math.inf, *, positive: bool = False) -> Kind:
    """A finite number from `low` to `high`, without zero when `positive`."""

    def convert(value: Any) -> float:
        _require(type(value) in (int, float) and math.isfinite(value) and low <= value <= high)
        _require(value > 0 or not positive)
        return float(value)

    limits = f"above {low:g}" if positive else f"of at least {low:g}"
    limits += f" and at most {high:g}" if high < math.inf else ""
    return Kind(f"a number {limits}", float, convert)


def fraction() -> Kind:
    """A share that may be nothing but not the whole: 0 ≤ value < 1."""

    def convert(value: Any) -> float:
        _require(type(value) in (int, float) and 0 <= value < 1)
        return float(value)

    return Kind("a number from 0 to below 1", float, convert)


def choice(*names: str) -> Kind:
    """One of `names`."""

    def convert(value: Any) -> str:
        _require(value in names)
        return str(value)

    return Kind(f"one of {', '.join(names)}", str, convert, names)


def character(*names: str) -> Kind:
    """One of some characters, which are quoted in messages."""
    return Kind(f"one of {', '.join(map(repr, names))}", str, choice(*names).convert)


def some(*names: str) -> Kind:
    """Some of `names`, such as ``affine,elastic``, in TOML ``["affine", "elastic"]``; or none."""

    def parse(text: str) -> list[str]:
        return [word.strip() for word in text.split(",") if word.strip()]

    def convert(value: Any) -> tuple[str, ...]:
        _require(isinstance(value, list | tuple) and len(set(map(str, value))) == len(value))
        _require(all(name in names for name in value))
        return tuple(value)

    return Kind(f"some of {', '.join(names)}, each once", parse, convert, names)


def text(expects: str) -> Kind:
    """Any text that is not empty."""

    def convert(value: Any) -> str:
        _require(isinstance(value, str) and value != "")
        return str(value)

    return Kind(expects, str, convert)


def path(expects: str) -> Kind:
    """A path; a leading ``~`` is the user's home, as the shell has it."""
    name = text(expects)

    def convert(value: Any) -> Path:
        written = name.convert(value)
        _require("\0" not in written)
        try:
            return Path(written).expanduser()
        except RuntimeError as error:  # there is no such user
            raise ValueError from error

    return Kind(expects, str, convert)


def sizes() -> Kind:
    """Sizes such as ``128,64``, in TOML ``[128, 64]``; none at all is allowed."""
    return _several(whole(1), "whole numbers of at least 1, such as 128,64")


def classes() -> Kind:
    """Classes such as ``1,7``, in TOML ``[1, 7]``; none at all is allowed."""
    return _several(whole(0), "whole numbers of at least 0, such as 1,7")


def _several(one: Kind, expects: str) -> Kind:

    def parse(text: str) -> list[int]:
        return [int(word) for word in text.split(",")] if text.strip() else []

    def convert(value: Any) -> tuple[int, ...]:
        _require(isinstance(value, list | tuple))
        return tuple(one.convert(item) for item in value)

    return Kind(expects, parse, convert)


def interval() -> Kind:
    """A number of epochs, ``5``, or of minutes, ``10min``."""

    def convert(value: Any) -> int | str:
        parse_interval(value)
        every: int | str = value
        return every

    def parse(text: str) -> int | str:
        return int(text) if text.strip().isdecimal() else text

    return Kind("a number of epochs, such as 5, or of minutes, such as 10min", parse, convert)


def assignments(values: tuple[str, ...]) -> Kind:
    """Names with one of the values each, such as ``a=x,b=y``, in TOML ``["a=x", "b=y"]``."""

    def convert(value: Any) -> tuple[str, ...]:
        _require(isinstance(value, list | tuple))
        for item in value:
            _require(isinstance(item, str))
            name, _, chosen = item.rpartition("=")
            _require(bool(name) and chosen in values)
        return tuple(value)

    expects = f"names with one of {', '.join(values)} each, such as name={values[0]}"
    return Kind(expects, lambda text: text.split(",") if text else [], convert)


def class_weights() -> Kind:
    """``balanced``, or factors of classes such as ``yes=3,no=1``, in TOML ``["yes=3", "no=1"]``."""

    def parse(text: str) -> str | list[str]:
        return text if text == "balanced" else text.split(",")

    def convert(value: Any) -> str | tuple[str, ...]:
        if value == "balanced":
            return "balanced"
        _require(isinstance(value, list | tuple) and bool(value))
        for item in value:
            _require(isinstance(item, str))
            name, _, factor = item.rpartition("=")
            _require(bool(name) and 0 <= float(factor) < math.inf)
        return tuple(value)

    return Kind("balanced, or factors of at least 0 such as yes=3,no=1", parse, convert)


def share_or_path() -> Kind:
    """A number above 0 and below 1, or else the path of a file."""

    def parse(text: str) -> float | str:
        try:
            return float(text)
        except ValueError:
            return text

    file = path("the path of a file")

    def convert(value: Any) -> float | Path:
        if isinstance(value, str):
            name: Path = file.convert(value)
            return name
        _require(type(value) is float and 0 < value < 1)
        return float(value)

    return Kind("a number above 0 and below 1, or the path of a file", parse, convert)


def switch() -> Kind:
    """True or false; on the shell ``--name`` or ``--no-name``."""

    def convert(value: Any) -> bool:
        _require(isinstance(value, bool))
        return bool(value)

    return Kind("true or false", bool, convert)
