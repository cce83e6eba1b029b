"""``resume``: continue a run from its newest checkpoint."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from numbers import Real
from typing import Any

from anynet.backends import Backend, Group, find_group, get_backend
from anynet.data.files import expanded
from anynet.data.subset import fingerprint
from anynet.errors import BackendError, CheckpointError, InvalidArgumentError
from anynet.log import LOGGER
from anynet.nn.losses import Loss
from anynet.nn.network import Network
from anynet.optim import Optimizer, Schedule
from anynet.training.checkpoint import snapshot
from anynet.training.checkpoint.container import Container
from anynet.training.checkpoint.folder import CheckpointFolder, Checkpoints, reopen
from anynet.training.fit import prepare
from anynet.training.history import Callback, StopReason
from anynet.training.model import Model
from anynet.training.model_file import parameter_shapes
from anynet.training.options import FitOptions, Scorer
from anynet.training.processes import check_alike, in_all, together
from anynet.training.progress import ShowProgress
from anynet.training.run import Run


class ChangedDataError(CheckpointError):
    """The data differ from the original data of the run."""


def resume(
    checkpoint: CheckpointFolder | str | os.PathLike[str] | None,
    data: Any,
    *,
    validation: Any = None,
    epochs: int | None = None,
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
    learning_rate: Schedule | None = None,
    augment: Any = None,
    scoring: Scorer | None = None,
    backend: Backend | str | None = None,
    device: str | None = None,
    precision: str | None = None,
    parallel: Group | str | None = None,
    resident: bool | None = None,
    callbacks: Callback | Sequence[Callback] = (),
    progress: ShowProgress = None,
) -> Model:
    """Continue a run of ``fit`` from its newest checkpoint.

    On the original backend, the result equals that of an uninterrupted run, bit for bit; on
    another backend, to rounding. The run continues to write checkpoints at the same interval. If
    the run was complete, its model is returned; one that was ended by its ``time_limit`` continues
    for as long again.

    Parameters
    ----------
    checkpoint : path-like
        The folder that was passed to ``fit``. With ``parallel``, only process 0 reads it.
    data : (x, y) or (x, y, sample_weight)
        The data that were passed to ``fit``.
    validation : tuple, optional
        The validation arrays, if they were passed to ``fit``.
    epochs : int, optional
        Total number of epochs; replaces the original value. Schedules that last as long as the run
        last for the new number; those with their own number of epochs keep it.
    loss, optimizer, learning_rate, augment : optional
        The original parts if their classes are not registered: checkpoints cannot contain these.
    scoring : callable, optional
        The original score if it is a function or an object.
    backend : Backend or str, optional
        See ``get_backend``; by default the original backend.
    device, precision : str, optional
        Of the backend, if that is not a ``Backend``.
    parallel : optional
        See ``fit``. The number of processes may differ from the original one; the result is then
        equal to rounding.
    resident, callbacks, progress : optional
        See ``fit``.

    Returns
    -------
    Model

    Raises
    ------
    CheckpointError
        If there is no undamaged checkpoint, the newest one has the format of another version, or
        the data differ from the original data.
    InvalidArgumentError
        If the folder is in use, or an argument is not as documented.
    BackendError
        If the backend is not usable here.
    DivergedError, TrainingInterrupted
        As in ``fit``.

    Examples
    --------
    >>> import tempfile
    >>> import anynet
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=digits.scale)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = anynet.fit(network, digits.train, epochs=2, backend="numpy", checkpoint=folder)
    ...     model = anynet.resume(folder, digits.train, epochs=4)
    >>> len(model.history.records)
    4
    """
    given: dict[str, Any] = {"loss": loss, "optimizer": optimizer, "learning_rate": learning_rate}
    for name, value in given.items():
        if isinstance(value, (Real, str)):
            message = (
                f"a run continues with the {name} in its checkpoint: leave it out, or "
                f"pass the object if it is of an unregistered class, got {value!r}"
            )
            raise InvalidArgumentError(message)
    group = find_group(parallel, backend)
    with together(group), ExitStack() as stack:
        folder, newest = None, None
        with in_all(group):
            if group.is_first:  # the others need not see the folder
                folder = stack.enter_context(_opened(checkpoint))
                newest = folder.newest()
        found: Container = group.broadcast(newest)  # type: ignore[assignment]
        with in_all(group):
            found = found._replace(content=snapshot.completed(found.content))
            own = given | {"augment": augment, "scoring": scoring}
            network, options, arguments = _checked_arguments(folder, found, own)
            chosen = _backend(found, backend, device, precision)
            _take_validation(arguments, validation)
        with in_all(group):  # the processes may choose their devices together
            chosen = chosen.joined(group)
        with in_all(group):
            run = prepare(
                network,
                data,
                options if epochs is None else replace(options, epochs=epochs),
                **arguments,
                backend=chosen,
                resident=resident,
                callbacks=callbacks,
                progress=progress,
            )
            _check_data(run, found)
            run.checkpoints, run.resumed = folder, _until(found, run.options.epochs)
        check_alike([run], group)
        if folder is not None:
            done = len(found.content["history"]["records"])
            LOGGER.info("resumed from %s after epoch %d", folder.path, done)
        stack.enter_context(chosen.context())
        return run.train()


def _take_validation(arguments: dict[str, Any], validation: Any) -> None:
    """Put the validation arrays into the arguments of a run that had some.

    Raises
    ------
    InvalidArgumentError
        If they are missing, or the run had none.
    """
    if arguments["validation"] == snapshot.GIVEN:
        if not isinstance(validation, (tuple, list)):
            message = "fit had validation arrays: pass the same validation to resume"
            raise InvalidArgumentError(message)
        arguments["validation"] = validation
    elif validation is not None:
        message = "validation is in the checkpoint: do not pass validation"
        raise InvalidArgumentError(message)


def _opened(
    checkpoint: CheckpointFolder | str | os.PathLike[str] | None,
) -> AbstractContextManager[CheckpointFolder]:
    if checkpoint is None:
        message = "checkpoint must be the folder that was passed to fit, got None"
        raise InvalidArgumentError(message)
    if isinstance(checkpoint, CheckpointFolder):
        return nullcontext(checkpoint)
    folder = checkpoint.folder if isinstance(checkpoint, Checkpoints) else checkpoint
    return reopen(expanded(folder))


def _checked_arguments(
    folder: CheckpointFolder | None, found: Container, own: dict[str, Any]
) -> tuple[Network, FitOptions, dict[str, Any]]:
    """Return the arguments of the run, checked against the arrays of its checkpoint."""
    content = found.content
    try:
        snapshot.check_form(content, snapshot.CONTENT)
        again = Checkpoints("unused", content["every"], content["keep"])
        if folder is not None:
            folder.every, folder.keep = again.every, again.keep
        arguments = snapshot.arguments_from(content["arguments"], own)
        # Shapes are compared before anything is allocated: a damaged file may name any size.
        for name, shape in parameter_shapes(arguments[0]).items():
            array = found.arrays[f"state.params.{name}"]
            if array.shape != shape:
                message = f"{name} should have shape {shape}, got {array.shape}"
                raise ValueError(message)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        place = "" if folder is None else f" in {folder.path}"
        message = f"the checkpoint{place} is not supported by this version: {error}"
        raise CheckpointError(message) from error
    return arguments


def _backend(
    found: Container, backend: Backend | str | None, device: str | None, precision: str | None
) -> Backend:
    """Return the backend to continue on, of the original dtype: by default the original one."""
    dtype = found.content["backend"]["dtype"]
    chosen = _chosen(found.content["backend"], backend, device, precision)
    if chosen.dtype != dtype:
        message = f"the run is in {dtype}: it cannot continue with a backend of {chosen.dtype}"
        raise InvalidArgumentError(message)
    return chosen


def _chosen(
    before: dict[str, Any],
    backend: Backend | str | None,
    device: str | None,
    precision: str | None,
) -> Backend:
    if isinstance(backend, Backend):
        if device is not None or precision is not None:
            message = "a Backend object has its own device and precision: pass one or the other"
            raise InvalidArgumentError(message)
        return backend
    if backend is not None or device is not None or precision is not None:
        return get_backend(backend or before["name"], device, before["dtype"], precision)
    try:
        return get_backend(**before)
    except (BackendError, InvalidArgumentError) as error:
        where = f"{before['name']} on {before['device']}"
        message = f"the run used {where}, which does not work here ({error}): choose another"
        raise BackendError(message) from error


def _check_data(run: Run, found: Container) -> None:
    """Refuse data that differ from the original data."""
    for name, samples in (("training", run.training), ("held_out", run.held_out)):
        before = found.content[name]
        if samples is None and before is None:
            continue
        if samples is None or before is None:
            message = "the checkpoint and its arguments disagree on whether samples are held out"
            raise CheckpointError(message)
        now = fingerprint(samples, run.step.backend)
        if now == before | {"blocks": now["blocks"]} and now != before:
            message = (
                "the data are the original ones, but shuffled in another way: pass the original "
                "shuffle and window to open_source"
            )
            raise ChangedDataError(message)
        if now != before:
            shape = "{rows} rows of {columns} columns"
            message = (
                f"the data differ from the original data: the {name.replace('_', '-')} samples "
                f"were {shape.format(**before)}, now they are "
            )
            alike = [now[size] == before[size] for size in ("rows", "columns")]
            message += "as many, of other values" if all(alike) else shape.format(**now)
            message += ": restore the original data"
            raise ChangedDataError(message)


def _until(found: Container, epochs: int) -> Container:
    """Mark a run as unfinished that stopped before ``epochs`` for no other reason than time."""
    history = found.content["history"]
    done = len(history["records"])
    if done > epochs or (done == epochs and not history["stopped"]):
        message = f"the run has done {done} epochs already: epochs must be more, got {epochs}"
        raise InvalidArgumentError(message)
    if epochs > done and history["stop_reason"] in (StopReason.EPOCHS, StopReason.TIME):
        history = history | {"stopped": "", "stop_reason": None}
    return found._replace(content=found.content | {"history": history})
