"""Checkpoints of populations: the records of all members, and the state of those that train."""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from anynet import tree
from anynet.data.subset import Subset, fingerprint
from anynet.errors import CheckpointError, InvalidArgumentError
from anynet.log import LOGGER
from anynet.training.checkpoint.container import Container
from anynet.training.checkpoint.folder import CheckpointFolder, Checkpoints
from anynet.training.checkpoint.resume import ChangedDataError
from anynet.training.checkpoint.snapshot import (
    CONTENT,
    check_form,
    decisions,
    describe,
    placed,
    restore_decisions,
)
from anynet.training.run import Run
from anynet.training.signals import Deferred
from anynet.training.trainer import Cohort

_DECISIONS = {name: CONTENT[name] for name in ("history", "stopping", "plateau")}

#: The types of the JSON, see ``check_form``.
FORM: dict[str, Any] = {
    "population": [dict],
    "data": dict,
    "every": CONTENT["every"],
    "keep": CONTENT["keep"],
    "elapsed": CONTENT["seconds"],
    "members": [_DECISIONS],
    "cohorts": [{"members": [int], "going": [bool]}],
}


class PopulationSaver(Deferred):
    """Write the checkpoints of a population, and restore it from the newest one.

    A checkpoint holds the records and the best weights of all members, and the training state of
    the cohorts of the current group. Groups that are finished are not trained again.

    Parameters
    ----------
    runs : sequence of Run
        All members, in their order.
    folder : CheckpointFolder
        If it has checkpoints, the population continues from the newest.

    Attributes
    ----------
    elapsed : float
        Seconds of training before the checkpoint was written.

    Raises
    ------
    CheckpointError
        If the checkpoint is damaged, or of another population or other data.
    """

    def __init__(self, runs: Sequence[Run], folder: CheckpointFolder) -> None:
        super().__init__()
        self.runs, self.folder = runs, folder
        self.started, self.elapsed = time.monotonic(), 0.0
        self.about = json.loads(json.dumps(_about(runs)))
        self.arrays: dict[str, np.ndarray] = {}
        self.saved: list[dict[str, Any]] = []  # the cohorts of the checkpoint
        if folder.files():
            self._restore(folder.newest())
            done = max(len(run.history.records) for run in runs)
            LOGGER.info("population resumed from %s after epoch %d", folder.path, done)

    def begin(self) -> None:
        """Write the first checkpoint, so that a full disk is reported before training."""
        if not self.folder.files():
            self._write(())

    def cohorts(self, group: Sequence[Run]) -> list[Cohort] | None:
        """Return the cohorts of a group as they were, or None if it has not begun."""
        members = {id(run) for run in group}
        saved = [
            (at, each)
            for at, each in enumerate(self.saved)
            if id(self.runs[each["members"][0]]) in members
        ]
        if not saved:
            return None
        made = group[0].step.backend.together(
            [
                functools.partial(Cohort, [self.runs[member] for member in each["members"]])
                for _, each in saved
            ]
        )
        try:
            for (at, each), cohort in zip(saved, made, strict=True):
                cohort.going = list(each["going"])
                cohort.state = placed(f"{at}.state", cohort.state, self.arrays, cohort.backend)
                cohort.best = placed(f"{at}.best", cohort.best, self.arrays, cohort.backend)
        except (KeyError, TypeError, ValueError) as error:
            raise _unfit(error) from error
        return list(made)

    def after_epoch(self, cohorts: Sequence[Cohort]) -> None:
        """Write a checkpoint if one is due, a signal arrived, or a group has ended.

        Parameters
        ----------
        cohorts : sequence of Cohort
            Those of the current group that continue.
        """
        epoch = max((len(run.history.records) for run in self._training(cohorts)), default=None)
        if not cohorts or self.came is not None or self.folder.is_due(epoch):
            self._write(cohorts)
        self.deliver()

    def _training(self, cohorts: Sequence[Cohort]) -> list[Run]:
        return [run for cohort in cohorts for run in cohort.members if isinstance(run, Run)]

    def _write(self, cohorts: Sequence[Cohort]) -> None:
        backend = self.runs[0].step.backend
        places = {id(run): at for at, run in enumerate(self.runs)}
        leaves: list[tuple[str, Any]] = []
        for at, cohort in enumerate(cohorts):
            leaves += tree.flatten(cohort.state, f"{at}.state")
            leaves += tree.flatten(cohort.best, f"{at}.best")
        for at, run in enumerate(self.runs):
            if run.best is not None:
                leaves += tree.flatten(run.best, f"member.{at}")
        content = {
            **self.about,
            "every": self.folder.every,
            "keep": self.folder.keep,
            "elapsed": self.elapsed + time.monotonic() - self.started,
            "members": [decisions(run) for run in self.runs],
            "cohorts": [
                {"members": [places[id(one)] for one in each.members], "going": each.going}
                for each in cohorts
            ],
        }
        arrays = {name: backend.to_host(leaf) for name, leaf in leaves}
        epochs = sum(len(run.history.records) for run in self.runs)
        self.folder.write(Container(arrays, content), epochs)

    def _restore(self, found: Container) -> None:
        content = found.content
        try:
            check_form(content, FORM)
            again = Checkpoints(self.folder.path, content["every"], content["keep"])
            self.folder.every, self.folder.keep = again.every, again.keep
            if content["population"] != self.about["population"]:
                message = "its members have other options or rows"
                raise ValueError(message)
            if content["data"] != self.about["data"]:
                message = "the data differ from the original data: restore the original data"
                raise ChangedDataError(message)
            self.arrays, self.saved = dict(found.arrays), content["cohorts"]
            self.elapsed = float(content["elapsed"])
            for at, (run, own) in enumerate(zip(self.runs, content["members"], strict=True)):
                restore_decisions(run, own)
                if any(name.startswith(f"member.{at}.") for name in self.arrays):
                    backend = run.step.backend
                    run.best = placed(f"member.{at}", run.start({}), self.arrays, backend)
            for each in self.saved:
                if not 0 < len(each["members"]) == len(each["going"]):
                    message = "its cohorts are inconsistent"
                    raise ValueError(message)
                [self.runs[member] for member in each["members"]]
        except (IndexError, KeyError, TypeError, ValueError, InvalidArgumentError) as error:
            raise _unfit(error) from error


def _unfit(error: Exception) -> CheckpointError:
    return CheckpointError(f"the checkpoint is not of this population: {error}")


def _about(runs: Sequence[Run]) -> dict[str, Any]:
    """Return what does not change during training: the options, the rows and the data."""
    rows = runs[0].training.rows
    members = [
        describe(run) | {"training": _digest(run.training), "held_out": _digest(run.held_out)}
        for run in runs
    ]
    return {"population": members, "data": fingerprint(Subset(rows), runs[0].step.backend)}


def _digest(samples: Subset | None) -> str:
    """Return a digest of the indices of samples, which are fingerprinted with all rows."""
    if samples is None or samples.index is None:
        return "" if samples is None else "all"
    return hashlib.blake2b(samples.index.astype(np.int64).tobytes(), digest_size=16).hexdigest()
