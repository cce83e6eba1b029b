"""Train the networks of a preset on the encoded rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from anynet.errors import InvalidArgumentError, TrainingInterrupted
from anynet.log import LOGGER
from anynet.optim.lasting import for_run
from anynet.seeds import Purpose, host_generator
from anynet.tabular.preset import Plan, Preset, Problem
from anynet.training.ensemble import Ensemble
from anynet.training.history import Callback
from anynet.training.model import Model
from anynet.training.population import fit_population
from anynet.training.progress import PopulationProgress
from anynet.training.selection import OnlineSelection


def train_preset(
    preset: Preset,
    data: tuple[Any, ...],
    problem: Problem,
    *,
    validation: float | tuple[Any, ...] = 0.2,
    scoring: Any = None,
    class_weight: Any = None,
    time_limit: float | None = None,
    refit: bool = False,
    metadata: Mapping[str, Any] | None = None,
    progress: Callable[[PopulationProgress], None] | bool | None = None,
    checkpoint: Any = None,
    callbacks: Callback | Sequence[Callback] = (),
    **backend: Any,
) -> Ensemble:
    """Train the networks of a preset, and return the ensemble that predicts.

    Parameters
    ----------
    preset : Preset
    data : (x, y) or (x, y, sample_weight)
        Encoded rows (N, I), and classes or standardised values (N,).
    problem : Problem
        Its ``n_rows`` is not used.
    validation : float, or tuple like ``data``
        Share of the rows to hold out, stratified by the target; or the rows that all members are
        scored on.
    scoring : str or callable, optional
        Score of the held-out rows that selects the epoch, see ``anynet.FitOptions``; by default
        that of the preset, mostly the loss.
    class_weight : optional
        See ``anynet.FitOptions``.
    time_limit : float, optional
        Seconds after which all members stop, at the end of an epoch.
    refit : bool
        Whether each member is trained again on all rows, for the number of its best epoch.
    metadata : mapping, optional
        Saved with the ensemble.
    progress : callable or bool, optional
        See ``anynet.fit_population``.
    checkpoint : optional
        Folder of checkpoints, from which training continues, see ``anynet.fit_population``.
    callbacks : callable or sequence of callable
        See ``anynet.fit_population``; not called by ``refit``.
    **backend
        ``backend``, ``device`` and ``dtype`` of ``anynet.fit_population``.

    Returns
    -------
    Ensemble

    Raises
    ------
    InvalidArgumentError
        If there are too few rows to hold some out, or an option is not as documented.
    TrainingInterrupted
        On Ctrl-C; its ``model`` is the ensemble of the best epochs so far, None if there is none.
    """
    x, y = data[:2]
    splits: list[dict[str, Any]] = [{"validation": validation}]
    n_rows = len(y)
    if isinstance(validation, float):
        splits = split_members(y, problem, validation, folds=preset.folds)
        n_rows = len(splits[0]["samples"])
    plan = preset.plan(problem._replace(n_rows=n_rows))
    LOGGER.info("preset %s: %d networks for %d rows", preset.kind, len(plan.members), len(y))
    common = {
        "scoring": "loss",
        "class_weight": class_weight,
        "time_limit": time_limit,
        "target_accuracy": None,
        "loss": "cross_entropy" if problem.task == "classes" else "squared_error",
        **plan.options,
    }
    if scoring is not None:
        common["scoring"] = scoring
    members = [splits[at % len(splits)] | dict(one) for at, one in enumerate(plan.members)]
    size = getattr(preset, "size", len(members))
    online = None
    if preset.selection == "online" and checkpoint is None and not refit:
        online = OnlineSelection(size=size, scoring=common["scoring"])
    try:
        models = fit_population(
            plan.network,
            (x, np.asarray(y), *data[2:]),
            members,
            progress=progress,
            checkpoint=checkpoint,
            callbacks=callbacks,
            selection=online,
            **common,
            **backend,
        )
    except TrainingInterrupted as stop:
        found: Any = stop.model
        kept = [one for one in found if one is not None]
        best = Ensemble(kept, dict(metadata or {})) if kept else None
        raise TrainingInterrupted(best) from stop.__cause__
    trained = [bool(one.history and one.history.records) for one in models]
    if refit:
        models = _refitted(plan, models, data, common, backend)
    sound = [one for one, finite in zip(models, trained, strict=True) if finite] or models
    about = dict(metadata or {})
    if online is not None and online.members:
        LOGGER.info("%d of %d networks are selected", len(online.members), len(models))
        return Ensemble(online.members, about, online.weights.tolist())
    if preset.selection == "all" or refit or len(sound) == 1:
        return Ensemble(sound, about)
    held_out = validation
    if isinstance(validation, float):
        index = splits[0]["held_out"]
        held_out = tuple(None if one is None else np.asarray(one)[index] for one in data)
    return Ensemble.select(
        sound,
        held_out,
        size=size,
        replacement=getattr(preset, "replacement", False),
        scoring=common["scoring"],
        metadata=about,
    )


def split_members(
    y: np.ndarray, problem: Problem, share: float, *, folds: bool
) -> list[dict[str, np.ndarray]]:
    """Return the rows to train on and to hold out: of each fold, or one split for all members.

    The parts of all splits have the same sizes, so that members are trained together. Rows are
    dealt in the order of the target, so that each part has the same share of each class, or of
    small and large values.

    Parameters
    ----------
    y : ndarray of shape (N,)
    problem : Problem
    share : float
        Share to hold out, in (0, 1); with ``folds``, there are round(1 / share) splits.
    folds : bool
        Whether the splits hold out different rows.

    Returns
    -------
    list of dict
        ``samples`` and ``held_out``, see ``anynet.fit_population``.

    Raises
    ------
    InvalidArgumentError
        If there are too few rows.
    """
    n_rows = len(y)
    if not 0 < share < 1 or n_rows < 2:
        message = (
            f"validation must be a share in (0, 1) of at least 2 rows, got {share} of {n_rows}"
        )
        raise InvalidArgumentError(message)
    n_parts = max(2, round(1 / share))
    generator = host_generator(problem.seed, Purpose.SPLIT)
    size = max(1, n_rows // n_parts)
    dealt = generator.permutation(n_rows)[: size * n_parts]  # a random remainder is always trained
    dealt = dealt[np.argsort(np.asarray(y)[dealt], kind="stable")]
    # Of every n_parts neighbours in the order of the target, each part gets one, at random.
    dealt = generator.permuted(np.resize(dealt, (size, n_parts)), axis=1)
    held = [np.sort(dealt[:, part]) for part in range(n_parts if folds else 1)]
    everything = np.arange(n_rows)
    return [{"samples": np.setdiff1d(everything, part), "held_out": part} for part in held]


def _refitted(
    plan: Plan,
    models: list[Model],
    data: tuple[Any, ...],
    common: Mapping[str, Any],
    backend: Mapping[str, Any],
) -> list[Model]:
    """Train each member again on all rows, for the number of epochs that was best.

    Schedules keep the length of the first training, so each epoch has the rates that it had there.
    """
    members = []
    for config, model in zip(plan.members, models, strict=True):
        options = {**common, **config, "patience": None, "scoring": None, "time_limit": None}
        options = {name: for_run(value, options["epochs"]) for name, value in options.items()}
        epochs = max(1, model.history.best_epoch)  # type: ignore[union-attr]
        members.append(options | {"epochs": epochs})
    return fit_population(plan.network, data, members, **backend)
