"""``anynet datasets``: list the data sets, fetch one, or verify its files."""

import argparse
from pathlib import Path

from anynet.cli.options import add_json, add_options
from anynet.cli.terminal import say, say_json, say_text, table
from anynet.data import dataset_names, fetch_dataset, locate_dataset, verify_dataset
from anynet.errors import InvalidArgumentError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=("list", "fetch", "verify"),
        default="list",
        help="action (default: list)",
    )
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="name of the data set to fetch or verify"
    )
    add_options(parser, "data_dir", suppress=False)
    add_json(parser, "JSON")


def run(arguments: argparse.Namespace) -> int:
    """List, fetch or verify data sets."""
    if arguments.action == "list":
        if arguments.name is not None:
            arguments.usage_error(f"list takes no name, but {arguments.name!r} was given")
        return _list(arguments.data_dir, arguments.json)
    if arguments.name is None:
        arguments.usage_error(f"{arguments.action} needs the NAME of a data set")
    act = _fetch if arguments.action == "fetch" else _verify
    return act(arguments.name, arguments.data_dir, arguments.json)


def _list(data_dir: Path | None, as_json: bool) -> int:
    found = {name: locate_dataset(name, data_dir) for name in dataset_names()}
    if as_json:
        entries = [
            {"name": name, "here": path is not None, "path": path and str(path)}
            for name, path in found.items()
        ]
        say_json(entries, indent=2)
        return 0
    rows = [["data set", "here", "where"]]
    for name, path in found.items():
        where = str(path) if path else f"anynet datasets fetch {name}"
        rows.append([name, "yes" if path else "no", where])
    say_text(table(rows, left=3))
    return 0


def _fetch(name: str, data_dir: Path | None, as_json: bool) -> int:
    if data_dir is not None:
        message = "fetch puts files into the cache: set ANYNET_CACHE_DIR to choose the folder"
        raise InvalidArgumentError(message)
    from anynet.cli.progress import download_bar

    with download_bar(name, silent=as_json) as show:
        folder = fetch_dataset(name, show)
    if as_json:
        say_json({"name": name, "path": str(folder)})
    else:
        say(f"{name} is in {folder}")
    return 0


def _verify(name: str, data_dir: Path | None, as_json: bool) -> int:
    states = verify_dataset(name, data_dir)
    if as_json:
        say_json([state._asdict() for state in states], indent=2)
    else:
        say_text(table([[state.state, state.file, state.detail] for state in states], left=3))
    return 0 if all(state.state == "ok" for state in states) else 1
