"""The command line: ``anynet COMMAND …``, one module a command.

Exit codes: 0; 1 for a failure that the user can mend, reported in one line on standard error; 2
for usage; 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP and 141 when the reader of a pipe
has gone, as in shells.
"""

import argparse
import importlib
import os
import re
import signal
import sys
from collections.abc import Container, Sequence
from typing import Any, NoReturn

import anynet
from anynet.cli.terminal import (
    Guarded,
    complain,
    exit_code,
    guarded_streams,
    plain_warnings,
    report_unraisable,
)
from anynet.errors import AnynetError

__all__ = ["main"]

#: Help of each command. Its module, ``anynet.cli.COMMAND``, has ``add_arguments`` and ``run``.
COMMANDS = {
    "train": "train a network and write a run folder",
    "resume": "continue an unfinished run",
    "evaluate": "score a model: accuracy, precision, recall and confusion matrix",
    "predict": "predict classes or values of pictures or of rows of a table",
    "info": "print what a model is, how it was trained, and its scores",
    "compare": "compare runs: what differs, and whether it is more than chance",
    "explain": "show which columns or pixels the predictions depend on",
    "export": "write a trained model as an ONNX graph, a web page, or for torch or scikit-learn",
    "study": "compare options over several seeds: the report's experiments, grids, searches",
    "augment": "draw images beside their augmented versions",
    "example": "write small files to try the other commands on",
    "backends": "list the backends, whether they work here, and why not",
    "completion": "print a script that completes the command line in a shell",
    "datasets": "list, fetch and verify data sets",
}

#: Package of each import name that the extra ``cli`` installs. Messages name these instead of the
#: extra: on the package index, the name anynet belongs to another project.
PACKAGES = {
    "matplotlib": "matplotlib",
    "PIL": "pillow",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "tomli_w": "tomli-w",
    "tqdm": "tqdm",
}


class Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are one line, and whose flags are not abbreviated."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Report unknown flags in the parser of the command, which knows the similar ones."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            from anynet.cli.synonyms import option_hint  # imports NumPy

            flag = next((each for each in unknown if each.startswith("-")), "").partition("=")[0]
            flags = [each[2:] for each in self._option_string_actions if each.startswith("--")]
            hint = option_hint(flag.lstrip("-"), flags, "--") if flag else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return known, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Add the most similar choice to the message about an unknown command or value.

        Not a documented hook, but argparse has it in every version, and has no such hint of its
        own before Python 3.14.
        """
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            from anynet.checks import did_you_mean  # imports NumPy

            error.message += did_you_mean(value, map(str, action.choices or ()))
            raise

    def error(self, message: str) -> NoReturn:
        """Report invalid arguments, and stop with exit code 2."""
        complain(f"{message} (see {self.prog} --help)")
        self.exit(2)


def build_parser(commands: Container[str] = COMMANDS) -> Parser:
    """Return the parser of all commands.

    Parameters
    ----------
    commands : container of str
        The commands whose modules are imported and whose arguments are added; the help lists all.
    """
    parser = Parser(
        prog="anynet", description="Train fully connected networks on NumPy, CuPy, torch or JAX."
    )
    parser.add_argument("--version", action="version", version=f"anynet {anynet.__version__}")
    added = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for name, what in COMMANDS.items():
        command = added.add_parser(name, help=what)
        if name in commands:
            module = importlib.import_module(f"anynet.cli.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run, usage_error=command.error)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        The exit code.
    """
    if argv is None:  # this process only draws to files: the user's settings must not fail it
        os.environ.update(MPLBACKEND="agg", MATPLOTLIBRC=os.devnull)
        sys.unraisablehook = report_unraisable
    given = sys.argv[1:] if argv is None else argv
    with guarded_streams(silent=_is_other_process(given)) as output:
        try:
            code = _run(argv)
        except KeyboardInterrupt as interrupt:
            complain(f"interrupted: {_notes(interrupt) or 'nothing was written'}", "anynet: ")
            code = exit_code(interrupt)
        output.flush()
        return _check_printed(output) if code == 0 else code


def _run(argv: Sequence[str] | None) -> int:
    """Run one command and return its exit code; report an error of the user in one line."""
    given = sys.argv[1:] if argv is None else argv
    command = next((each for each in given if not each.startswith("-")), "")
    arguments = argparse.Namespace()
    try:
        with plain_warnings():
            arguments = build_parser((command,)).parse_args(given)
            if argv is None and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
                signal.signal(signal.SIGINT, signal.default_int_handler)  # see anynet/__main__.py
            code: int = arguments.run(arguments)
            return code
    except SystemExit as stop:  # from argparse, after --help, --version or a usage error
        return stop.code if isinstance(stop.code, int) else 0
    except ImportError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # while a package was initialised
            raise error.__cause__ from None
        package = (error.name or "").partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and package in PACKAGES:
            message = f"this needs {package}, which is missing: pip install {PACKAGES[package]}"
        elif isinstance(error, ModuleNotFoundError) or package == "anynet":
            raise
        else:
            message = f"cannot import {package or 'a package'}, which this needs: {error}"
        complain(message)
    except (AnynetError, MemoryError, OSError) as error:
        message = str(error)
        if isinstance(error, AnynetError):
            message = with_flags(message, vars(arguments))
        elif isinstance(error, MemoryError):
            message = "; ".join(filter(None, ["out of memory", message]))
        else:
            where = f"{error.filename}: " if error.filename else ""
            message = f"{where}{error.strerror or error}"
        complain("; ".join(filter(None, [message, _notes(error)])))
        _end_other_processes(error)
    return 1


def _is_other_process(arguments: Sequence[str]) -> bool:
    """Whether this is not the first of several processes that run one command, which prints."""
    if not any(each.partition("=")[0] == "--parallel" for each in arguments):
        return False
    from anynet.backends.groups import launched  # imports NumPy

    return launched()[0] > 0


def _end_other_processes(error: BaseException) -> None:
    """End the other processes of the command, which may wait for this one."""
    if "anynet.backends.groups" in sys.modules:
        from anynet.backends.groups import end_others

        end_others(error)


def with_flags(message: str, names: Container[str] = ()) -> str:
    """Write the parameters that a message of the library names as flags of the command line.

    ``backend='numpy'`` becomes ``--backend numpy``, and ``clip_norm`` becomes ``--clip-norm``.
    Names in quotes are unchanged, since they come from data.

    Parameters
    ----------
    message : str
    names : container of str
        Parameters of the command beside those of ``anynet train``.
    """
    from anynet.cli.options import KINDS

    def flag(found: re.Match[str]) -> str:
        name, value = found["name"], found["value"]
        if (name not in KINDS and name not in names) or (value is None and "_" not in name):
            return found[0]
        if value in ("True", "False"):
            return f"--{'no-' * (value == 'False')}{name.replace('_', '-')}"
        return f"--{name.replace('_', '-')}" + (f" {value}" if value else "")

    value = r"(?:=(?P<quote>['\"]?)(?P<value>[\w:-]+(?:\.\w+)*)(?P=quote))?"
    word = rf"(?<![\w'\"./-])(?P<name>[a-z][a-z_]*){value}(?![\w'\"/]|\.\w)"
    return re.sub(word, flag, message)


def _check_printed(output: Guarded) -> int:
    """Return the exit code of a command that has succeeded, unless its output was not written."""
    if isinstance(output.error, BrokenPipeError):
        return 141
    if isinstance(output.error, OSError):
        complain(f"cannot write to standard output: {output.error.strerror or output.error}")
        return 1
    return 0


def _notes(error: BaseException) -> str:
    """Return the notes that were added to an exception: what is kept, and how to continue."""
    return "; ".join(getattr(error, "__notes__", []))
