"""``fit_population`` and ``cross_validate``: many networks, trained as one computation."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from numbers import Real
from typing import Any, NamedTuple, TypeAlias, Unpack

import numpy as np

from anynet.backends import Backend, Group, find_group, to_numpy
from anynet.checks import check_bool, check_whole, did_you_mean
from anynet.data.batches import Rows
from anynet.errors import InvalidArgumentError, TrainingInterrupted
from anynet.log import LOGGER
from anynet.nn.losses import Loss
from anynet.nn.network import Network
from anynet.seeds import Purpose, host_generator
from anynet.training.checkpoint.folder import CheckpointFolder, Checkpoints, continued
from anynet.training.checkpoint.population import PopulationSaver
from anynet.training.evaluate import LOSS
from anynet.training.fit import as_callbacks, prepare, warn_of_own_parts
from anynet.training.history import Callback, StopReason, TimeLimit, for_member
from anynet.training.inputs import check_network, check_rows, choose_backend
from anynet.training.model import Model
from anynet.training.model_file import foreign_parts
from anynet.training.options import OPTION_NAMES, FitArguments, FitOptions, takes_options
from anynet.training.placement import split_by_memory
from anynet.training.processes import check_alike, in_all, together
from anynet.training.progress import PopulationProgress, TrainingBar, check_progress
from anynet.training.run import Run
from anynet.training.selection import OnlineSelection, Pool
from anynet.training.trainer import group_members, train

#: What a configuration may hold besides the options of ``FitOptions``.
MEMBER_ARGUMENTS = (
    *("network", "validation", "samples", "held_out", "callbacks", "metadata", "start"),
)


class CrossValidation(NamedTuple):
    """The result of ``cross_validate``.

    Attributes
    ----------
    models : list of list of Model
        One list for each configuration, with one model for each fold.
    scores : ndarray of shape (configurations, folds)
        Accuracy, or R², on the fold that the model was not trained on.
    """

    models: list[list[Model]]
    scores: np.ndarray


PopulationCallback: TypeAlias = Callable[[PopulationProgress], None]


@takes_options
def fit_population(
    network: Network,
    data: Any,
    configs: Sequence[Mapping[str, Any]],
    *,
    validation: Any = None,
    shared_order: bool = False,
    backend: Backend | str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    parallel: Group | str | None = None,
    resident: bool | None = None,
    callbacks: Callback | Sequence[Callback] = (),
    progress: PopulationCallback | bool | None = None,
    memory_limit: int | None = None,
    selection: OnlineSelection | None = None,
    checkpoint: CheckpointFolder | Checkpoints | str | os.PathLike[str] | None = None,
    **options: Unpack[FitArguments],
) -> list[Model]:
    """Train many networks at once; each equals a run of ``fit`` to rounding.

    Members that differ only in seeds, numbers (rates, decays, momentum, smoothing, dropout) and
    stopping rules are trained as one computation on a population axis. Members with another
    shape, batch size, or kind of optimizer or schedule form other groups, which are trained one
    after another.

    Parameters
    ----------
    network, data
        See ``fit``.
    configs : sequence of mapping
        One for each member: options that override the common ones, and optionally ``network``,
        ``validation``, ``callbacks``, ``metadata``, ``start`` (see ``fit``), ``samples``, the
        indices of the samples to train on and to hold out from, and ``held_out``, the indices of
        the samples to score after each epoch, instead of ``validation``.
    validation, backend, resident
        See ``fit``.
    device, dtype
        See ``fit``.
    parallel : {"mpi", "torch", "jax", "auto"} or Group, optional
        Divide the members, and not the batches, among several processes, which all call this
        function with the same arguments; ``"jax"`` also among the devices of a process, see
        ``fit``. All processes return all models. ``progress`` reports the
        members of process 0, ``callbacks`` run where the member is trained.
    shared_order : bool
        Whether all members hold out the same samples and see the others in the same order, that
        of the first member's seed. Rows are then gathered and augmented once for all members,
        which is faster, and differences between seeds come from the initial weights only.
    callbacks : callable or sequence of callable
        Each takes every ``EpochRecord`` of every member, and may return True to stop that member.
        One with a method ``member(index)``, such as those of ``anynet.callbacks``, is replaced by
        what this returns for each member.
    progress : callable or bool, optional
        Takes a ``PopulationProgress`` after every epoch of a group; True shows a bar of tqdm.
    memory_limit : int, optional
        Maximum memory of a group on the device, in bytes; by default most of the free memory.
        Larger groups are split.
    selection : OnlineSelection, optional
        Selects an ensemble while the members train, after each epoch of a group, from the members
        as they are then; its ``members`` are models. Its patience ends a group. All members must
        have the same validation samples: arrays, or those of ``shared_order``.
    checkpoint : path-like or Checkpoints, optional
        Folder of checkpoints, see ``anynet.Checkpoints``; they are written after epochs. If it
        holds one of the same population, training continues from it; on the original backend, the
        result equals that of uninterrupted training, bit for bit.
    **options

    Returns
    -------
    list of Model
        In the order of ``configs``, each with its own history; ``seconds`` of a record are the
        member's share of the total time. A member whose loss is not finite stops, with
        ``StopReason.DIVERGED`` and a ``history.warning``; its model is the best of the earlier
        epochs (initial weights and an empty history if there is none).

    Raises
    ------
    InvalidArgumentError
        If an argument or an option is not as documented; the message names the member.
    CheckpointError
        If the checkpoint is of another population or other data, or cannot be written.
    TrainingInterrupted
        On Ctrl-C; its ``model`` is the list of the best models so far, with None for members
        without one.

    Examples
    --------
    >>> import anynet
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=digits.scale)
    >>> configs = [{"learning_rate": rate, "seed": seed} for rate in (0.05, 0.2) for seed in (0, 1)]
    >>> models = anynet.fit_population(
    ...     network, digits.train, configs, validation=0.1, epochs=3, backend="numpy"
    ... )
    >>> [model.history.best.learning_rate for model in models]
    [0.05, 0.05, 0.2, 0.2]
    """
    group = find_group(parallel, backend, data)
    interrupt = None
    with together(group):
        with in_all(group):
            check_network(network)
            common = {"network": network, "validation": validation, **options}
            _check_arguments(configs, shared_order, memory_limit, progress)
            chosen = choose_backend(backend, device, dtype, data)
        with in_all(group):
            chosen = chosen.beside(group)
        with in_all(group):
            common_seed = configs[0].get("seed", options.get("seed", 0)) if shared_order else None
            how = {"data": data, "backend": chosen, "resident": resident}
            check, shared = _checked_once(), as_callbacks(callbacks)
            runs = []
            for member, config in enumerate(configs):
                own = {**common, "callbacks": for_member(shared, member), **config}
                try:
                    arguments = _arguments_of(own)
                    runs.append(prepare(**arguments, **how, split_seed=common_seed, check=check))
                except InvalidArgumentError as error:
                    message = f"configs[{member}]: {error}"
                    raise InvalidArgumentError(message) from error
                runs[-1].order_seed = common_seed
                runs[-1].name = f"member {member}"
            _check_together(runs, selection, checkpoint, group)
            steps = [run.step for run in runs]
            foreign = (step for step in steps if foreign_parts(step.network, step.loss))
            step = next(foreign, steps[0])
            warn_of_own_parts(step.network, step.loss)
        check_alike(runs, group)
        mine = runs[group.rank :: group.size]
        with in_all(group):
            try:
                shown = progress if group.is_first else None
                _train(mine, shown, memory_limit, selection, checkpoint)
            except KeyboardInterrupt as error:
                LOGGER.info("training interrupted")
                interrupt = error
        ended = _model if interrupt is None else _interrupted
        parts = group.gather((interrupt is not None, [ended(run) for run in mine]))
        models: list[Any] = [parts[at % len(parts)][1][at // len(parts)] for at in range(len(runs))]
        if any(interrupted for interrupted, _ in parts):
            raise TrainingInterrupted(models) from interrupt
        for run in mine:
            run.log_result()
        return models


def _arguments_of(config: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``prepare`` for one member."""
    own = {name: config.pop(name) for name in MEMBER_ARGUMENTS if name in config}
    return own | {"options": FitOptions(**config)}


def _train(
    runs: list[Run],
    progress: Any,
    memory_limit: int | None,
    selection: OnlineSelection | None,
    checkpoint: Any,
) -> None:
    """Train the runs in groups, one after another."""
    if not runs:  # more processes than members
        return
    pool = None if selection is None else _pool(selection, runs)
    groups = [
        part for group in group_members(runs) for part in split_by_memory(group, memory_limit)
    ]
    started, backend = TimeLimit.clock(), runs[0].step.backend
    where = f"{backend.name} on {backend.device_name()}, {backend.dtype}: {backend.reason}"
    LOGGER.info("training begins: %d members in %d groups; %s", len(runs), len(groups), where)
    with ExitStack() as stack:
        stack.enter_context(backend.context())
        if progress is True:
            progress = stack.enter_context(TrainingBar()).of_population
        saver = None
        if checkpoint is not None:
            folder = stack.enter_context(continued(checkpoint))
            saver = stack.enter_context(PopulationSaver(runs, folder))
            saver.begin()
            started -= saver.elapsed
        for index, group in enumerate(groups, start=1):
            for run in group:
                run.limit.begin(started, index / len(groups))
                run.pool = pool
            if selection is not None:
                selection.waited = 0
            report = _reporter(progress or None, index, groups, pool)
            if saver is None:
                train(group, report)
            elif not all(run.ended for run in group):
                cohorts = saver.cohorts(group)
                train(group, report, cohorts=cohorts, after_epoch=saver.after_epoch)


def cross_validate(
    network: Network,
    data: Any,
    configs: Sequence[Mapping[str, Any]] = ({},),
    *,
    folds: int = 5,
    fold_seed: int = 0,
    **options: Any,
) -> CrossValidation:
    """Score each configuration on each fold, after training on the other folds.

    All models are trained as one population, see ``fit_population``. The fold is used for scoring
    only: early stopping needs ``validation``, which is held out from the other folds.

    Parameters
    ----------
    network, data
        See ``fit``.
    configs : sequence of mapping
        See ``fit_population``.
    folds : int
        Number of folds of about equal size, drawn at random.
    fold_seed : int
        Seed of the folds.
    **options
        Options of ``fit_population``.

    Raises
    ------
    InvalidArgumentError
        If there are fewer than two folds or more than samples, or an option is not as documented.

    Examples
    --------
    >>> import anynet
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 16, 10], scale=digits.scale)
    >>> found = anynet.cross_validate(
    ...     network, digits.train, [{"learning_rate": 0.1}, {"learning_rate": 0.3}],
    ...     folds=3, epochs=4, backend="numpy",
    ... )
    >>> found.scores.shape
    (2, 3)
    """
    check_network(network)
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        message = f"data must be (x, y) or (x, y, sample_weight), got {type(data).__name__}"
        raise InvalidArgumentError(message)
    n_samples = len(data[1])
    check_whole("folds", folds, 2, n_samples)
    if any("samples" in config for config in configs):
        message = "samples cannot be an option here: the folds define the samples of each model"
        raise InvalidArgumentError(message)
    order = host_generator(fold_seed, Purpose.SPLIT).permutation(n_samples)
    parts = [np.sort(part) for part in np.array_split(order, folds)]
    everything = np.arange(n_samples)
    members = [
        {**config, "samples": np.setdiff1d(everything, part, assume_unique=True)}
        for config in configs
        for part in parts
    ]
    trained = fit_population(network, data, members, **options)
    models = [trained[start : start + folds] for start in range(0, len(trained), folds)]
    host = [None if column is None else to_numpy(column) for column in data]
    scores = [
        [
            model.score(*(None if column is None else column[part] for column in host))
            for model, part in zip(row, parts, strict=True)
        ]
        for row in models
    ]
    return CrossValidation(models, np.array(scores))


def _check_arguments(configs: Any, shared_order: Any, memory_limit: Any, progress: Any) -> None:
    _check_configs(configs)
    check_bool("shared_order", shared_order)
    limit: Any = memory_limit
    if limit is not None and not (isinstance(limit, Real) and float(limit) > 0):
        message = f"memory_limit must be above 0 bytes or None, got {memory_limit!r}"
        raise InvalidArgumentError(message)
    check_progress(progress)


def _check_together(
    runs: list[Run], selection: OnlineSelection | None, checkpoint: Any, group: Group
) -> None:
    """Check the arguments that cannot be combined."""
    if selection is not None and checkpoint is not None:
        message = "selection cannot be continued from a checkpoint: leave out one of them"
        raise InvalidArgumentError(message)
    if group.size > 1 and not (selection is checkpoint is None):
        name = "checkpoint" if selection is None else "selection"
        message = (
            f"{name} needs all members in one process, and {group.size} processes share them: "
            f"leave out {name} or parallel"
        )
        raise InvalidArgumentError(message)
    if selection is not None:
        _pool(selection, runs)


def _model(run: Run) -> Model:
    model = run.model()
    assert model is not None  # its group was trained
    return model


def _interrupted(run: Run) -> Model | None:
    if run.best is None or not run.history.records:
        return None
    if not run.history.stopped:
        run.history.stop(StopReason.INTERRUPTED, "interrupted")
    return run.model()


def _pool(selection: OnlineSelection, runs: list[Run]) -> Pool:
    """Return the pool of all members.

    Raises
    ------
    InvalidArgumentError
        If they do not have the same validation samples.
    """
    first = runs[0].held_out
    same = {
        None
        if (own := run.held_out) is None
        else (id(own.rows), None if own.index is None else own.index.tobytes())
        for run in runs
    }
    if first is None or len(same) > 1:
        message = (
            "selection needs the same validation samples for all members: pass arrays as "
            "validation, or shared_order=True"
        )
        raise InvalidArgumentError(message)
    return Pool(selection, *first.targets(), runs[0].step.loss)


def _reporter(
    progress: PopulationCallback | None,
    index: int,
    groups: list[Sequence[Run]],
    pool: Pool | None,
) -> Callable[[int, int], None]:
    group = groups[index - 1]
    epochs = max(run.options.epochs for run in group)
    about = (index, len(groups), len(group))

    history = group[0].history
    scoring = history.scoring or history.metric

    def report(epoch: int, active: int) -> None:
        if pool is not None:
            pool.select()
        if progress is None and not LOGGER.isEnabledFor(logging.INFO):
            return
        best = [run.stopping.best for run in group if run.held_out is not None]
        score = float(np.mean(best)) if best else None
        if score is not None and scoring == LOSS:
            score = -score
        best_score = "" if score is None else f", best validation {scoring} {score:.4f}"
        text = "group %d of %d, epoch %d/%d: %d of %d members continue%s"
        LOGGER.info(text, *about[:2], epoch, epochs, active, len(group), best_score)
        if progress is not None:
            progress(PopulationProgress(*about, active, epoch, epochs, scoring, score))

    return report


def _checked_once() -> Callable[..., Rows]:
    """Return a ``check_rows`` that checks data shared by several members only once."""
    known: dict[Any, Rows] = {}

    def check(data: Any, network: Network, loss: Loss, *rest: Any) -> Rows:
        key = (id(data), network.n_inputs, network.n_outputs, loss.task, loss.kind, repr(rest[-1]))
        if key not in known:
            known[key] = check_rows(data, network, loss, *rest)
        return known[key]

    return check


def _check_configs(configs: Any) -> None:
    listed = isinstance(configs, Sequence) and not isinstance(configs, (str, bytes))
    if not listed or not all(isinstance(config, Mapping) for config in configs):
        message = f"configs must be a sequence of mappings, one for each member, got {configs!r}"
        raise InvalidArgumentError(message)
    if not configs:
        message = "configs is empty: expected one mapping for each member, {} for common options"
        raise InvalidArgumentError(message)
    known = {*OPTION_NAMES, *MEMBER_ARGUMENTS}
    for member, config in enumerate(configs):
        for name in config:
            if name not in known:
                hint = did_you_mean(name, known)
                message = (
                    f"configs[{member}] has no option {name!r}{hint} (options: "
                    f"{', '.join(sorted(known))})"
                )
                raise InvalidArgumentError(message)
