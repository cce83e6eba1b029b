"""TensorBoard and MLflow: what they record is read back with their own readers."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from callbacks.test_files import NETWORK, OPTIONS, blobs, record

import anynet
from anynet.callbacks import MLflowLogger, TensorBoardLogger
from anynet.errors import InvalidArgumentError
from anynet.training import EpochRecord

FIGURES = ("learning_rate", "train_loss", "train_score", "validation_loss", "validation_score")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the steps and values in the event files of a folder."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


class TestTensorBoard:
    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        pytest.importorskip("tensorboard")

    def test_each_figure_is_a_scalar(self, tmp_path: Path) -> None:
        with TensorBoardLogger(tmp_path / "tb") as log:
            model = anynet.fit(NETWORK, blobs(), validation=0.2, epochs=3, callbacks=log, **OPTIONS)
        found = scalars(log.folder)
        assert {*found} == {*FIGURES, "seconds"}
        for name in FIGURES:
            records = model.history.records
            expected = [(each.epoch, pytest.approx(getattr(each, name))) for each in records]
            assert found[name] == expected

    def test_events_are_on_disk_after_each_epoch(self, tmp_path: Path) -> None:
        log, seen = TensorBoardLogger(tmp_path / "tb"), []

        def read(_: EpochRecord) -> None:
            seen.append(len(scalars(log.folder)["train_loss"]))

        anynet.fit(NETWORK, blobs(), epochs=3, callbacks=[log, read], **OPTIONS)
        assert seen == [1, 2, 3]
        log.close()

    def test_resumed_epochs_replace_the_earlier_ones(self, tmp_path: Path) -> None:
        for resume, epochs, loss in ((False, (1, 2, 3), 0.5), (True, (3, 4), 0.25)):
            with TensorBoardLogger(tmp_path / "tb", resume=resume) as log:
                for epoch in epochs:
                    log(record(epoch, train_loss=loss))
        expected = [(1, 0.5), (2, 0.5), (3, 0.25), (4, 0.25)]
        assert scalars(tmp_path / "tb")["train_loss"] == expected

    def test_members_have_folders_of_their_own(self, tmp_path: Path) -> None:
        with TensorBoardLogger(tmp_path / "tb") as log:
            members = [{"seed": 0}, {"seed": 1}]
            anynet.fit_population(NETWORK, blobs(), members, epochs=2, callbacks=log, **OPTIONS)
        for member in (0, 1):
            assert len(scalars(tmp_path / "tb" / f"member-{member}")["train_loss"]) == 2

    def test_the_folder_of_another_run_is_refused(self, tmp_path: Path) -> None:
        with TensorBoardLogger(tmp_path / "tb") as log:
            log(record(1))
        with pytest.raises(InvalidArgumentError, match="another run"):
            TensorBoardLogger(tmp_path)


class TestMLflow:
    @pytest.fixture(autouse=True)
    def mlflow(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        mlflow = pytest.importorskip("mlflow")
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        mlflow.set_tracking_uri((tmp_path / "store").as_uri())
        yield mlflow
        while mlflow.active_run():
            mlflow.end_run()
        mlflow.set_tracking_uri(None)

    def history(self, mlflow: Any, run_id: str, name: str = "train_loss") -> list[Any]:
        found = mlflow.tracking.MlflowClient().get_metric_history(run_id, name)
        return [(metric.step, metric.value) for metric in found]

    def test_a_run_has_the_figures_and_ends(self, mlflow: Any) -> None:
        with MLflowLogger("digits", params={"epochs": 3}) as log:
            model = anynet.fit(NETWORK, blobs(), validation=0.2, epochs=3, callbacks=log, **OPTIONS)
        for name in FIGURES:
            expected = [(each.epoch, getattr(each, name)) for each in model.history.records]
            assert self.history(mlflow, log.run_id, name) == expected
        run = mlflow.get_run(log.run_id)
        assert (run.info.status, run.data.params) == ("FINISHED", {"epochs": "3"})
        assert mlflow.get_experiment(run.info.experiment_id).name == "digits"
        assert mlflow.active_run() is None

    def test_the_active_run_is_used_and_left_open(self, mlflow: Any) -> None:
        with mlflow.start_run() as run:
            with MLflowLogger() as log:
                log(record(1))
            assert log.run_id == run.info.run_id == mlflow.active_run().info.run_id
            with pytest.raises(InvalidArgumentError, match="active run"):
                MLflowLogger()

    def test_a_continued_run_has_each_epoch_once(self, mlflow: Any) -> None:
        with MLflowLogger() as log:
            log(record(1))
            log(record(2))
        with MLflowLogger(run_id=log.run_id) as again:
            again(record(2))
            again(record(3))
        assert self.history(mlflow, log.run_id) == [(1, 0.5), (2, 0.5), (3, 0.5)]

    def test_members_are_child_runs_also_when_continued(self, mlflow: Any) -> None:
        with MLflowLogger() as log:
            for member in (0, 1):
                log.member(member)(record(1))
        with MLflowLogger(run_id=log.run_id) as again:
            for member in (0, 1):
                again.member(member)(record(2))
        children = mlflow.search_runs(
            filter_string=f"tags.`mlflow.parentRunId` = '{log.run_id}'", output_format="list"
        )
        assert len(children) == 2
        for run in children:
            assert run.info.status == "FINISHED"
            assert self.history(mlflow, run.info.run_id) == [(1, 0.5), (2, 0.5)]

    def test_an_exception_is_the_status_of_the_run(self, mlflow: Any) -> None:
        with pytest.raises(ZeroDivisionError), MLflowLogger() as log:
            raise ZeroDivisionError
        assert mlflow.get_run(log.run_id).info.status == "FAILED"


@pytest.mark.parametrize(
    ("make", "package"),
    [(lambda path: TensorBoardLogger(path), "tensorboard"), (lambda _: MLflowLogger(), "mlflow")],
)
def test_missing_packages_are_reported_before_training(
    make: Any, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def fail(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(name=package)
        return real(name, *args, **kwargs)

    monkeypatch.setattr("importlib.import_module", lambda name: fail(name))
    with pytest.raises(InvalidArgumentError, match=f"pip install {package}"):
        make(tmp_path / "new")
    assert not (tmp_path / "new").exists()
