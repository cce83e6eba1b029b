"""Options in TOML files: those of the user, and those that a run has written."""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from anynet.cli.kinds import shown
from anynet.cli.options import ALIASES, KINDS, OF_PRESETS, WITH_PRESETS, TrainOptions
from anynet.cli.synonyms import option_hint
from anynet.data.files import read_at_most
from anynet.errors import InvalidArgumentError

#: Table of facts about a finished run in its config.toml, which are not options.
ABOUT = "about"

#: Options that are paths. TOML holds Unicode only: a name of other bytes is written as a URI.
PATHS = ("dataset", "test", "data_dir", "out")
URI = "file:///"

#: Copy of config.toml beside the checkpoints of a run, as it was when the run began.
BEGINNING = "options.toml"

#: Options that do not affect the numbers of a run, which therefore does not record them.
NOT_RECORDED = ("parallel", "out", "log", "json", "quiet")

#: Options that may change when a run is resumed; the data themselves are compared by their values.
MAY_CHANGE = (
    *("dataset", "data_dir", "epochs", *NOT_RECORDED),
    *("backend", "device", "precision", "threads"),
)

#: The time of Python's TOML reader grows with the square of a key's length: a longer file must
#: have the form in which anynet writes one.
MOST_BYTES = 1 << 16
MOST_WRITTEN_BYTES = 1 << 26
MOST_DOTS = 64  # of a line outside strings: the parts of a key

_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')


def read_config(path: Path) -> dict[str, Any]:
    """Read the options in a TOML file.

    Keys are the names of the flags, with dashes or underscores. A file with a table ``[about]``
    was written by a run and holds all of its options: those that are missing had no value.

    Raises
    ------
    InvalidArgumentError
        If the file is absent or not TOML, a key is unknown, or a value is invalid.
    """
    table = read_toml(path)
    about = table.pop(ABOUT, None)
    if about is not None and not isinstance(about, dict):
        message = f"{path}: {ABOUT} is a table of notes, not an option"
        raise InvalidArgumentError(message)
    given = options_from(table, str(path))
    if about is None:
        return given
    recorded = {each.name: each.default for each in fields(TrainOptions)}
    if given.get("preset") is not None:  # without the options of a single network
        recorded = {name: recorded[name] for name in (*WITH_PRESETS, *OF_PRESETS)}
    return recorded | given


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    InvalidArgumentError
        If the file is absent, not TOML, or too large for a configuration.
    """
    if path.is_dir():
        message = f"{path} is a folder: expected a TOML file, such as the config.toml of a run"
        raise InvalidArgumentError(message)
    try:
        with path.open("rb") as file:
            content = read_at_most(file, MOST_WRITTEN_BYTES + 1)
    except OSError as error:
        message = f"cannot read the config file {path}: {error.strerror or error}"
        raise InvalidArgumentError(message) from error
    try:
        text = content.decode()
        if len(content) > (MOST_WRITTEN_BYTES if _is_plain(text) else MOST_BYTES):
            message = (
                f"{path} is longer than {MOST_BYTES} bytes, too long for a configuration that is "
                f"not in the form in which anynet writes one: strings in double quotes on one "
                f"line, no dotted keys, and at most {MOST_WRITTEN_BYTES} bytes"
            )
            raise InvalidArgumentError(message)
        return tomllib.loads(text)
    except InvalidArgumentError:
        raise
    except (ValueError, RecursionError) as error:  # bytes that are not text raise a ValueError too
        message = f"{path} is not a TOML file: {error}"
        raise InvalidArgumentError(message) from error


def _is_plain(text: str) -> bool:
    """Whether all strings of TOML are in double quotes on one line, and no key is long."""
    rest = _STRING.sub("", text)
    dots = max((line.count(".") for line in rest.split("\n")), default=0)
    return '"""' not in text and not {'"', "'"} & set(rest) and dots <= MOST_DOTS


def _from_uri(value: Any) -> Any:
    """Return the path of a file URI; return any other value unchanged."""
    if not isinstance(value, str) or not value.startswith(URI):
        return value
    return os.fsdecode(unquote_to_bytes(value[len(URI) - 1 :]))


def check_unchanged(path: Path, beginning: Path) -> None:
    """Compare the configuration of a run with the one that it began with.

    Raises
    ------
    EditedConfigError
        If an option differs that cannot change when a run is resumed.
    """
    now, before = read_config(path), read_config(beginning)
    for name in (each for each in KINDS if each not in MAY_CHANGE):
        new, old = now.get(name), before.get(name)
        moved = isinstance(new, Path) and isinstance(old, Path)  # a table of test rows
        if new != old and not moved:
            message = (
                f"{path}: {name.replace('_', '-')} is {_shown(new)}, but the run began with "
                f"{_shown(old)}: restore it to resume the run, or begin another run with anynet "
                f"train --config {path}"
            )
            raise EditedConfigError(message)


def _shown(value: Any) -> str:
    """Write the value of an option as in TOML."""
    if value is None:
        return "not set"
    value = list(value) if isinstance(value, tuple) else value
    return str(value).lower() if isinstance(value, bool) else shown(value)


class EditedConfigError(InvalidArgumentError):
    """An option in a config.toml differs from the one that the run began with."""


def options_from(table: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Convert a TOML table to option values.

    Parameters
    ----------
    table : mapping
    source : str
        Name of the file, for messages.

    Raises
    ------
    InvalidArgumentError
        If a key is unknown or given twice, or a value is invalid.
    """
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        name = ALIASES.get(name, name)
        if name not in KINDS:
            hint = option_hint(key, (known.replace("_", "-") for known in KINDS))
            message = f"{source}: there is no option {key!r}{hint}"
            raise InvalidArgumentError(message)
        if name in values:
            message = f"{source}: {name.replace('_', '-')!r} is given twice"
            raise InvalidArgumentError(message)
        try:
            values[name] = KINDS[name].from_toml(_from_uri(value) if name in PATHS else value)
        except ValueError as error:
            message = f"{source}: {key}: {error}"
            raise InvalidArgumentError(message) from error
    return values
