"""``anynet completion``: a script that completes the command line in a shell."""

import argparse
from collections.abc import Iterator
from typing import Any

from anynet.checks import require
from anynet.cli.kinds import Kind
from anynet.cli.terminal import say_text
from anynet.data import dataset_names
from anynet.errors import InvalidArgumentError

SHELLS = ("bash", "zsh", "fish")

#: The destination of DATASET, which is a name or a path.
DATASET = "dataset"

#: What completes it in each shell, and the definition of that function.
DATASETS = {
    "bash": (
        "_anynet_datasets",
        '_anynet_datasets() {\n  compgen -W "NAMES" -- "$1"\n  _shtab_compgen_files "$1"\n}',
    ),
    "zsh": (
        "_anynet_datasets",
        "_anynet_datasets() {\n  _alternative 'names:data set:(NAMES)' 'files:file:_files'\n}",
    ),
    "fish": (
        "(_anynet_datasets)",
        (
            "function _anynet_datasets\n"
            "  string split ' ' 'NAMES'\n  __fish_complete_path (commandline -ct)\nend"
        ),
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Print a script that completes commands, options, their values and files. In bash, zsh or\n"
        "fish, one of these commands installs it for new shells:\n\n"
        "  anynet completion bash > ~/.local/share/bash-completion/completions/anynet\n"
        "  anynet completion zsh > ~/.zfunc/_anynet    (a folder of $fpath, before compinit)\n"
        "  anynet completion fish > ~/.config/fish/completions/anynet.fish"
    )
    parser.add_argument("shell", choices=SHELLS, help="shell")


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    from anynet.cli import build_parser  # which imports this module

    say_text(script(build_parser(), arguments.shell))
    return 0


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the script of a shell for a parser of all commands.

    Parameters
    ----------
    parser : ArgumentParser
        Its arguments receive choices and the attribute ``complete``, which shtab reads.
    shell : {"bash", "zsh", "fish"}

    Raises
    ------
    InvalidArgumentError
        If shtab is missing, or too old for the shell.
    """
    shtab = require("shtab", "anynet completion", "shtab")
    if shell not in shtab.SUPPORTED_SHELLS:
        message = f"the installed shtab does not support {shell}: pip install --upgrade shtab"
        raise InvalidArgumentError(message)
    for action in _actions(parser):
        kind = getattr(action.type, "__self__", None)
        path = kind.path if isinstance(kind, Kind) else ""
        if action.dest == DATASET:
            complete: Any = {each: function for each, (function, _) in DATASETS.items()}
        elif path or not (action.option_strings or action.choices):
            complete = shtab.DIRECTORY if path == "folder" else shtab.FILE
        else:
            if isinstance(kind, Kind) and kind.names():
                action.choices = list(kind.names())
            continue
        action.complete = complete  # type: ignore[attr-defined]
    names = " ".join(dataset_names())
    preamble = {each: text.replace("NAMES", names) for each, (_, text) in DATASETS.items()}
    text: str = shtab.complete(parser, shell=shell, preamble=preamble)
    return text.rstrip("\n")


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser and of its commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
        else:
            yield action
