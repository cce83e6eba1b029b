"""``progress=True``: one bar of tqdm for a training, in terminals and notebooks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet
from anynet.errors import InvalidArgumentError
from anynet.training import EpochRecord

pytest.importorskip("tqdm")

NETWORK = anynet.mlp([4, 8, 3])
OPTIONS: dict[str, Any] = {"patience": None, "target_accuracy": None, "backend": "numpy"}


def blobs(n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(n) % 3
    noise = np.random.default_rng(0).normal(0, 0.3, (n, 4))
    return (noise + y[:, None]).astype(np.float32), y


def last(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the last state of the only bar, which is alone on a line that ends."""
    err = capsys.readouterr().err
    assert err.count("\n") == 1, err
    return err.strip("\n").rpartition("\r")[2]


def test_the_bar_ends_with_the_last_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    model = anynet.fit(NETWORK, blobs(), validation=0.2, epochs=4, progress=True, **OPTIONS)
    shown, best = last(capsys), model.history.records[-1]
    assert shown.startswith("epoch 4/4 100%")
    assert f"loss {best.train_loss:.4f}" in shown
    assert f"validation accuracy {best.validation_score:.4f}" in shown


def test_a_bar_that_stops_early_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    def stop(record: EpochRecord) -> bool:
        return record.epoch == 3

    anynet.fit(NETWORK, blobs(), epochs=9, progress=True, callbacks=stop, **OPTIONS)
    assert last(capsys).startswith("epoch 3/9 100%")


def test_the_bar_of_an_interrupted_training_shows_how_far_it_came(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(record: EpochRecord) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(anynet.TrainingInterrupted):
        anynet.fit(NETWORK, blobs(), epochs=4, progress=True, callbacks=interrupt, **OPTIONS)
    assert re.match(r"epoch 2/4 +50%", last(capsys))


def test_a_resumed_bar_begins_where_the_run_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    anynet.fit(NETWORK, blobs(), epochs=6, checkpoint=tmp_path / "c", **OPTIONS)
    anynet.resume(tmp_path / "c", blobs(), epochs=8, progress=True)
    assert last(capsys).startswith("epoch 8/8 100%")


def test_populations_have_one_bar_for_all_groups(capsys: pytest.CaptureFixture[str]) -> None:
    members = [{"seed": 0}, {"seed": 1}, {"batch_size": 16}]
    how = {"validation": 0.2, "epochs": 3, "progress": True, **OPTIONS}
    models = anynet.fit_population(NETWORK, blobs(), members, **how)
    shown = last(capsys)
    assert shown.startswith("group 2/2, epoch 3/3 100%")
    best = max(record.validation_score for record in models[2].history.records)
    assert f"best validation accuracy {best:.4f}" in shown


def test_tabular_estimators_have_a_bar_and_callbacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = blobs()
    seen: list[EpochRecord] = []
    preset = anynet.tabular.Fast(n_members=2)
    estimator = anynet.TabularClassifier(
        preset, progress_bar=True, callbacks=[seen.append], time_limit=0.3, backend="numpy"
    ).fit(x, y)
    shown = last(capsys)
    assert "of 2 networks" in shown
    assert len(seen) == sum(len(one.history.records) for one in estimator.ensemble_.models)
    estimator.save(tmp_path / "e.safetensors")
    loaded = anynet.TabularClassifier.load(tmp_path / "e.safetensors", "numpy")
    assert loaded.callbacks is None
    assert np.array_equal(loaded.predict(x), estimator.predict(x))


@pytest.mark.parametrize("progress", ["yes", 1, object()])
def test_other_values_are_refused(progress: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="progress must be True, or a function"):
        anynet.fit(NETWORK, blobs(), progress=progress, **OPTIONS)
    with pytest.raises(InvalidArgumentError, match="progress must be True, or a function"):
        anynet.fit_population(NETWORK, blobs(), [{}], progress=progress, **OPTIONS)


def test_false_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    anynet.fit(NETWORK, blobs(), progress=False, epochs=1, **OPTIONS)
    anynet.fit_population(NETWORK, blobs(), [{}], progress=False, epochs=1, **OPTIONS)
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_a_notebook_shows_the_bar() -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    code = (
        "import anynet\n"
        "data = anynet.load_dataset('digits')\n"
        "network = anynet.mlp([64, 16, 10], scale=data.scale)\n"
        "model = anynet.fit(network, data.train, epochs=3, backend='numpy', progress=True)\n"
    )
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(book, kernel_name="python3").execute()
    shown = "".join(str(output) for output in book.cells[0].outputs)
    assert "epoch 3/3" in shown
