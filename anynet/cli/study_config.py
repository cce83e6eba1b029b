"""The TOML file of ``anynet study grid``: options, and a table of those that are studied."""

from pathlib import Path
from typing import Any

from anynet.cli.config import options_from, read_toml
from anynet.cli.kinds import did_you_mean, shown
from anynet.cli.options import KINDS
from anynet.cli.study_plan import SHARED
from anynet.errors import InvalidArgumentError
from anynet.study.grid import Range, check_space

GRID = "grid"

#: Where options that a study file may not have are set instead.
_ELSEWHERE = {
    "dataset": "name it on the command line",
    "seed": "--seeds says how many there are",
    "out": "use --out",
    "json": "results.json is in the study's folder",
}

Space = dict[str, list[Any] | Range]


def read_study(path: Path, *, searched: bool) -> tuple[dict[str, Any], Space]:
    """Read what stays the same, and what is studied.

    Parameters
    ----------
    path : Path
    searched : bool
        Whether points are drawn, so that ranges have a meaning.

    Returns
    -------
    options, space : dict
        By the names of the fields of ``TrainOptions``.

    Raises
    ------
    InvalidArgumentError
        The file is absent or not TOML, an option is unknown or cannot be studied, a value is out
        of its range, or nothing is studied.
    """
    table = read_toml(path)
    grid = table.pop(GRID, None)
    if not isinstance(grid, dict):
        message = (
            f"{path}: expected a table [{GRID}] with the studied options, such as "
            f"learning-rate = [0.05, 0.1]"
        )
        raise InvalidArgumentError(message)
    options = options_from(table, str(path))
    for name in options:
        if name in _ELSEWHERE:
            message = f"{path}: {name} is no option of a study's file: {_ELSEWHERE[name]}"
            raise InvalidArgumentError(message)
    if options.get("validation") == 0:
        message = f"{path}: a study chooses by held-out rows: validation must be at least 1"
        raise InvalidArgumentError(message)
    source = f"{path}: [{GRID}]"
    space: Space = {}
    for key, value in grid.items():
        name = key.replace("-", "_")
        if name not in KINDS:
            options_from({key: value}, source)  # refuses it, and names the nearest
        if name in SHARED:
            message = f"{source}: {key} is the same for all runs of a study, so it cannot vary"
            raise InvalidArgumentError(message)
        if name in space or name in options:
            message = f"{path}: {key!r} is given twice"
            raise InvalidArgumentError(message)
        if isinstance(value, dict):
            space[name] = _range(key, value, source, searched=searched)
        elif isinstance(value, list):
            space[name] = [options_from({key: item}, source)[name] for item in value]
        else:
            message = f"{source}: {key}: expected a list of values, not {shown(value)}"
            raise InvalidArgumentError(message)
    try:
        check_space(space)
    except InvalidArgumentError as error:
        message = f"{path}: {error}"
        raise InvalidArgumentError(message) from error
    return options, space


def _range(key: str, table: dict[str, Any], source: str, *, searched: bool) -> Range:
    """Read ``{ low = …, high = …, log = … }``, whose ends are values of the option."""
    name = key.replace("-", "_")
    for word in table:
        if word not in ("low", "high", "log"):
            near = did_you_mean(word, ("low", "high", "log"))
            message = f"{source}: {key}: a range has low, high and log, not {word!r}{near}"
            raise InvalidArgumentError(message)
    if "low" not in table or "high" not in table:
        message = f"{source}: {key}: a range needs low and high"
        raise InvalidArgumentError(message)
    if not searched:
        message = f"{source}: {key}: a range has no end of values: give a list, or use --n-trials"
        raise InvalidArgumentError(message)
    log = table.get("log", False)
    if not isinstance(log, bool):
        message = f"{source}: {key}: log of a range must be true or false, not {shown(log)}"
        raise InvalidArgumentError(message)
    low, high = (options_from({key: table[end]}, source)[name] for end in ("low", "high"))
    if type(low) not in (int, float):
        message = f"{source}: {key}: a range is for numbers: give a list of values"
        raise InvalidArgumentError(message)
    try:
        return Range(low, high, log)
    except InvalidArgumentError as error:
        message = f"{source}: {key}: {error}"
        raise InvalidArgumentError(message) from error
