"""Real MNIST, trained as in the README, compared with the documented accuracies.

Needs MNIST's files in ANYNET_DATA_DIR or the cache; nothing is downloaded here.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

import anynet
from anynet.cli import main

pytestmark = pytest.mark.slow

PROMISED = {"128,64": 0.978, "512,256": 0.980}
SEEDS = range(5)  # the rounding of another machine's BLAS changes one seed's accuracy by 0.001


@pytest.fixture(scope="module", autouse=True)
def _mnist() -> None:
    try:
        anynet.load_dataset("mnist", download=False)
    except anynet.DataError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def accuracy(tmp_path_factory: pytest.TempPathFactory):
    """Return the official test accuracy of ``anynet train mnist``; each run is trained once."""
    known: dict[tuple[str, str, int], float] = {}

    def train(layers: str, backend: str, capsys: Any, seed: int = 0) -> float:
        key = layers, backend, seed
        if key not in known:
            out = Path(tmp_path_factory.mktemp("runs")) / "run"
            options = ["--layers", layers, "--backend", backend, "--seed", str(seed)]
            assert main(["train", "mnist", *options, "--out", str(out), "--json"]) == 0
            known[key] = json.loads(capsys.readouterr().out)["test_accuracy"]
        return known[key]

    return train


@pytest.mark.parametrize(
    "layers",
    [pytest.param(layers, marks=pytest.mark.xdist_group(layers)) for layers in PROMISED],
)
def test_numpy_reaches_the_documented_accuracy(layers: str, accuracy, capsys) -> None:
    reached = statistics.mean(accuracy(layers, "numpy", capsys, seed) for seed in SEEDS)
    assert round(reached, 3) >= PROMISED[layers]


@pytest.mark.xdist_group("128,64")  # the other worker trains the large networks of NumPy
@pytest.mark.parametrize("layers", PROMISED)
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_other_backends_are_within_0_003_of_numpy(layers, backend, accuracy, capsys) -> None:
    pytest.importorskip(backend)
    difference = accuracy(layers, backend, capsys) - accuracy(layers, "numpy", capsys)
    assert abs(difference) <= 0.003
