"""``anynet backends``: which array libraries work here, and why the others do not."""

import argparse
from typing import Any

from anynet.backends import available_backends
from anynet.cli.terminal import say_json, say_text, table


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "backends", help="list the backends, whether they work here, and why not"
    )
    parser.add_argument(
        "--json", action="store_true", help="output as a JSON list, and nothing else"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a table, or JSON."""
    found = available_backends()
    if arguments.json:
        say_json([status._asdict() for status in found], indent=2)
        return 0
    rows = [["backend", "usable", "version", "devices", "threads", "memory", "why"]]
    for status in found:
        rows.append(
            [
                status.name,
                "yes" if status.usable else "no",
                status.version or "-",
                ", ".join(status.devices) or "-",
                str(status.threads or "-"),
                status.memory or "-",
                status.reason,
            ]
        )
    say_text(table(rows, left=7))
    return 0
