"""``anynet backends``: list the array libraries that work here, and why others do not."""

import argparse

from anynet.backends import available_backends
from anynet.cli.options import add_json
from anynet.cli.terminal import say_json, say_text, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_json(parser, "a JSON list")


def run(arguments: argparse.Namespace) -> int:
    """Print the backends as a table or as JSON."""
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
