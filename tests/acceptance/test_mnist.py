"""Real MNIST, trained as the README says, against the numbers that anynet promises.

Needs MNIST's files in ANYNET_DATA_DIR or the cache; nothing is downloaded here.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import anynet
from anynet.cli import main

pytestmark = pytest.mark.slow

PROMISED = {"128,64": 0.978, "512,256": 0.980}


@pytest.fixture(scope="module", autouse=True)
def _mnist() -> None:
    try:
        anynet.load_dataset("mnist", download=False)
    except anynet.DataError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def accuracy(tmp_path_factory: pytest.TempPathFactory):
    """The official test accuracy of ``anynet train mnist``, each run trained once."""
    known: dict[tuple[str, str], float] = {}

    def train(layers: str, backend: str, capsys: pytest.CaptureFixture[str]) -> float:
        if (layers, backend) not in known:
            out = Path(tmp_path_factory.mktemp("runs")) / "run"
            arguments = ["--layers", layers, "--backend", backend, "--out", str(out), "--json"]
            assert main(["train", "mnist", *arguments]) == 0
            known[layers, backend] = json.loads(capsys.readouterr().out)["test_accuracy"]
        return known[layers, backend]

    return train


@pytest.mark.parametrize("layers", PROMISED)
def test_numpy_reaches_the_promised_accuracy(layers: str, accuracy, capsys) -> None:
    assert accuracy(layers, "numpy", capsys) >= PROMISED[layers]


@pytest.mark.parametrize("layers", PROMISED)
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_other_backends_are_within_three_thousandths(layers, backend, accuracy, capsys) -> None:
    pytest.importorskip(backend)
    difference = accuracy(layers, backend, capsys) - accuracy(layers, "numpy", capsys)
    assert abs(difference) <= 0.003
