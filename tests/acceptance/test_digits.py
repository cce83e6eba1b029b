"""The first run of a newcomer, against scikit-learn's own classifier on the same rows."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from anynet.cli import main

pytestmark = pytest.mark.slow

PROMISED = 0.965


def test_the_digits_reach_the_promised_accuracy(tmp_path: Path, capsys) -> None:
    pytest.importorskip("sklearn")
    reached = []
    for seed in range(5):
        out = str(tmp_path / str(seed))
        assert main(["train", "digits", "--seed", str(seed), "--out", out, "--json"]) == 0
        reached.append(json.loads(capsys.readouterr().out)["test_accuracy"])
    assert statistics.mean(reached) >= PROMISED
