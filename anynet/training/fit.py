"""``fit``: from a network and data to a model."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from anynet.augment import as_pipeline
from anynet.backends import Backend, backend_of, get_backend
from anynet.data.batches import Rows
from anynet.data.sources.source import Source
from anynet.data.splits import train_validation_split
from anynet.data.subset import Subset
from anynet.errors import InvalidArgumentError
from anynet.nn.losses import Loss
from anynet.nn.network import Network
from anynet.optim import SGD, Optimizer, ReduceOnPlateau, Schedule, Warmup, as_schedule
from anynet.optim.optimizers import OPTIMIZERS
from anynet.training.checkpoints import CheckpointFolder, Checkpoints
from anynet.training.class_weight import ClassWeight, check_class_weight
from anynet.training.history import Callback, ProgressCallback
from anynet.training.input_range import warn_of_range
from anynet.training.inputs import (
    check_memory,
    check_network,
    check_rows,
    choose_loss,
    full_ink,
    image_shape_of,
    with_targets,
)
from anynet.training.model import Model
from anynet.training.run import Run
from anynet.training.saving import foreign_layers, foreign_parts, to_json
from anynet.training.scoring import check_scoring, scoring_of
from anynet.training.step import TrainingStep
from anynet.training.stopping import EarlyStopping, Plateau


def fit(
    network: Network,
    data: Any,
    *,
    validation: Any = None,
    epochs: int = 15,
    batch_size: int = 64,
    optimizer: Optimizer | str | None = None,
    learning_rate: float | Schedule = 0.1,
    loss: Loss | str | None = None,
    patience: int | None = 5,
    target_accuracy: float | None = 0.99,
    min_delta: float = 0.0,
    clip_norm: float | None = None,
    average: float | None = None,
    max_norm: float | None = None,
    adversarial: float | None = None,
    augment: Any = None,
    image_shape: tuple[int, int] | None = None,
    class_weight: ClassWeight = None,
    scoring: str | None = None,
    shuffle: bool = True,
    seed: int = 0,
    backend: Backend | str | None = None,
    resident: bool | None = None,
    callbacks: Callback | Sequence[Callback] = (),
    progress: ProgressCallback | None = None,
    metadata: dict[str, Any] | None = None,
    checkpoint: Checkpoints | CheckpointFolder | str | os.PathLike[str] | None = None,
) -> Model:
    """Train a network; the defaults are the report's.

    Parameters
    ----------
    network : Network
        See ``mlp``.
    data : (x, y) or (x, y, sample_weight)
        x of shape (N, I), in its own dtype; y of shape (N,) or (N, 1) for classes 0 … O−1, or
        (N, O).
        NumPy arrays, or arrays of torch, JAX or CuPy. A ``Source`` of ``open_source`` may stand for
        x, or for x and y.
    validation : tuple, int or float, optional
        Samples to score each epoch: given like ``data``, or how many (a whole number) or what
        share (a fraction) of the data to hold out, drawn with ``seed``.
    epochs : int
        Maximum number of passes over the data; each sees every sample once.
    batch_size : int
        Samples an update. What is left over makes one short batch an epoch: the first of a
        shuffled epoch, the last of one in the samples' own order.
    optimizer : Optimizer or str, optional
        See ``anynet.optim``; plain SGD if not given.
    learning_rate : float or Schedule
        A constant rate, or a schedule of ``anynet.optim``.
    loss : Loss or str, optional
        By default cross-entropy for whole numbers (binary where y is a matrix or the network has
        one output), and squared error for floats; those that are all 0.0 or 1.0 need it named.
    patience : int or None
        Stop when the validation score brought no new best for so many epochs.
    target_accuracy : float or None
        Stop when the validation accuracy reaches it; ignored where values are predicted, and
        with another ``scoring``.
    min_delta : float
        Only a rise by more than this is a new best.
    clip_norm : float, optional
        The bound of the gradient's global norm.
    average : float, optional
        The decay of a moving average of the weights, such as 0.999, which is then what is scored
        and returned.
    max_norm : float, optional
        The bound of the length of each unit's incoming weights, such as 3, kept after every
        update; it goes with dropout.
    adversarial : float, optional
        Half of the loss is that of samples that are moved by this distance, in the units of x,
        to where it is larger. It doubles the cost of a step.
    augment : str, augmentation or sequence, optional
        What makes new versions of the samples in every epoch, see ``anynet.augment``: names such
        as ``"affine,elastic"``, or objects such as ``[Affine(rotation=15), Elastic()]``, which
        are applied in that order. Scores on the validation set are those of its samples as given.
    image_shape : (int, int), optional
        Rows and columns of the images to augment, if they are not square and x is flat.
    class_weight : "balanced" or dict of int to float, optional
        Factor of the samples of each class 0 … O−1, multiplied into their weights (classes that
        a dict does not have: 1). ``"balanced"`` is N / (number of classes · samples of the class),
        as in scikit-learn. The validation set is weighted likewise, so that of ``"balanced"``
        classes the best epoch is that of the best balanced accuracy.
    scoring : str, optional
        The score of the validation set that chooses the epoch whose weights are kept, and by
        which ``patience`` and ``ReduceOnPlateau`` wait: ``"loss"`` or the name of a scorer of
        scikit-learn, such as ``"balanced_accuracy"``, ``"roc_auc"`` (of three classes or more:
        one-vs-rest, macro) or ``"neg_log_loss"``. By default accuracy, or R² for values.
    shuffle : bool
        Whether each epoch has its own random order.
    seed : int
        Everything random follows from it.
    backend : Backend or str, optional
        See ``get_backend``; by default where the arrays of ``data`` live, else ``"auto"``.
    resident : bool, optional
        Whether the data are placed on the device as a whole; by default if they fit.
    callbacks : callable or sequence of callable
        Each takes an ``EpochRecord`` after every epoch, and may return True to stop.
    progress : callable, optional
        Takes a ``Progress`` about 20 times an epoch.
    metadata : dict, optional
        JSON-able notes that are saved with the model. A model with layers or a loss of your own
        classes cannot be saved; a warning says so before training.
    checkpoint : Checkpoints or path-like, optional
        A new folder for checkpoints, from which ``anynet.resume`` goes on; one an epoch, if
        ``anynet.Checkpoints`` does not say otherwise. Ctrl-C and SIGTERM then write one first,
        within a twentieth of an epoch; a second signal acts at once.

    Returns
    -------
    Model
        The weights of the epoch with the best validation score, or of the last epoch without a
        validation set; ``Model.history`` tells the run, and its ``warning`` if nothing was learnt.

    Raises
    ------
    InvalidArgumentError
        If an argument is not as documented, shapes disagree, or checkpoints are asked for of a
        network with layers of your own classes, which they cannot hold.
    DivergedError
        If the loss of an epoch is not finite; its ``model`` is the best of the epochs before.
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
    check_network(network)
    run = prepare(
        network,
        data,
        validation=validation,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        learning_rate=learning_rate,
        loss=loss,
        patience=patience,
        target_accuracy=target_accuracy,
        min_delta=min_delta,
        clip_norm=clip_norm,
        average=average,
        max_norm=max_norm,
        adversarial=adversarial,
        augment=augment,
        image_shape=image_shape,
        class_weight=class_weight,
        scoring=scoring,
        shuffle=shuffle,
        seed=seed,
        backend=choose_backend(backend, data),
        resident=resident,
        callbacks=callbacks,
        progress=progress,
        metadata=metadata,
    )
    warn_of_own_parts(run.step.network, run.step.loss, checkpoint)
    with _begun(checkpoint) as run.checkpoints, run.step.backend.context():
        return run.train()


def warn_of_own_parts(network: Network, loss: Loss, checkpoint: Any = None) -> None:
    """Warn before training that its model cannot be saved; refuse checkpoints of own layers.

    Raises
    ------
    InvalidArgumentError
        If a checkpoint is asked for of a network that cannot be made again from it.
    """
    if checkpoint is not None and (foreign := foreign_layers(network)):
        message = (
            f"checkpoint: {', '.join(foreign)}, and checkpoints hold only layers of anynet; train "
            f"without checkpoint"
        )
        raise InvalidArgumentError(message)
    if foreign := foreign_parts(network, loss):
        message = (
            f"the model can be trained and used, but not saved: {', '.join(foreign)}, and a model "
            f"file holds only classes of anynet"
        )
        warnings.warn(message, UserWarning, stacklevel=3)


def _begun(
    checkpoint: Checkpoints | CheckpointFolder | str | os.PathLike[str] | None,
) -> AbstractContextManager[CheckpointFolder | None]:
    """Open a folder for checkpoints, if one is asked for and not open already."""
    if checkpoint is None or isinstance(checkpoint, CheckpointFolder):
        return nullcontext(checkpoint)
    return (checkpoint if isinstance(checkpoint, Checkpoints) else Checkpoints(checkpoint)).begin()


def prepare(
    network: Network,
    data: Any,
    *,
    validation: Any,
    epochs: int,
    batch_size: int,
    optimizer: Optimizer | str | None,
    learning_rate: float | Schedule,
    loss: Loss | str | None,
    patience: int | None,
    target_accuracy: float | None,
    min_delta: float,
    clip_norm: float | None,
    average: float | None,
    max_norm: float | None,
    adversarial: float | None,
    augment: Any,
    image_shape: tuple[int, int] | None,
    shuffle: bool,
    seed: int,
    backend: Backend,
    resident: bool | None,
    callbacks: Callback | Sequence[Callback],
    progress: ProgressCallback | None,
    metadata: dict[str, Any] | None,
    class_weight: ClassWeight = None,
    scoring: str | None = None,
    split_seed: int | None = None,
    samples: Any = None,
    check: Callable[..., Rows] = check_rows,
) -> Run:
    """Check the arguments of ``fit`` and return the run that they ask for.

    Parameters
    ----------
    samples : sequence of int, optional
        Which samples there are to train on and to hold out from; all if not given.
    split_seed : int, optional
        Draws the hold-out in place of ``seed``.
    check : callable
        ``check_rows``, or what remembers its results.
    """
    _check_counts(epochs=epochs, batch_size=batch_size)
    _check_options(patience, target_accuracy, min_delta, clip_norm, average, max_norm, adversarial)
    check_progress(progress)
    _check_metadata(metadata)
    data = with_targets(data)
    x, y = data[:2] if isinstance(data, (tuple, list)) and len(data) > 1 else ((), ())
    loss = choose_loss(loss, y, network.n_outputs)
    class_weight = check_class_weight(class_weight, loss, network.n_outputs)
    scoring = scoring_of(scoring, loss)
    rows = check(data, network, loss, backend, class_weight=class_weight)
    warn_of_range(rows.x, network, backend)
    index = None if samples is None else _check_samples(samples, rows.n_samples)
    training, held_out = Subset(rows, index), None
    if isinstance(validation, (tuple, list, Source)):
        held_out = Subset(check(validation, network, loss, backend, "validation", class_weight))
    elif validation is not None:
        split = seed if split_seed is None else split_seed
        kept, left = train_validation_split(training.n_samples, validation, split)
        held_out = Subset(rows, training.order(left))
        training = Subset(rows, training.order(kept))
    check_memory(network)
    batch_size = min(batch_size, training.n_samples)  # of any larger size, the batches are the same
    if scoring is not None:
        if held_out is None:
            message = f"scoring={scoring!r} scores a validation set: pass validation too"
            raise InvalidArgumentError(message)
        check_scoring(scoring, loss, network.n_outputs, *held_out.targets())
    schedule = as_schedule(learning_rate)
    steps_per_epoch = -(-training.n_samples // batch_size)
    step = TrainingStep(
        network,
        loss,
        as_optimizer(optimizer),
        schedule,
        steps_per_epoch,
        backend,
        clip_norm,
        average,
        max_norm,
        as_pipeline(
            augment,
            network.n_inputs,
            image_shape or image_shape_of(x),
            backend,
            top=full_ink(network),
            task=loss.task,
        ),
        adversarial,
    )
    rule = schedule.schedule if isinstance(schedule, Warmup) else schedule
    return Run(
        step=step,
        training=training,
        held_out=held_out,
        batch_size=batch_size,
        epochs=epochs,
        shuffle=shuffle,
        seed=seed,
        stopping=EarlyStopping(
            patience,
            target_accuracy if loss.task != "values" and scoring is None else None,
            min_delta,
        ),
        plateau=Plateau(rule) if isinstance(rule, ReduceOnPlateau) else None,
        resident=resident,
        callbacks=_as_callbacks(callbacks),
        progress=progress,
        metadata=metadata or {},
        class_weight=class_weight,
        scoring=scoring,
    )


def _check_samples(samples: Any, n_samples: int) -> np.ndarray:
    index = np.asarray(samples)
    if index.ndim != 1 or index.size == 0 or index.dtype.kind not in "iu":
        message = f"samples must be a list of at least one index, got shape {index.shape}"
        raise InvalidArgumentError(message)
    if index.min() < 0 or index.max() >= n_samples:
        message = f"samples must be indices in [0, {n_samples}), got {index.min()} to {index.max()}"
        raise InvalidArgumentError(message)
    return index


def choose_backend(backend: Backend | str | None, data: Any) -> Backend:
    """Return the backend itself, that of a name, or by default the one where the data live."""
    if isinstance(backend, Backend):
        return backend
    home = backend_of(data[0]) if backend is None and isinstance(data, (tuple, list)) else None
    return home or get_backend(backend or "auto")


def as_optimizer(optimizer: Optimizer | str | None) -> Optimizer:
    """Return an optimizer as it is, the one of a name, or plain SGD."""
    if optimizer is None:
        return SGD()
    if isinstance(optimizer, type):
        message = f"optimizer must be one such as Adam(), got the {optimizer}"
        raise InvalidArgumentError(message)
    if not isinstance(optimizer, str):
        if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
            message = f"optimizer must be a name or an object such as Adam(), got {optimizer!r}"
            raise InvalidArgumentError(message)
        return optimizer
    if optimizer not in OPTIMIZERS:
        message = f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {optimizer!r}"
        raise InvalidArgumentError(message)
    named: Optimizer = OPTIMIZERS[optimizer]()
    return named


def _as_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    if callable(callbacks):
        return (callbacks,)
    listed = tuple(callbacks) if isinstance(callbacks, Iterable) else (None,)
    if not all(map(callable, listed)):
        message = f"callbacks must be a function of an EpochRecord, or a list, got {callbacks!r}"
        raise InvalidArgumentError(message)
    return listed


def check_progress(progress: Any) -> None:
    """Refuse what cannot be called."""
    if progress is not None and not callable(progress):
        message = f"progress must be a function of the progress, got {progress!r}"
        raise InvalidArgumentError(message)


def _check_metadata(metadata: Any) -> None:
    """Refuse before training what cannot be saved after it."""
    if metadata is not None and not isinstance(metadata, dict):
        message = f"metadata must be a dict, got the type {type(metadata).__name__}"
        raise InvalidArgumentError(message)
    to_json(metadata or {})


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            message = f"{name} must be a whole number of at least 1, got {value!r}"
            raise InvalidArgumentError(message)
        if value >= 2**63:
            bits = int(value).bit_length()
            message = f"{name} must be at most {2**63 - 1}, got a number of {bits} bits"
            raise InvalidArgumentError(message)


def _check_options(
    patience: int | None,
    target_accuracy: float | None,
    min_delta: float,
    clip_norm: float | None,
    average: float | None,
    max_norm: float | None,
    adversarial: float | None,
) -> None:
    if patience is not None:
        _check_counts(patience=patience)
    if target_accuracy is not None and not 0 < target_accuracy <= 1:
        message = f"target_accuracy must be in (0, 1] or None, got {target_accuracy!r}"
        raise InvalidArgumentError(message)
    if not 0 <= min_delta < float("inf"):
        message = f"min_delta must be at least 0, got {min_delta!r}"
        raise InvalidArgumentError(message)
    bounds = {"clip_norm": clip_norm, "max_norm": max_norm, "adversarial": adversarial}
    for name, bound in bounds.items():
        if bound is not None and not 0 < bound < float("inf"):
            message = f"{name} must be above 0 or None, got {bound!r}"
            raise InvalidArgumentError(message)
    if average is not None and not 0 <= average < 1:
        message = f"average must be in [0, 1) or None, got {average!r}"
        raise InvalidArgumentError(message)
