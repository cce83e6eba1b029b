"""Search by the samplers of Optuna, which propose several points at a time."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from anynet.data.files import one_line
from anynet.errors import InvalidArgumentError
from anynet.space import Point, Range, Space, check_space

#: Class of each sampler; ``random`` is anynet's own and does not need Optuna.
SAMPLERS = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "cmaes": "CmaEsSampler",
    "qmc": "QMCSampler",
}

#: Further packages of some samplers, which Optuna imports only after the first trials.
NEEDS = {"gp": ("scipy", "torch"), "cmaes": ("cmaes",)}

Evaluate = Callable[[Sequence[Point]], Sequence[float | None]]
"""Takes points and returns their scores; None for a point without one."""


def require_optuna(sampler: str) -> Any:
    """Import Optuna.

    Raises
    ------
    InvalidArgumentError
        If it, or a package that the sampler needs, is not installed.
    """
    for package in ("optuna", *NEEDS.get(sampler, ())):
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            message = (
                f"the sampler {sampler} is Optuna's and needs {package}: pip install {package}, "
                f"or use sampler='random'"
            )
            raise InvalidArgumentError(message) from error
    return importlib.import_module("optuna")


def optuna_search(
    space: Space,
    evaluate: Evaluate,
    *,
    n_trials: int,
    sampler: str,
    population: int,
    folder: Path,
    storage: str | None = None,
    seed: int = 0,
) -> list[Point]:
    """Let Optuna choose points until there are `n_trials`, those of earlier calls included.

    Parameters
    ----------
    space : Space
    evaluate : callable
        Trains points together, and returns their scores: higher is better.
    n_trials : int
    sampler : str
        One of ``SAMPLERS``.
    population : int
        Number of points that the sampler proposes before it gets a score.
    folder : Path
        Folder of the study; Optuna's journal is written into it.
    storage : str, optional
        URL of another storage of Optuna's trials, such as ``sqlite:///trials.db``.
    seed : int
        Seed of the sampler.

    Returns
    -------
    list of dict
        The points that were tried, each once.

    Raises
    ------
    InvalidArgumentError
        If the space is empty, Optuna is missing, or its storage cannot be used.
    """
    check_space(space)
    optuna = require_optuna(sampler)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            storage=storage or _journal(folder / "optuna.log"),
            study_name=folder.name,
            direction="maximize",
            load_if_exists=True,
        )
    except Exception as error:  # each kind of storage has its own exceptions
        where = storage or folder / "optuna.log"
        message = f"Optuna cannot use the storage {where}: {one_line(error)}"
        raise InvalidArgumentError(message) from error
    distributions = {name: _distribution(values, optuna) for name, values in space.items()}
    for trial in study.get_trials(deepcopy=False):
        if trial.distributions != distributions:
            message = (
                f"Optuna's storage holds a study named {folder.name!r} of other options or ranges: "
                f"choose another folder or storage"
            )
            raise InvalidArgumentError(message)
    # A new sampler with the same seed would propose the points of the last call again.
    seed += len(study.get_trials(deepcopy=False))
    study.sampler = getattr(optuna.samplers, SAMPLERS[sampler])(seed=seed)
    states = optuna.trial.TrialState
    while True:
        trials = study.get_trials(deepcopy=False)
        # Points of an interrupted call that got no score come first.
        asked = [trial for trial in trials if trial.state == states.RUNNING]
        wanted = min(population, n_trials - len(trials))
        asked += [study.ask(distributions) for _ in range(wanted)]
        if not asked:
            points = [_point(trial.params, space) for trial in trials]
            return [point for i, point in enumerate(points) if point not in points[:i]]
        scores = evaluate([_point(trial.params, space) for trial in asked])
        for trial, score in zip(asked, scores, strict=True):
            study.tell(trial.number, score, states.FAIL if score is None else states.COMPLETE)


def _journal(path: Path) -> Any:
    storages = importlib.import_module("optuna.storages")
    journal = importlib.import_module("optuna.storages.journal")
    return storages.JournalStorage(journal.JournalFileBackend(str(path)))


def _distribution(values: Sequence[Any] | Range, optuna: Any) -> Any:
    if not isinstance(values, Range):
        # Optuna stores numbers and text; the position in the list stands for other values.
        return optuna.distributions.CategoricalDistribution(range(len(values)))
    kind = "IntDistribution" if values.whole else "FloatDistribution"
    return getattr(optuna.distributions, kind)(values.low, values.high, log=values.log)


def _point(params: Point, space: Space) -> Point:
    return {
        name: params[name] if isinstance(values, Range) else values[params[name]]
        for name, values in space.items()
    }
