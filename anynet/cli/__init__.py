"""The command line: ``anynet COMMAND …``, one module a command.

Exit codes: 0; 1 for a failure that is the user's to mend, told in one line on standard error; 2
for usage; 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP and 141 when the reader of a pipe
has gone, as shells have them.
"""

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import anynet
from anynet.cli.interrupts import exit_code, report_unraisable
from anynet.cli.streams import Guarded, guarded_streams, harmless_warnings
from anynet.cli.terminal import complain, plain_warnings
from anynet.errors import AnynetError

__all__ = ["main"]

#: The module of each command, imported when `main` is ready for Ctrl-C.
COMMANDS = (
    *("train", "resume", "evaluate", "predict", "export"),
    *("study", "augment", "example", "backends", "datasets"),
)

#: What the extra ``cli`` installs: the package of each import name. Messages name these, not the
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
    """An argparse parser whose errors are one line, and whose flags are written out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what is left over here, where it is known which flags the command has."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            from anynet.cli.synonyms import near_option  # which imports NumPy

            flag = next((each for each in unknown if each.startswith("-")), "").partition("=")[0]
            flags = [each[2:] for each in self._option_string_actions if each.startswith("--")]
            near = near_option(flag.lstrip("-"), flags) if flag else ""
            hint = f"; did you mean '--{near}'?" if near else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return known, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Add the nearest name to the refusal of a command or a value that is none of the choices.

        Not a documented hook, but argparse has it in every version, and nothing else does this
        before 3.14.
        """
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += _did_you_mean(str(value), map(str, action.choices or ()))
            raise

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and stop with exit code 2."""
        complain(f"{message} (see {self.prog} --help)")
        self.exit(2)


def build_parser() -> Parser:
    """Put the commands together."""
    parser = Parser(
        prog="anynet", description="Train fully connected networks on NumPy, CuPy, torch or JAX."
    )
    parser.add_argument("--version", action="version", version=f"anynet {anynet.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for name in COMMANDS:
        importlib.import_module(f"anynet.cli.{name}").add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process if not given.

    Returns
    -------
    int
        The exit code.
    """
    if argv is None:  # this process draws files alone: no settings of the user's can fail it
        os.environ.update(MPLBACKEND="agg", MATPLOTLIBRC=os.devnull)
        sys.unraisablehook = report_unraisable
    with guarded_streams() as output, harmless_warnings():
        try:
            code = _run(argv)
        except KeyboardInterrupt as interrupt:
            complain(f"interrupted: {_notes(interrupt) or 'nothing was written'}", "anynet: ")
            code = exit_code(interrupt)
        output.flush()
        return _printed(output) if code == 0 else code


def _run(argv: Sequence[str] | None) -> int:
    """Run one command, and return its exit code; an error of the user's is told in one line."""
    try:
        with plain_warnings():
            arguments = build_parser().parse_args(argv)
            if argv is None and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
                signal.signal(signal.SIGINT, signal.default_int_handler)  # see anynet/__main__.py
            code: int = arguments.run(arguments)
    except SystemExit as stop:  # from argparse, after --help, --version or a usage error
        return stop.code if isinstance(stop.code, int) else 0
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PACKAGES:
            raise
        complain(f"this needs {package}, which is missing: pip install {PACKAGES[package]}")
        return 1
    except ImportError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # while a package was initialised
            raise error.__cause__ from None
        package = (error.name or "").partition(".")[0]
        if package == "anynet":
            raise
        complain(f"cannot import {package or 'a package'}, which this needs: {error}")
        return 1
    except MemoryError as error:
        complain("; ".join(["out of memory", *filter(None, [str(error), _notes(error)])]))
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        complain("; ".join(filter(None, [f"{where}{error.strerror or error}", _notes(error)])))
        return 1
    except AnynetError as error:
        complain("; ".join(filter(None, [str(error), _notes(error)])))
        return 1
    return code


def _printed(output: Guarded) -> int:
    """Return the exit code of a command that has succeeded, by whether its output was written."""
    if isinstance(output.error, BrokenPipeError):
        return 141
    if isinstance(output.error, OSError):
        complain(f"cannot write to standard output: {output.error.strerror or output.error}")
        return 1
    return 0


def _did_you_mean(word: str, names: Iterable[str]) -> str:
    from anynet.cli.kinds import did_you_mean  # which imports NumPy

    return did_you_mean(word, names)


def _notes(error: BaseException) -> str:
    """What the way out has added to an exception: what is kept, and how to go on."""
    return "; ".join(getattr(error, "__notes__", []))
