"""``bench.population``: all contenders do the same job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import population
from bench.worker import load_factory

JOB = population.PopulationJob("population", (784, 16, 10), 32, samples=300, epochs=2, members=3)
EXPECTED = "anynet one by one"


@pytest.mark.parametrize("name", [name for name in population.CONTENDERS if name != EXPECTED])
def test_member_losses_match_single_runs(name: str) -> None:
    for library in ("jax", "torch"):
        if library in name.lower():
            pytest.importorskip(library)
    reference = load_factory(population.CONTENDERS[EXPECTED])(JOB, "cpu").run()
    contender = load_factory(population.CONTENDERS[name])(JOB, "cpu")
    tolerance = contender.notes()["tolerance"]
    assert contender.run() == pytest.approx(reference, rel=tolerance)
    # Each run starts from the initial weights.
    assert contender.run() == pytest.approx(reference, rel=tolerance)


def test_the_command_writes_its_results(tmp_path: Path) -> None:
    chosen = ["anynet one by one", "anynet population"]
    options = ["--members", "2", "--samples", "320", "--rounds", "1", "--out", str(tmp_path)]
    assert population.main([*options, "--contenders", *chosen]) == 0
    rows = [json.loads(line) for line in (tmp_path / "population.jsonl").read_text().splitlines()]
    assert {row["contender"] for row in rows} == set(chosen)
    assert all(row["members"] == 2 and row["agrees"] for row in rows)
    assert "us_per_member_and_step" in (tmp_path / "population.md").read_text()
    assert (tmp_path / "population.png").exists()
