"""The first run of the README, compared with scikit-learn's MLPClassifier on the same rows."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from anynet.cli import main

pytestmark = pytest.mark.slow

PROMISED = 0.965


def test_digits_reach_the_documented_accuracy(tmp_path: Path, capsys) -> None:
    pytest.importorskip("sklearn")
    reached = []
    for seed in range(5):
        out = str(tmp_path / str(seed))
        assert main(["train", "digits", "--seed", str(seed), "--out", out, "--json"]) == 0
        reached.append(json.loads(capsys.readouterr().out)["test_accuracy"])
    assert statistics.mean(reached) >= PROMISED
