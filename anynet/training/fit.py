"""``fit``: train a network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from typing import Any, Unpack

import numpy as np

from anynet.augment.pipeline import as_augmentations
from anynet.backends import Backend, Group, find_group
from anynet.checks import check_bool, warn_caller
from anynet.data.batches import Rows
from anynet.data.sources.source import Source
from anynet.data.subset import Subset, train_validation_split
from anynet.errors import GroupError, InvalidArgumentError
from anynet.nn.layers import BatchNorm
from anynet.nn.losses import Loss
from anynet.nn.network import Network
from anynet.optim import ReduceOnPlateau, Warmup
from anynet.training import inputs
from anynet.training.checkpoint import CheckpointFolder, Checkpoints
from anynet.training.checkpoint.container import to_json
from anynet.training.class_weight import check_class_weight
from anynet.training.diagnostics import warn_of_range
from anynet.training.evaluate import check_scoring, name_of, scoring_of
from anynet.training.history import Callback, EarlyStopping, Plateau
from anynet.training.model import Model
from anynet.training.model_file import foreign_layers, foreign_parts
from anynet.training.options import FitArguments, FitOptions, takes_options
from anynet.training.processes import check_alike, in_all, together
from anynet.training.progress import ShowProgress, check_progress
from anynet.training.resolve import resolve_parts, start_weights
from anynet.training.run import Run
from anynet.training.step import TrainingStep


@takes_options
def fit(
    network: Network,
    data: Any,
    *,
    validation: Any = None,
    start: Model | None = None,
    backend: Backend | str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    parallel: Group | str | None = None,
    resident: bool | None = None,
    callbacks: Callback | Sequence[Callback] = (),
    progress: ShowProgress = None,
    metadata: dict[str, Any] | None = None,
    checkpoint: Checkpoints | CheckpointFolder | str | os.PathLike[str] | None = None,
    **options: Unpack[FitArguments],
) -> Model:
    """Train a network; the defaults are those of the report.

    Parameters
    ----------
    network : Network
        See ``mlp``.
    data : (x, y) or (x, y, sample_weight)
        x of shape (N, I), in its own dtype; y of shape (N,) or (N, 1) for classes 0 … O−1, or
        (N, O).
        NumPy arrays, or arrays of torch, JAX or CuPy. A ``Source`` of ``open_source`` replaces
        x, or x and y.
    validation : tuple, int or float, optional
        Samples to score after each epoch: given like ``data``, or the number (an integer) or the
        share (a fraction) of the samples to hold out, drawn with ``seed``.
    start : Model, optional
        Continue from the weights of this model, whose network must have parameters of the same
        shapes, instead of new weights. The state of the optimizer is new.
    backend : Backend or str, optional
        See ``get_backend``; by default that of the arrays of ``data``, otherwise ``"auto"``.
    device, dtype : str, optional
        Of the backend, if that is not a ``Backend``; see ``get_backend``.
    parallel : {"mpi", "torch", "jax", "auto"} or Group, optional
        Divide each batch among several processes or devices; the result is that of one, to
        rounding. ``"mpi"``: the processes of ``mpiexec -n 4 python …``, with NumPy or CuPy.
        ``"torch"``: those of ``torchrun``. ``"jax"``: all devices of JAX, and those of other
        processes after ``jax.distributed.initialize``. ``"auto"``: the one that the backend and the
        environment show, otherwise none. All processes call ``fit`` with the same arguments, and
        all return the model; files, callbacks and progress are those of process 0.
    resident : bool, optional
        Whether the data are placed on the device as a whole; by default if they fit.
    callbacks : callable or sequence of callable
        Each takes an ``EpochRecord`` after every epoch, and may return True to stop.
    progress : callable or bool, optional
        Takes a ``Progress`` about 20 times in an epoch; True shows a bar of tqdm, which is a widget
        in a notebook.
    metadata : dict, optional
        JSON-able notes that are saved with the model. A model with unregistered layers or an
        unregistered loss cannot be saved; a warning reports this before training.
    checkpoint : Checkpoints or path-like, optional
        A new folder for checkpoints, from which ``anynet.resume`` continues; one per epoch unless
        ``anynet.Checkpoints`` has another interval. After Ctrl-C or SIGTERM a checkpoint is written
        within a twentieth of an epoch; a second signal acts immediately.
    **options

    Returns
    -------
    Model
        The weights of the epoch with the best validation score, or of the last epoch without a
        validation set; ``Model.history`` holds the records of the run, and a ``warning`` if
        nothing was learned.

    Raises
    ------
    InvalidArgumentError
        If an argument is not as documented, shapes disagree, or checkpoints are requested for a
        network with unregistered layers, which they cannot hold.
    DivergedError
        If the loss of an epoch is not finite; its ``model`` is the best of the earlier epochs.
    CheckpointError
        If a checkpoint cannot be written; its ``model`` is the best so far.
    TrainingInterrupted
        On Ctrl-C; a KeyboardInterrupt whose ``model`` is the best so far.

    Examples
    --------
    >>> import anynet
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=digits.scale)
    >>> model = anynet.fit(network, digits.train, validation=0.1, backend="numpy")
    >>> model.score(*digits.test) > 0.9
    True
    """
    group = find_group(parallel, backend, data)
    with together(group), ExitStack() as stack:
        with in_all(group):
            chosen = inputs.choose_backend(backend, device, dtype, data)
        with in_all(group):  # the processes may choose their devices together
            chosen = chosen.joined(group)
        with in_all(group):
            run = prepare(
                network,
                data,
                FitOptions(**options),
                validation=validation,
                start=start,
                backend=chosen,
                resident=resident,
                callbacks=callbacks,
                progress=progress,
                metadata=metadata,
            )
            warn_of_own_parts(run.step.network, run.step.loss, checkpoint)
        check_alike([run], group)
        with in_all(group):
            if group.is_first:
                run.checkpoints = stack.enter_context(_begun(checkpoint))
        stack.enter_context(run.step.backend.context())
        return run.train()


def warn_of_own_parts(network: Network, loss: Loss, checkpoint: Any = None) -> None:
    """Warn that a model cannot be saved, and refuse checkpoints of unregistered layers.

    Raises
    ------
    InvalidArgumentError
        If checkpoints are requested for a network with unregistered layers.
    """
    if checkpoint is not None and (foreign := foreign_layers(network)):
        message = (
            f"checkpoint: {', '.join(foreign)}, which is not registered: register the class with "
            f"anynet.register, or train without checkpoint"
        )
        raise InvalidArgumentError(message)
    if foreign := foreign_parts(network, loss):
        message = (
            f"the model can be trained and used, but not saved: {', '.join(foreign)}, which is not "
            f"registered (see anynet.register)"
        )
        warn_caller(message, UserWarning)


def _begun(
    checkpoint: Checkpoints | CheckpointFolder | str | os.PathLike[str] | None,
) -> AbstractContextManager[CheckpointFolder | None]:
    """Open a new folder for checkpoints, unless none is requested or it is open already."""
    if checkpoint is None or isinstance(checkpoint, CheckpointFolder):
        return nullcontext(checkpoint)
    return (checkpoint if isinstance(checkpoint, Checkpoints) else Checkpoints(checkpoint)).begin()


def prepare(
    network: Network,
    data: Any,
    options: FitOptions,
    *,
    validation: Any,
    backend: Backend,
    start: Model | None = None,
    resident: bool | None = None,
    callbacks: Callback | Sequence[Callback] = (),
    progress: ShowProgress = None,
    metadata: dict[str, Any] | None = None,
    split_seed: int | None = None,
    samples: Any = None,
    held_out: Any = None,
    check: Callable[..., Rows] = inputs.check_rows,
) -> Run:
    """Check the arguments of ``fit``, and return the run that they describe.

    Parameters
    ----------
    samples : sequence of int, optional
        Indices of the samples to train on and to hold out from; all by default.
    held_out : sequence of int, optional
        Indices of the samples to score after each epoch, instead of ``validation``.
    split_seed : int, optional
        Seed of the held-out samples instead of ``seed``.
    check : callable
        ``check_rows``, or a function that caches its results.
    """
    inputs.check_network(network)
    check_progress(progress)
    if resident is not None:
        check_bool("resident", resident)
    _check_metadata(metadata)
    data = inputs.with_targets(data)
    x, y = data[:2] if isinstance(data, (tuple, list)) and len(data) > 1 else ((), ())
    network, parts, options = resolve_parts(network, y, options)
    loss, schedule = parts.loss, parts.schedule
    class_weight, scoring = options.class_weight, scoring_of(options.scoring, loss)
    if class_weight is not None:
        class_weight = check_class_weight(class_weight, loss, network.n_outputs)
    rows = check(data, network, loss, backend, "data", class_weight)
    warn_of_range(rows.x, network, backend)
    index = None if samples is None else _check_samples("samples", samples, rows.n_samples)
    training, scored = Subset(rows, index), None
    if held_out is not None:
        scored = Subset(rows, _check_samples("held_out", held_out, rows.n_samples))
    elif isinstance(validation, (tuple, list, Source)):
        scored = Subset(check(validation, network, loss, backend, "validation", class_weight))
    elif validation is not None:
        seed = options.seed if split_seed is None else split_seed
        kept, left = train_validation_split(training.n_samples, validation, seed)
        scored = Subset(rows, training.order(left))
        training = Subset(rows, training.order(kept))
    inputs.check_memory(network)
    batch_size = min(options.batch_size, training.n_samples)  # larger ones make the same batches
    if batch_size < backend.parts:
        message = (
            f"a batch of {batch_size} rows cannot be divided among {backend.parts} processes or "
            f"devices: choose a larger batch_size, or fewer processes or devices"
        )
        raise GroupError(message)
    if batch_size == 1 and any(isinstance(layer, BatchNorm) for layer in network.layers):
        message = "BatchNorm needs a batch_size of at least 2: one sample has no variance"
        raise InvalidArgumentError(message)
    if scoring is not None:
        if scored is None:
            message = f"scoring={name_of(scoring)!r} scores a validation set: pass validation too"
            raise InvalidArgumentError(message)
        check_scoring(scoring, loss, network.n_outputs, *scored.targets())
    steps = training.n_samples // batch_size
    if not options.drop_last:
        steps = -(-training.n_samples // batch_size)
    augment = None
    if options.augment is not None:
        shape = options.image_shape
        augment = inputs.pipeline_for(network, x, options.augment, shape, backend, loss.task)
    step = TrainingStep(
        network,
        loss,
        parts.optimizer,
        schedule,
        steps,
        backend,
        options.clip_norm,
        options.average,
        options.max_norm,
        augment,
        options.adversarial,
        parts.driven,
    )
    first = backend.group.is_first
    rule = schedule.schedule if isinstance(schedule, Warmup) else schedule
    by_accuracy = loss.task != "values" and scoring is None
    return Run(
        step=step,
        options=replace(
            options,
            batch_size=batch_size,
            class_weight=class_weight,
            scoring=scoring,
            augment=as_augmentations(options.augment),
            image_shape=None if augment is None else augment.layout.shape,
        ),
        training=training,
        held_out=scored,
        stopping=EarlyStopping(
            options.patience,
            options.target_accuracy if by_accuracy else None,
            options.min_delta,
            options.ties == "last",
        ),
        plateau=Plateau(rule) if isinstance(rule, ReduceOnPlateau) else None,
        resident=resident,
        callbacks=as_callbacks(callbacks) if first else (),
        progress=(progress or None) if first else None,
        metadata=metadata or {},
        start_weights=None if start is None else start_weights(start, network, backend),
    )


def _check_samples(name: str, samples: Any, n_samples: int) -> np.ndarray:
    index = np.asarray(samples)
    if index.ndim != 1 or index.size == 0 or index.dtype.kind not in "iu":
        message = f"{name} must be a list of at least one index, got shape {index.shape}"
        raise InvalidArgumentError(message)
    if index.min() < 0 or index.max() >= n_samples:
        message = f"{name} must be indices in [0, {n_samples}), got {index.min()} to {index.max()}"
        raise InvalidArgumentError(message)
    return index


def as_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """Return one or several callbacks as a tuple.

    Raises
    ------
    InvalidArgumentError
        If one is not callable.
    """
    if callable(callbacks):
        return (callbacks,)
    listed = tuple(callbacks) if isinstance(callbacks, Iterable) else (None,)
    if not all(map(callable, listed)):
        message = f"callbacks must be a function of an EpochRecord, or a list, got {callbacks!r}"
        raise InvalidArgumentError(message)
    return listed


def _check_metadata(metadata: Any) -> None:
    """Check before training that the metadata can be saved."""
    if metadata is not None and not isinstance(metadata, dict):
        message = f"metadata must be a dict, got the type {type(metadata).__name__}"
        raise InvalidArgumentError(message)
    if metadata:
        to_json(metadata)
