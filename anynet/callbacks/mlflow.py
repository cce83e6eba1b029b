"""The callback for MLflow."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from anynet.callbacks.logger import EpochLogger, figures
from anynet.checks import require
from anynet.errors import InvalidArgumentError
from anynet.training.history import EpochRecord

PARENT, MEMBER = "mlflow.parentRunId", "anynet.member"
LONGEST = 6000  # characters of the value of a parameter, MLflow's limit


class MLflowLogger(EpochLogger):
    """Log the figures of each epoch to a run of MLflow.

    The run is the active one of ``mlflow.start_run()``, if there is one. Otherwise a new one is
    started, which ends with ``close``: use it in a ``with`` block. The members of a population are
    child runs. ``mlflow.set_tracking_uri``, or the environment variable ``MLFLOW_TRACKING_URI``,
    chooses the server, database or folder.

    Parameters
    ----------
    experiment : str, optional
        Name of the experiment of a new run, which is created if it does not exist; by default that
        of ``mlflow.set_experiment``.
    run_id : str, optional
        Continue this run: epochs that it has are not logged again.
    params : mapping, optional
        Parameters of the run, such as options of ``fit``.

    Attributes
    ----------
    run_id : str
        The identifier of the run.

    Raises
    ------
    InvalidArgumentError
        If MLflow is missing, or the run cannot be started, or has epochs and is not continued.
    """

    def __init__(
        self,
        experiment: str | None = None,
        *,
        run_id: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(resume=run_id is not None)
        self._mlflow = mlflow = require("mlflow", "MLflowLogger", "mlflow-skinny")
        self.errors = (OSError, mlflow.exceptions.MlflowException)
        try:
            self._client = mlflow.tracking.MlflowClient()
            run = mlflow.active_run()
            self._owned = run is None
            if run is None:
                of = None if experiment is None or run_id is not None else self._id_of(experiment)
                run = mlflow.start_run(run_id, of)
            self.run_id: str = run.info.run_id
            self._experiment_id: str = run.info.experiment_id
            begun = not self.resume and self._last_epoch(self.run_id) > 0
            if not begun:
                params = {name: str(value)[:LONGEST] for name, value in (params or {}).items()}
                for name, value in params.items():
                    self._client.log_param(self.run_id, name, value)
        except self.errors as error:
            message = f"MLflow cannot start a run: {error}"
            raise InvalidArgumentError(message) from error
        if begun or (run_id is not None and run_id != self.run_id):
            message = (
                f"the active run of MLflow is {self.run_id}, another one: end it first, by "
                f"mlflow.end_run(), or by closing the MLflowLogger that began it"
            )
            raise InvalidArgumentError(message)
        self._runs: dict[int | None, str] = {None: self.run_id}
        self._done: dict[int | None, int] = {}  # the last epoch that a run had before

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._end("FAILED" if issubclass(kind, Exception) else "KILLED")

    def close(self) -> None:
        """End the run, unless it was active before."""
        self._end("FINISHED")

    def _end(self, status: str) -> None:
        """End the runs, if MLflow can be reached."""
        with contextlib.suppress(*self.errors):
            for member, run_id in self._runs.items():
                if member is not None or self._owned:
                    self._client.set_terminated(run_id, status)
            active = self._mlflow.active_run()
            if self._owned and active is not None and active.info.run_id == self.run_id:
                self._mlflow.end_run(status)

    def _id_of(self, experiment: str) -> str:
        """Return the identifier of an experiment, which is created if it does not exist."""
        found = self._client.get_experiment_by_name(experiment)
        new = found is None
        return str(self._client.create_experiment(experiment) if new else found.experiment_id)

    def _last_epoch(self, run_id: str) -> int:
        """Return the last epoch that a run has; 0 if it has none."""
        history = self._client.get_metric_history(run_id, "train_loss")
        return max((int(metric.step) for metric in history), default=0)

    def _begin(self, member: int | None, epoch: int) -> None:  # noqa: ARG002
        if member is not None:
            self._runs[member] = self._child(member)
        self._done[member] = self._last_epoch(self._runs[member]) if self.resume else 0

    def _child(self, member: int) -> str:
        """Return the run of a member: that of the run that is continued, or a new one."""
        tags = {PARENT: self.run_id, MEMBER: str(member), "mlflow.runName": f"member {member}"}
        if self.resume:
            chosen = f"tags.`{PARENT}` = '{self.run_id}' and tags.`{MEMBER}` = '{member}'"
            for run in self._client.search_runs([self._experiment_id], chosen, max_results=1):
                return str(run.info.run_id)
        return str(self._client.create_run(self._experiment_id, tags=tags).info.run_id)

    def _write(self, member: int | None, record: EpochRecord) -> None:
        if record.epoch <= self._done[member]:
            return
        metric = require("mlflow.entities", "MLflowLogger", "mlflow-skinny").Metric
        now = int(1000 * time.time())
        metrics = [
            metric(name, value, now, record.epoch) for name, value in figures(record).items()
        ]
        self._client.log_batch(self._runs[member], metrics=metrics)
