"""Checks of arguments that every floor shares."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import sys
import warnings
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

from anynet.errors import InvalidArgumentError

P = ParamSpec("P")
T = TypeVar("T")

MOST_COMPARED = 200  # characters of a word: comparing takes quadratic time

_PACKAGE = str(Path(__file__).parent)


def warn_caller(message: str, category: type[Warning]) -> None:
    """Issue a warning that is located at the user's call of anynet, however deep the call is.

    Parameters
    ----------
    message : str
    category : type of Warning
    """
    frame, level = sys._getframe(1), 2  # 1 is this function
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def did_you_mean(word: object, names: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the most similar known one, if any.

    Parameters
    ----------
    word : object
        What was given; compared without regard to case.
    names : iterable of str
        The known names.

    Returns
    -------
    str
        ``"; did you mean 'adam'?"``, or ``""``.
    """
    folded = {name.casefold(): name for name in names}
    text = str(word).casefold()
    near = difflib.get_close_matches(text, folded, n=1) if len(text) <= MOST_COMPARED else []
    return f"; did you mean {folded[near[0]]!r}?" if near else ""


def check_keywords(function: str, given: Iterable[str], names: Collection[str]) -> None:
    """Check the names of keyword arguments.

    Raises
    ------
    TypeError
        If the function has no parameter of a name, as in Python, with the most similar one.
    """
    for name in given:
        if name not in names:
            hint = did_you_mean(name, names)
            message = f"{function}() got an unexpected keyword argument {name!r}{hint}"
            raise TypeError(message)


def suggests_names(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function so that it refuses unknown keyword arguments with the nearest name."""
    names = inspect.signature(function).parameters

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        check_keywords(function.__name__, kwargs, names)
        return function(*args, **kwargs)

    return wrapped


def accepts_call(value: Any, *args: Any, **options: Any) -> bool:
    """Whether an object can be called with these arguments; assumed if it has no signature."""
    if not callable(value):
        return False
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*args, **options)
    except TypeError:
        return False
    return True


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Check that a value is one of some choices.

    Raises
    ------
    InvalidArgumentError
        If it is not; the message has all choices.
    """
    known = list(choices)
    if value not in known:
        near = did_you_mean(value, filter(None, map(str, known)))
        message = f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}{near}"
        raise InvalidArgumentError(message)


def check_bool(name: str, value: Any) -> bool:
    """Return a bool of Python or NumPy as Python's bool.

    Raises
    ------
    InvalidArgumentError
        If it is of another type, such as ``"no"``, which would count as true.
    """
    if not isinstance(value, (bool, np.bool_)):
        message = f"{name} must be True or False, got {value!r}"
        raise InvalidArgumentError(message)
    return bool(value)


def is_whole(value: object) -> bool:
    """Whether a value is an integer of Python or NumPy; bool is not."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def check_whole(name: str, value: Any, least: int = 1, most: float = 2**63 - 1) -> int:
    """Return a whole number as Python's int.

    Raises
    ------
    InvalidArgumentError
        If it is not a whole number, or not in [least, most].
    """
    if not is_whole(value) or value < least:
        message = f"{name} must be a whole number of at least {least}, got {value!r}"
        raise InvalidArgumentError(message)
    if value > most:
        shown = repr(value) if value < 2**64 else f"a number of {int(value).bit_length()} bits"
        message = f"{name} must be at most {most}, got {shown}"
        raise InvalidArgumentError(message)
    return int(value)


def require(
    module: str, purpose: str, package: str, error_class: type[Exception] = InvalidArgumentError
) -> Any:
    """Import a module of a package that anynet does not depend on.

    Parameters
    ----------
    module : str
    purpose : str
        What needs the package, for the message.
    package : str
        The name by which pip installs it.
    error_class : type
        Of the exception that is raised if the module cannot be imported.

    Raises
    ------
    error_class
        If the package is missing or does not import; the message names the command that installs
        it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        message = f"{purpose} needs {package}, which is not installed: pip install {package}"
        raise error_class(message) from error
    except Exception as error:  # a broken installation can raise anything on import
        message = f"{package} is installed but does not import ({error}): pip install {package}"
        raise error_class(message) from error
