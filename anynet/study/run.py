"""Run what a study lacks, group by group, and keep each group's rows as it finishes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from anynet.study.jobs import spread
from anynet.study.results import Results
from anynet.study.rows import Row
from anynet.study.train import Arrays, Trial, Where, run_group

#: An interruption loses the groups that are under way, and a run's seconds are its share of its
#: group's: groups of one size, the default number of seeds, keep the times of points comparable.
GROUP_SIZE = 5


def missing(results: Results, trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials without a row, each once."""
    wanted = {trial.key: trial for trial in trials}
    return [trial for key, trial in wanted.items() if key not in results.rows]


def groups_of(trials: Iterable[Trial], size: int) -> list[list[Trial]]:
    """Put together what can be computed as one: the same network on batches of the same size."""
    alike: dict[Any, list[Trial]] = {}
    for trial in trials:
        arguments = trial.arguments
        alike.setdefault((arguments["network"], arguments["batch_size"]), []).append(trial)
    return [some[i : i + size] for some in alike.values() for i in range(0, len(some), size)]


def run_missing(
    results: Results,
    trials: Sequence[Trial],
    arrays: Arrays,
    where: Where,
    *,
    jobs: int = 1,
    engine: str | None = None,
    group_size: int = GROUP_SIZE,
    report: Callable[[Sequence[Row]], Any] | None = None,
) -> None:
    """Train every trial that has no row yet.

    Parameters
    ----------
    results : Results
        Gets the rows; one that is there is not trained again.
    trials : sequence of Trial
    arrays : Arrays
    where : Where
    jobs : int
        Groups that are trained at the same time; −1 for as many as there are processors or workers.
    engine : str, optional
        A backend of joblib: ``loky`` (its default), ``dask`` or ``ray``.
    group_size : int
        Runs in a group, at most.
    report : callable, optional
        Takes the rows of each group when they are on disk.
    """
    groups = groups_of(missing(results, trials), group_size)
    calls = [(run_group, (group, where, *arrays)) for group in groups]
    for rows in spread(calls, jobs, engine):
        results.add(rows)
        if report is not None:
            report(rows)
