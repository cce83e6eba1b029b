"""Checkpoints: a resumed run is bitwise equal to an uninterrupted run."""

from __future__ import annotations

import inspect
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from conftest import make_backend
from runs import curve, same, stop_at

import anynet
from anynet import tree
from anynet.augment import Affine
from anynet.backends import Backend
from anynet.data import subset
from anynet.optim import SGD, Adam, AdamW, Cosine, ReduceOnPlateau, RMSprop, Warmup
from anynet.training.checkpoint import folder as folders
from anynet.training.checkpoint.container import read_container, write_container
from anynet.training.checkpoint.folder import KEY

FIRST = "step-000000000000.safetensors"


@pytest.mark.parametrize("moment", [(1, 1), (2, 200), (3, 300)])
def test_a_resumed_run_equals_an_uninterrupted_run(
    backend: Backend, data, network, tmp_path: Path, moment: tuple[int, int]
) -> None:
    options = {
        "validation": 50,
        "batch_size": 32,
        "epochs": 4,
        "optimizer": Adam(),
        "learning_rate": Warmup(ReduceOnPlateau(0.01, patience=0), 2),
        "average": 0.9,
        "clip_norm": 1.0,
        "metadata": {"note": [1, "two"]},
        "backend": backend,
    }
    straight = anynet.fit(network, data, **options, progress=lambda _: None)
    with pytest.raises(anynet.TrainingInterrupted):
        anynet.fit(network, data, **options, checkpoint=tmp_path, progress=stop_at(*moment))
    same(straight, anynet.resume(tmp_path, data, backend=backend))


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": SGD(), "shuffle": False},
        {"optimizer": SGD(momentum=0.9, nesterov=True), "learning_rate": Cosine(0.1, epochs=3)},
        {"optimizer": RMSprop(weight_decay=0.01), "learning_rate": 0.003, "seed": 2**70},
        {"optimizer": AdamW(weight_decay=0.1), "patience": 1, "min_delta": 0.5, "validation": 0.2},
        {"augment": [Affine(halved=(1, 7)), "elastic", "erase", "noise", "mixup"]},
        {"loss": anynet.nn.CrossEntropy(0.1), "validation": 0.1, "target_accuracy": 0.2},
    ],
)
def test_resuming_from_any_checkpoint_gives_the_same_result(
    data, network, tmp_path: Path, options: dict[str, Any]
) -> None:
    whole = tmp_path / "whole"
    often = anynet.Checkpoints(whole, every="0.0000001min", keep=1000)
    straight = anynet.fit(
        network, data, epochs=3, batch_size=64, backend="numpy", checkpoint=often, **options
    )
    same(anynet.fit(network, data, epochs=3, batch_size=64, backend="numpy", **options), straight)
    written = sorted(whole.glob("step-*"))
    assert len(written) >= 5
    for number, path in enumerate(written):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / path.name).write_bytes(path.read_bytes())
        same(straight, anynet.resume(tmp_path / str(number), data))


def cuda(first: str, then: str) -> Any:
    return pytest.param(first, then, marks=pytest.mark.cuda)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("torch", "numpy"),
        ("jax", "numpy"),
        ("numpy", "torch"),
        ("numpy", "jax"),
        cuda("cupy", "numpy"),
        cuda("torch-cuda", "numpy"),
        cuda("jax-cuda", "numpy"),
        cuda("numpy", "cupy"),
        cuda("cupy", "torch-cuda"),
    ],
)
def test_a_run_resumes_on_another_backend(
    data, network, tmp_path: Path, first: str, then: str
) -> None:
    options = {"validation": 50, "epochs": 4, "optimizer": "adam", "learning_rate": 0.01}
    here, there = make_backend(first), make_backend(then)
    straight = anynet.fit(network, data, **options, backend=here)
    with pytest.raises(anynet.TrainingInterrupted):
        anynet.fit(
            network, data, **options, backend=here, checkpoint=tmp_path, progress=stop_at(2, 150)
        )
    finished = anynet.resume(tmp_path, data, backend=there)
    assert finished.backend is there
    losses = [[record[2] for record in curve(model)] for model in (straight, finished)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    for a, b in zip(tree.leaves(straight.params), tree.leaves(finished.params), strict=True):
        np.testing.assert_allclose(here.to_host(a), there.to_host(b), rtol=1e-3, atol=1e-5)


def test_a_float64_regression_with_sample_weights_resumes(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    x = rng.normal(size=(90, 5))
    data = x, x @ rng.normal(size=(5, 2)), rng.uniform(0.5, 2, size=90)
    network = anynet.mlp([5, 7, 2], layer_norm=True, activation="tanh")
    options = {"validation": (x[:9], data[1][:9]), "epochs": 3, "learning_rate": 0.01}
    backend = anynet.get_backend("numpy", dtype="float64")
    straight = anynet.fit(network, data, **options, backend=backend)
    with pytest.raises(anynet.TrainingInterrupted):
        anynet.fit(
            network, data, **options, backend=backend, checkpoint=tmp_path, progress=stop_at(3, 30)
        )
    with pytest.raises(anynet.InvalidArgumentError, match="validation arrays"):
        anynet.resume(tmp_path, data)
    again = anynet.resume(tmp_path, data, validation=options["validation"])
    same(straight, again)
    assert again.backend.dtype == "float64"


def test_number_and_interval_of_checkpoints(data, network, tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def look(_: Any) -> None:
        seen.append(sorted(path.name for path in tmp_path.glob("step-*")))

    policy = anynet.Checkpoints(tmp_path, every=2, keep=2)
    options = {"batch_size": 100, "epochs": 7, "backend": "numpy", "callbacks": look}
    anynet.fit(network, data, checkpoint=policy, **options)
    names = [f"step-{3 * epoch:012d}.safetensors" for epoch in range(8)]
    assert (
        seen
        == [
            names[:1],  # the checkpoint at the start
            names[:1],
            [names[0], names[2]],
            [names[0], names[2]],
            [names[2], names[4]],
            [names[2], names[4]],
            [names[4], names[6]],
        ]
    )
    look(None)
    assert seen[-1] == [names[6], names[7]]  # the final checkpoint always exists
    assert {path.name for path in tmp_path.iterdir()} == {"lock", names[6], names[7]}


def test_time_intervals_apply_within_an_epoch(
    data, network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count(step=20)  # seconds, one tick per reading
    monkeypatch.setattr(folders.time, "monotonic", lambda: float(next(clock)))
    policy = anynet.Checkpoints(tmp_path, every="1.5min", keep=100)
    anynet.fit(network, data, batch_size=10, epochs=1, backend="numpy", checkpoint=policy)
    steps = [int(path.stem[5:]) for path in sorted(tmp_path.glob("step-*"))]
    # each write, and every fifth of the readings, which occur every two steps
    assert steps == [0, 10, 20, 30]


def test_resume_with_more_epochs_extends_the_run(data, network, tmp_path: Path) -> None:
    options = {"validation": 50, "batch_size": 32, "backend": "numpy", "patience": None}
    anynet.fit(network, data, epochs=2, checkpoint=tmp_path, **options)
    with pytest.raises(anynet.InvalidArgumentError, match="done 2 epochs already"):
        anynet.resume(tmp_path, data, epochs=1)
    longer = anynet.resume(tmp_path, data, epochs=4)
    same(anynet.fit(network, data, epochs=4, **options), longer)
    same(longer, anynet.resume(tmp_path, data))  # a finished run is returned unchanged
    with pytest.raises(anynet.TrainingInterrupted):
        anynet.resume(tmp_path, data, epochs=8, progress=stop_at(6, 1))
    same(anynet.fit(network, data, epochs=8, **options), anynet.resume(tmp_path, data))


def test_a_run_that_stopped_early_is_not_continued(data, network, tmp_path: Path) -> None:
    options = {"validation": 50, "patience": 1, "min_delta": 0.9, "backend": "numpy"}
    model = anynet.fit(network, data, checkpoint=tmp_path, **options)
    assert "has not risen" in model.history.stopped
    same(model, anynet.resume(tmp_path, data, epochs=50))


@dataclass(frozen=True)
class Halving:
    """A user-defined schedule."""

    kind: ClassVar[str] = "constant"  # even with a name that anynet uses

    learning_rate: float = 0.1

    def __call__(self, step: Any, steps_per_epoch: int, *, backend: Backend) -> Any:
        return self.learning_rate * 0.5 ** backend.xp.astype(
            step // steps_per_epoch, backend.float_dtype
        )


def test_user_defined_parts_must_be_passed_to_resume(data, network, tmp_path: Path) -> None:
    options = {"learning_rate": Halving(), "epochs": 4, "backend": "numpy"}
    straight = anynet.fit(network, data, **options)
    with pytest.raises(anynet.TrainingInterrupted):
        anynet.fit(network, data, **options, checkpoint=tmp_path, progress=stop_at(2, 1))
    with pytest.raises(anynet.CheckpointError, match=r"Halving: give it again.*learning_rate="):
        anynet.resume(tmp_path, data)
    same(straight, anynet.resume(tmp_path, data, learning_rate=Halving()))


def test_resume_with_different_data_raises(data, network, tmp_path: Path) -> None:
    x, y = data
    anynet.fit(network, data, validation=30, epochs=1, backend="numpy", checkpoint=tmp_path)
    changed = x.copy()
    changed[7, 20] += 1
    swapped = y.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    assert y[0] != y[1]
    for other in ((changed, y), (x, swapped), (x[:-1], y[:-1])):
        with pytest.raises(anynet.CheckpointError, match="data differ") as caught:
            anynet.resume(tmp_path, other, epochs=2)
        assert ("of other values" in str(caught.value)) == (len(other[1]) == len(y))
    with pytest.raises(anynet.CheckpointError, match="data differ"):
        anynet.resume(tmp_path, (x, y, np.full(len(y), 0.5)), epochs=2)
    assert anynet.resume(tmp_path, (x.astype(np.float64), list(y)), epochs=2)  # equal values


@pytest.mark.parametrize("shuffle", ["exact", "blocks"])
def test_runs_on_sources_resume_and_check_their_data(
    data, network, tmp_path: Path, shuffle: str
) -> None:
    np.save(tmp_path / "x.npy", data[0].astype(np.float32))
    np.save(tmp_path / "y.npy", data[1])

    def opened(**options: Any) -> anynet.data.Source:
        return anynet.open_source(tmp_path, **{"shuffle": shuffle, "window": 20_000} | options)

    options = {"epochs": 3, "batch_size": 32, "validation": 50, "backend": "numpy"}
    straight = anynet.fit(network, opened(), **options)
    run = tmp_path / "run"
    with pytest.raises(anynet.TrainingInterrupted):
        anynet.fit(network, opened(), **options, checkpoint=run, progress=stop_at(2, 100))
    same(straight, anynet.resume(run, opened()))
    if shuffle == "blocks":
        with pytest.raises(anynet.CheckpointError, match=r"shuffle and .*window"):
            anynet.resume(run, opened(window=5_000))
    changed = data[0].astype(np.float32)
    changed[100] += 1
    np.save(tmp_path / "x.npy", changed)
    with pytest.raises(anynet.CheckpointError, match="of other values"):
        anynet.resume(run, opened())


def test_the_fingerprint_samples_large_inputs_and_reads_all_targets(
    data, network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subset, "SAMPLED_BYTES", 10 * data[0][0].nbytes)
    anynet.fit(network, data, epochs=1, backend="numpy", checkpoint=tmp_path)
    changed = data[0].copy()
    changed[-1] += 1
    with pytest.raises(anynet.CheckpointError, match="of other values"):
        anynet.resume(tmp_path, (changed, data[1]), epochs=2)


def test_checkpoints_contain_every_argument_of_fit_that_affects_the_results(
    data, network, tmp_path: Path
) -> None:
    """The other arguments are passed to resume; the weights of ``start`` are in the state."""
    given = {"data", "backend", "resident", "callbacks", "progress", "checkpoint", "start"}
    given |= {"device", "dtype"}  # part of the backend, which has its own entry
    given |= {"parallel"}  # a run may continue on another number of processes
    anynet.fit(network, data, epochs=1, backend="numpy", checkpoint=tmp_path)
    content = read_container(next(tmp_path.glob("step-*")), KEY, "checkpoint").content
    assert {*inspect.signature(anynet.fit).parameters} - given == {*content["arguments"]}


def test_checkpoints_of_earlier_versions_resume(tmp_path: Path) -> None:
    """Missing options and history columns, which were added later, get their defaults."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(40, 3)), rng.integers(0, 2, 40)
    options: dict[str, Any] = {"validation": 8, "backend": "numpy"}
    network = anynet.mlp([3, 4, 2])
    straight = anynet.fit(network, data, epochs=4, **options)
    anynet.fit(network, data, epochs=2, checkpoint=tmp_path, **options)
    for path in tmp_path.glob("*.safetensors"):
        found = read_container(path, KEY, "checkpoint")
        content = json.loads(json.dumps(found.content))
        for name in ("class_weight", "scoring", "momentum", "dropout"):
            del content["arguments"][name]
        for name in ("scoring", "stop_reason"):
            del content["history"][name]
        for record in content["history"]["records"]:
            assert record.pop() is None
        write_container(path, KEY, found._replace(content=content), checksum=True)
    resumed = anynet.resume(tmp_path, data, epochs=4)
    for mine, theirs in zip(tree.leaves(resumed.params), tree.leaves(straight.params), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    "option", [{"learning_rate": 0.5}, {"optimizer": "adam"}, {"loss": "squared_error"}]
)
def test_a_run_does_not_continue_with_other_options(tmp_path, option: dict[str, Any]) -> None:
    data = np.zeros((6, 3), dtype=np.float32), np.array([0, 1, 0, 1, 0, 1])
    anynet.fit(anynet.mlp([3, 2]), data, epochs=1, backend="numpy", checkpoint=tmp_path)
    ((name, value),) = option.items()
    with pytest.raises(anynet.InvalidArgumentError, match=name) as caught:
        anynet.resume(tmp_path, data, epochs=2, **option)
    assert repr(value) in str(caught.value)
