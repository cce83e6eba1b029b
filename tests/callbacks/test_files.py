"""CSV and JSON lines: whole lines, one for each epoch, also of resumed runs and of members."""

from __future__ import annotations

import copy
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.callbacks import CSVLogger, JSONLinesLogger
from anynet.callbacks.files import FileLogger
from anynet.errors import InvalidArgumentError
from anynet.training import EpochRecord

NETWORK = anynet.mlp([4, 8, 3])
OPTIONS: dict[str, Any] = {"patience": None, "target_accuracy": None, "backend": "numpy"}
BOTH = pytest.mark.parametrize("kind", [CSVLogger, JSONLinesLogger])


def blobs(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(n) % 3
    noise = np.random.default_rng(0).normal(0, 0.3, (n, 4))
    return (noise + y[:, None]).astype(np.float32), y


def record(epoch: int, **figures: Any) -> EpochRecord:
    given = {"train_loss": 0.5, "train_score": 0.5, "validation_loss": None}
    return EpochRecord(
        epoch=epoch,
        learning_rate=0.1,
        validation_score=None,
        seconds=0.1,
        **{**given, **figures},
    )


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows as numbers, and None where there is none."""
    text = path.read_text()
    if text.startswith("{"):
        return [json.loads(line) for line in text.splitlines()]
    table = csv.DictReader(text.splitlines())
    return [{key: float(each) if each else None for key, each in row.items()} for row in table]


@BOTH
def test_each_epoch_is_a_line_with_the_figures_of_its_record(
    kind: type[FileLogger], tmp_path: Path
) -> None:
    log = kind(tmp_path / "log")
    model = anynet.fit(NETWORK, blobs(), validation=0.2, epochs=3, callbacks=log, **OPTIONS)
    assert model.history is not None
    assert rows(log.path) == [each._asdict() for each in model.history.records]


@BOTH
def test_lines_are_complete_after_each_epoch(kind: type[FileLogger], tmp_path: Path) -> None:
    log, seen = kind(tmp_path / "log"), []
    anynet.fit(
        NETWORK,
        blobs(),
        epochs=3,
        callbacks=[log, lambda _: seen.append(log.path.read_bytes()[-1:])],
        **OPTIONS,
    )
    assert seen == [b"\n"] * 3


@BOTH
def test_a_resumed_run_continues_its_log(kind: type[FileLogger], tmp_path: Path) -> None:
    def fail(record: EpochRecord) -> None:
        if record.epoch == 5:
            raise ZeroDivisionError

    how = {"validation": 0.2, "epochs": 6, **OPTIONS}
    straight = kind(tmp_path / "straight")
    anynet.fit(NETWORK, blobs(), callbacks=straight, **how)
    log, checkpoints = kind(tmp_path / "log"), anynet.Checkpoints(tmp_path / "c", every=2)
    with pytest.raises(ZeroDivisionError):
        anynet.fit(NETWORK, blobs(), callbacks=[log, fail], checkpoint=checkpoints, **how)
    with log.path.open("ab") as file:
        file.write(log.path.read_bytes()[-20:-5])  # the process was killed within a line
    again = kind(log.path, resume=True)
    anynet.resume(tmp_path / "c", blobs(), callbacks=again)
    expected = [{**row, "seconds": None} for row in rows(straight.path)]
    assert [{**row, "seconds": None} for row in rows(log.path)] == expected


@BOTH
def test_members_share_a_file(kind: type[FileLogger], tmp_path: Path) -> None:
    log = kind(tmp_path / "log")
    members = [{"seed": 0}, {"seed": 1, "epochs": 2}, {"batch_size": 16}]
    models = anynet.fit_population(NETWORK, blobs(), members, epochs=3, callbacks=log, **OPTIONS)
    found = rows(log.path)
    for member, model in enumerate(models):
        mine = [row for row in found if row["member"] == member]
        assert mine == [{"member": member, **each._asdict()} for each in model.history.records]


def test_resumed_members_replace_their_own_epochs(tmp_path: Path) -> None:
    log = CSVLogger(tmp_path / "log")
    for epoch in (1, 2, 3):
        for member in (0, 1):
            log.member(member)(record(epoch))
    again = CSVLogger(log.path, resume=True)
    again.member(1)(record(2, train_loss=9.0))
    found = {(row["member"], row["epoch"]): row["train_loss"] for row in rows(log.path)}
    assert found == {(0, 1): 0.5, (0, 2): 0.5, (0, 3): 0.5, (1, 1): 0.5, (1, 2): 9.0}


@pytest.mark.parametrize("resume", [False, True])
@BOTH
def test_files_of_others_are_not_changed(
    kind: type[FileLogger], resume: bool, tmp_path: Path
) -> None:
    path = tmp_path / "notes"
    for content in (b"my notes\n", b"a,b\n1,2\n", b"\xff\n", b"[1]\n", b"{}\n", b"notes"):
        path.write_bytes(content)
        with pytest.raises(InvalidArgumentError, match="notes"):
            kind(path, resume=resume)
        assert path.read_bytes() == content


def test_a_log_of_members_is_not_continued_by_a_single_network(tmp_path: Path) -> None:
    log = CSVLogger(tmp_path / "log")
    log.member(0)(record(1))
    before = log.path.read_bytes()
    with pytest.raises(InvalidArgumentError, match="of members"):
        CSVLogger(log.path, resume=True)(record(1))
    assert log.path.read_bytes() == before


def test_a_logger_records_one_run(tmp_path: Path) -> None:
    log = CSVLogger(tmp_path / "log")
    log(record(1))
    with pytest.raises(InvalidArgumentError, match="one run"):
        log(record(1))
    with pytest.raises(InvalidArgumentError, match="exists already"):
        copy.deepcopy(log)(record(1))
    assert len(rows(log.path)) == 1


def test_paths_that_cannot_be_written_are_reported_before_training(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none" / "log.csv"):
        with pytest.raises(InvalidArgumentError, match="cannot write"):
            CSVLogger(path)


def test_nan_is_null_in_json(tmp_path: Path) -> None:
    log = JSONLinesLogger(tmp_path / "log")
    log(record(1, train_score=float("nan")))
    assert rows(log.path)[0]["train_score"] is None


def test_training_continues_without_a_log_that_fails(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    log = CSVLogger(folder / "log.csv")
    log.path.unlink()
    folder.rmdir()
    with pytest.warns(RuntimeWarning, match="CSVLogger cannot record epoch 1") as caught:
        model = anynet.fit(NETWORK, blobs(), epochs=3, callbacks=log, **OPTIONS)
    assert len(caught) == 1
    assert len(model.history.records) == 3


def test_ensembles_of_estimators_are_recorded_by_member(tmp_path: Path) -> None:
    log = CSVLogger(tmp_path / "log.csv")
    estimator = anynet.MLPClassifier(
        (8,), max_iter=2, tol=0, n_ensemble=2, callbacks=[log], n_iter_no_change=9
    )
    with pytest.warns(UserWarning, match="hasn't converged"):
        estimator.fit(*blobs())
    found = [(row["member"], row["epoch"]) for row in rows(log.path)]
    assert sorted(found) == [(0, 1), (0, 2), (1, 1), (1, 2)]
