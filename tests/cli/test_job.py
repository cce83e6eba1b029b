"""``Job``: training, resuming and scoring without copies; errors that contain flags."""

import json
import shutil
import tracemalloc
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from anynet.cli import progress, with_flags
from anynet.cli.job import Job
from anynet.cli.options import TrainOptions
from anynet.cli.recipe import fit_options
from anynet.optim import SGD, Constant
from anynet.optim.optimizers import OPTIMIZERS
from anynet.optim.schedules import SCHEDULES
from anynet.training.model_file import CHECKPOINTS
from anynet.training.options import OPTION_NAMES


def a_job(tmp_path: Path, rows: int = 40_000, **options: Any) -> Job:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (rows, 400), dtype=np.uint8)
    y = np.arange(rows) % 4
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x[:50], y_test=y[:50])
    given = {"layers": (8,), "epochs": 1, "backend": "numpy", **options}
    return Job.load(TrainOptions(dataset=str(tmp_path / "own.npz"), **given), silent=True)


def test_the_training_set_is_not_copied(tmp_path: Path) -> None:
    small = a_job(tmp_path, 200)
    small.measure(small.train(silent=True))  # imports the modules beforehand
    job = a_job(tmp_path)
    size = job.dataset.train[0].nbytes
    job.arguments  # noqa: B018  (computed beforehand)
    tracemalloc.start()
    model = job.train(silent=True)
    _, result = job.measure(model)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size / 2
    assert 0 <= result["validation_accuracy"] <= 1


@pytest.mark.parametrize("validation", [0, 30])
def test_scores_match_model_score(tmp_path: Path, validation: int) -> None:
    job = a_job(tmp_path, 200, validation=validation, seed=3)
    model = job.train(silent=True)
    _, result = job.measure(model)
    (x, y), (kept, held_out) = job.dataset.train, job.split()
    assert len(held_out) == validation
    assert result["train_accuracy"] == pytest.approx(model.score(x[kept], y[kept]))
    if validation:
        expected = model.score(x[held_out], y[held_out])
        assert result["validation_accuracy"] == pytest.approx(expected)
        best = model.history.best
        assert best.validation_accuracy == pytest.approx(expected)
    else:
        assert result["validation_accuracy"] is None


def test_options_with_the_name_of_a_parameter_are_passed_to_fit(tmp_path: Path) -> None:
    changed = {"clip_norm": 2.0, "average": 0.5, "max_norm": 3.0, "min_delta": 0.125, "seed": 7}
    job = a_job(tmp_path, 200, **changed, patience=9, target_accuracy=0.5, batch_size=5)
    made = fit_options(job.options, job.dataset)
    assert {name: getattr(made, name) for name in changed} == changed
    assert (made.patience, made.target_accuracy, made.batch_size) == (9, 0.5, 5)
    assert set(OPTION_NAMES) < set(job.arguments)


@pytest.mark.parametrize("options", [(), ("--class-weight", "balanced")])
def test_a_run_of_an_earlier_version_resumes(
    anynet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """Earlier versions passed copies of the held-out rows to ``fit``; the checkpoint records it."""
    train = ("train", "digits", "--layers", 8, "--epochs", 3, "--backend", "numpy", *options)
    straight = json.loads(anynet(*train, "--json", "--out", tmp_path / "straight").out)
    finish = progress.ProgressBar.finish

    def pressed(bar: Any, record: Any) -> None:
        finish(bar, record)
        if record.epoch == 2:
            raise KeyboardInterrupt

    def as_before(job: Job, **how: Any) -> Any:
        from anynet.training import fit

        with job._shown(silent=True) as bar:
            (data, validation), checkpoints = job._split_copies(), how["checkpoints"]
            about = {"metadata": job.dataset.metadata, "callbacks": [bar.finish]}
            about |= {"backend": job.backend, "checkpoint": checkpoints}
            return fit(data=data, validation=validation, **about, **job.arguments)

    with monkeypatch.context() as patched:
        patched.setattr(progress.ProgressBar, "finish", pressed)
        patched.setattr(Job, "train", as_before)
        out = tmp_path / "run"
        assert anynet(*train, "--checkpoint-every", 1, "--out", out).code == 130
    assert (out / CHECKPOINTS).is_dir()
    shutil.copytree(out, tmp_path / "copy")
    result = json.loads(anynet("resume", tmp_path / "copy", "--json").out)
    for name in ("test_accuracy", "validation_accuracy", "train_accuracy", "epochs"):
        assert result[name] == straight[name]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            "a maximum norm of the gradient (clip_norm)",
            "a maximum norm of the gradient (--clip-norm)",
        ),
        ("choose backend='numpy' or device=cuda:1", "choose --backend numpy or --device cuda:1"),
        ("use sampler='random'", "use --sampler random"),
        ("its clip_norm is None", "its --clip-norm is None"),
        ("column 'clip_norm' of data_dir/x.csv and data_dir.csv", None),
        ("validation must hold out at least 1", None),
        ("loss='huber' and image_shape=(8, 8)", None),
    ],
)
def test_parameter_names_in_messages_become_flags(message: str, shown: str | None) -> None:
    assert with_flags(message, {"sampler"}) == (shown or message)


def test_an_error_during_training_contains_the_flag(fails: Any, tmp_path: Path) -> None:
    diverging = ("--learning-rate", "1e38", "--schedule", "constant", "--backend", "numpy")
    message = fails("train", "digits", *diverging, "--json", "--out", tmp_path / "run")
    assert "--clip-norm" in message
    assert "clip_norm" not in message


@dataclass(frozen=True)
class Halving(Constant):
    """A user-defined schedule."""

    kind: ClassVar[str] = "half_rate"

    def __call__(self, step: Any, steps_per_epoch: int, *, backend: Any) -> Any:
        return super().__call__(step, steps_per_epoch, backend=backend) / 2


@dataclass(frozen=True)
class Own(SGD):
    """A user-defined optimizer."""

    kind: ClassVar[str] = "own_sgd"


def test_registered_user_defined_parts_are_choices(
    anynet: Any, fails: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ("--optimizer", "own_sgd", "--schedule", "half-rate", "--learning-rate", 0.2)
    train = ("train", "digits", "--layers", 8, "--epochs", 1, "--backend", "numpy", "--json")
    assert "own_sgd" in fails(*train, *own, "--out", tmp_path / "own", code=2)
    monkeypatch.setitem(OPTIMIZERS, Own.kind, Own)
    monkeypatch.setitem(SCHEDULES, Halving.kind, Halving)
    result = json.loads(anynet(*train, *own, "--out", tmp_path / "own").out)
    usual = ("--optimizer", "sgd", "--schedule", "constant", "--learning-rate", 0.1)
    expected = json.loads(anynet(*train, *usual, "--out", tmp_path / "usual").out)
    assert result["test_accuracy"] == expected["test_accuracy"]
    assert "own_sgd" in anynet("train", "--help").out
