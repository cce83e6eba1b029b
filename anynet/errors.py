"""Exceptions: each states what was expected, what was received, and how to fix it."""

LONGEST = 2000  # characters of a message


def printable(text: str) -> str:
    """Escape control characters, line breaks and changes of direction, which a terminal may obey.

    Everything that ``str.isprintable`` excludes is escaped, as ``repr`` does, including the
    surrogates that stand for bytes of file names which are not UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class AnynetError(Exception):
    """Base of every error that anynet raises on purpose.

    Its message is one line that can be shown, whatever it quotes from a file: what is not printable
    is escaped, and the middle of a very long message is omitted.
    """

    def __init__(self, message: str = "") -> None:
        shown = printable(message)
        if len(shown) > LONGEST:
            shown = f"{shown[: LONGEST // 2]} … {shown[-LONGEST // 2 :]}"
        super().__init__(shown)


class InvalidArgumentError(AnynetError, ValueError):
    """An argument or option is outside what its documentation allows."""


class BackendError(AnynetError):
    """An array library or device was asked for that is missing or does not work here."""


class GroupError(AnynetError):
    """Another process of the group failed, or differs; every process raises it.

    Processes may differ in their arguments, data or versions.
    """

    raised_in_all = True  # only process 0 prints it


class DataError(AnynetError):
    """A data file or data set is absent, damaged, or has another format than expected."""


class PathError(InvalidArgumentError, DataError):
    """A path that no file can have: it is empty, or holds a NUL character."""


class ModelFileError(AnynetError):
    """A file is not a model that anynet saved, or is damaged."""


class CheckpointError(AnynetError):
    """A checkpoint is absent, damaged, of another version, run or data, or cannot be written.

    Attributes
    ----------
    model : Model or None
        The best model so far, if a run ended because its checkpoint could not be written.
    """

    def __init__(self, message: str, model: object = None) -> None:
        super().__init__(message)
        self.model = model


class DivergedError(AnynetError):
    """Training stopped because the loss was no longer finite.

    Attributes
    ----------
    epoch : int
        The epoch (counted from 1) in which it happened.
    model : Model or None
        The best model of the epochs before, None when the first one diverged.
    """

    def __init__(self, message: str, epoch: int, model: object = None) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.model = model


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C during training, carrying the best model so far.

    Attributes
    ----------
    model : Model or None
        The best model of the finished epochs, None when none was finished.
    """

    def __init__(self, model: object = None) -> None:
        super().__init__("training was interrupted")
        self.model = model
