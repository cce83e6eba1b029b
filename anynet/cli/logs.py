"""The option ``--log``: callbacks that record each epoch."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict

from anynet.callbacks import (
    CSVLogger,
    EpochLogger,
    JSONLinesLogger,
    MLflowLogger,
    TensorBoardLogger,
)
from anynet.cli.config import NOT_RECORDED
from anynet.cli.options import OF_PRESETS, WITH_PRESETS, TrainOptions
from anynet.errors import InvalidArgumentError


@contextmanager
def logs(options: TrainOptions, *, resume: bool = False) -> Iterator[list[EpochLogger]]:
    """Open the logs of a run for the block.

    Parameters
    ----------
    options : TrainOptions
        Resolved; MLflow records them.
    resume : bool
        Whether logs of a run that is resumed are continued; that of MLflow by the environment
        variable ``MLFLOW_RUN_ID``, as elsewhere.

    Raises
    ------
    InvalidArgumentError
        If a package is missing, or a log exists already or cannot be written.
    """
    with ExitStack() as stack:
        yield [stack.enter_context(_logger(each, options, resume)) for each in options.log]


def _logger(target: str, options: TrainOptions, resume: bool) -> EpochLogger:
    """Open a log.

    Raises
    ------
    InvalidArgumentError
        See `logs`; its message has the command in place of the parameter ``resume``.
    """
    try:
        return _opened(target, options, resume)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(str(error).replace("resume=True", "anynet resume")) from error


def _opened(target: str, options: TrainOptions, resume: bool) -> EpochLogger:
    kind, _, where = target.partition(":")
    if kind == "tensorboard":
        return TensorBoardLogger(where, resume=resume)
    if kind == "mlflow":
        run_id = os.environ.get("MLFLOW_RUN_ID") if resume else None
        params = None if run_id else _recorded(options)
        return MLflowLogger(where or None, run_id=run_id, params=params)
    return (CSVLogger if target.endswith(".csv") else JSONLinesLogger)(target, resume=resume)


def _recorded(options: TrainOptions) -> dict[str, object]:
    """Return the options that determine a run."""
    names = (*WITH_PRESETS, *OF_PRESETS) if options.preset else asdict(options)
    values = {name: getattr(options, name) for name in names if name not in NOT_RECORDED}
    return {name: value for name, value in values.items() if value is not None}
