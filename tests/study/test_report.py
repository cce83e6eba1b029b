"""Study reports: statistics, selection by validation scores only, correct conclusions."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anynet.study import EXPERIMENTS, Experiment
from anynet.study.claims import AGREES, COMPARISONS, DISAGREES, OPEN, judge, largest_drop, verdict
from anynet.study.report import Setting, write_report
from anynet.study.summary import Plan, Summary, choose, decimals, deviation, spread, summarise


def setting(name: str, **fixed: object) -> Setting:
    fixed = {"epochs": 2, "learning_rate": 0.1, "clip_norm": None, **fixed}
    return Setting(name, "digits", (300, 100, 50), fixed, "anynet with numpy on cpu")


def plan_of(experiment: Experiment) -> Plan:
    options = [
        {name: list(v) if isinstance(v, tuple) else v for name, v in point.items()}
        for point in experiment.points
    ]
    return Plan(experiment, tuple(options))


def test_statistics_of_a_point() -> None:
    assert spread([0.5, 0.7]) == "0.6000 ± 0.1414"
    assert spread([0.5]) == "0.5000"
    assert spread([]) == "–"
    values = np.random.default_rng(0).random(9).tolist()
    assert deviation(values) == pytest.approx(np.sqrt(np.var(values) * 9 / 8))
    assert [decimals(x) for x in (123, 27.3, 4.5, 0.02, 0)] == [0, 1, 2, 4, 2]


def test_points_contain_the_rows_of_their_options(row) -> None:
    experiment = Experiment("x", "X", ({"layers": (8,)}, {"layers": (16,)}))
    rows = [
        row(1, 0.5),
        row(0, 0.25),
        row(0, 0.75, options={"layers": [16]}),
        row(0, 1.0, options={"layers": [8], "decay": 0.5}),
    ]
    first, second = summarise(plan_of(experiment), rows)
    assert [each.seed for each in first.rows] == [0, 1]
    assert first.values("validation_accuracy") == [0.25, 0.5]
    assert second.rows == (rows[2],)


def test_only_validation_scores_select_the_point(row) -> None:
    better = Summary({"decay": 0.9}, (row(0, 0.8, test_accuracy=0.1), row(1, 0.6)))
    worse = Summary({"decay": 1.0}, (row(0, 0.69, test_accuracy=1.0),))
    assert choose([worse, better]) is better
    # The first of equal points.
    assert choose([better, Summary({"decay": 1.0}, (row(0, 0.7),))]) is better


def test_a_point_that_diverged_immediately_is_not_selected(row) -> None:
    lucky = Summary({"decay": 0.9}, (row(0, 0.99), row(1, None)))
    steady = Summary({"decay": 1.0}, (row(0, 0.5), row(1, 0.5)))
    assert choose([lucky, steady]) is steady
    assert choose([lucky]) is None
    assert choose([Summary({"decay": 1.0}, ())]) is None


def test_verdicts_follow_the_confidence_interval() -> None:
    assert verdict([0.01, 0.012, 0.011]) == AGREES
    assert verdict([-0.01, -0.012, -0.011]) == DISAGREES
    assert verdict([0.01, -0.012, 0.011]) == OPEN
    assert verdict([0.01]) == OPEN
    # Student's t for two seeds is 12.7: 2 ± 0.1414 · 12.7 / √2 excludes zero, 1 ± … does not.
    assert verdict([2.1, 1.9]) == AGREES
    assert verdict([1.1, 0.9]) == OPEN


def test_verdicts_have_the_stated_error_rate() -> None:
    draws = np.random.default_rng(0).normal(size=(4000, 5))
    wrong = np.mean([verdict(list(draw)) != OPEN for draw in draws])
    assert wrong == pytest.approx(0.05, abs=0.01)


def test_the_largest_drop_of_a_curve(row) -> None:
    assert largest_drop(row(curve=[0.5, 0.9, 0.6, 0.7])) == pytest.approx(0.3)
    assert largest_drop(row(curve=[0.5, 0.6])) == 0
    assert largest_drop(row(curve=[0.5])) is None
    assert largest_drop(row(0, None)) == 1


def made_up(row, seeds: int, accuracy) -> tuple[list[Plan], list]:
    """Return all five experiments, with `accuracy(name, position, seed)` for each run."""
    plans, rows = [], []
    for name, experiment in EXPERIMENTS.items():
        plan = plan_of(experiment)
        plans.append(plan)
        for position, options in enumerate(plan.options):
            rows += [
                row(seed, accuracy(name, position, seed), options=options, epochs_run=2)
                for seed in range(seeds)
            ]
    return plans, rows


def test_conclusions_follow_the_numbers(row) -> None:
    noise = np.random.default_rng(0).normal(0, 1e-4, 5)
    for sign, expected in ((1, AGREES), (-1, DISAGREES)):
        plans, rows = made_up(
            row, 5, lambda _, at, seed, s=sign: 0.5 + s * 0.01 * at + noise[seed] * at
        )
        # Width and depth share a point, so each experiment has its own rows.
        found = {
            plan.experiment.name: [
                Summary(point, tuple(r for r in rows[5 * at : 5 * at + 5]))
                for at, point in enumerate(plan.experiment.points, start)
            ]
            for plan, start in zip(plans, (0, 3, 9, 15, 19), strict=True)
        }
        claims = {claim.reported: claim for claim in judge(found, 15)}
        assert len(claims) == len(COMPARISONS) + 3
        for part in ("Three hidden", "Width helps", "A learning rate of 0.1"):
            (claim,) = (claims[text] for text in claims if text.startswith(part))
            assert claim.verdict == expected, claim
        (decay,) = (claims[text] for text in claims if text.startswith("Decay helps"))
        assert decay.verdict != expected  # smaller decay comes later in the list
        assert f"difference {sign * 0.02:+.2f}" in claims[next(iter(claims))].measured
        assert any("115 of 115 runs ended before epoch 15" in c.measured for c in claims.values())


def test_the_report_of_all_five_experiments(tmp_path: Path, row) -> None:
    plans, rows = made_up(row, 2, lambda _, at, seed: 0.5 + 0.01 * at + 0.001 * seed)
    path = write_report(tmp_path, setting("report"), plans, rows)
    text = path.read_text()
    assert text.startswith("# The report's experiments on digits\n")
    assert "The report used MNIST; this is digits." in text
    for experiment in EXPERIMENTS.values():
        assert f"\n## {experiment.title}\n" in text
    images = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert len(images) == len(set(images)) == 15
    for name in images:
        with Image.open(tmp_path / name) as image:
            assert min(image.size) > 400
    assert text.count("Its test accuracy is") == 5  # of the selected points only
    assert "0.9898 in 29.02 s" in text
    assert {p.name for p in tmp_path.iterdir()} == {*images, "report.md"}


def test_the_table_of_one_experiment(tmp_path: Path, row) -> None:
    experiment = EXPERIMENTS["decay"]
    plan = plan_of(experiment)
    rows = [
        row(seed, 0.5 + 0.1 * (options["decay"] == 0.95) + 0.2 * seed, options=options)
        for options in plan.options
        for seed in (0, 1)
    ]
    text = write_report(tmp_path, setting("decay"), [plan], rows).read_text()
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert lines[0][0] == "| decay"
    assert [line[0].strip("| ") for line in lines[2:]] == ["0.9", "0.93", "**0.95**", "0.98", "1"]
    assert lines[2][1] == "0.6000 ± 0.1414"
    assert lines[4][1] == "**0.7000 ± 0.1414**"
    assert "**decay 0.95**. Its test accuracy is **0.7000 ± 0.1414**." in text
    assert "the report |" not in lines[0]


def test_a_study_with_only_failures_has_a_report(tmp_path: Path, row) -> None:
    experiment = Experiment("grid", "Grid", ({"layers": (8,), "decay": 1.0},))
    plan = plan_of(experiment)
    rows = [row(0, None, options=plan.options[0])]
    text = write_report(tmp_path, setting("grid"), [plan], rows).read_text()
    assert "No point is selected" in text
    assert "nan" not in text.lower()
    assert [p.name for p in tmp_path.iterdir()] == ["report.md"]


def test_a_long_table_is_truncated(tmp_path: Path, row) -> None:
    points = tuple({"layers": (8,), "learning_rate": 0.01 * (1 + n)} for n in range(40))
    plan = plan_of(Experiment("grid", "Grid", points))
    rows = [row(0, 0.5 + n / 100, options=options) for n, options in enumerate(plan.options)]
    text = write_report(tmp_path, setting("grid"), [plan], rows).read_text()
    assert "The best 30 of 40 points" in text
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 32
    assert "**0.4**" in text


def test_seconds_have_a_deviation_only_if_runs_were_timed_individually(tmp_path: Path, row) -> None:
    """Runs of one population share one measurement, so their equal shares have no deviation."""
    plan = plan_of(EXPERIMENTS["decay"])
    cells = {}
    for together in (1, 2, None):
        rows = [
            row(seed, 0.5, seconds=2.0 + seed, options=options, trained_together=together)
            for options in plan.options
            for seed in (0, 1)
        ]
        text = write_report(tmp_path, setting("decay"), [plan], rows).read_text()
        lines = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
        cells[together] = lines[2][lines[0].index("seconds")]
    assert cells[1] == "2.50 ± 0.71"
    assert cells[2] == cells[None] == "2.50"


@pytest.mark.parametrize(("together", "verdict"), [(1, AGREES), (5, OPEN)])
def test_a_verdict_on_time_requires_individual_times(row, together: int, verdict: str) -> None:
    plan = plan_of(EXPERIMENTS["depth"])
    rows = [
        row(seed, 0.5, seconds=seconds + 0.01 * seed, options=options, trained_together=together)
        for options, seconds in zip(plan.options, (1.0, 2.0, 4.0), strict=True)
        for seed in range(5)
    ]
    comparison = next(each for each in COMPARISONS if each.reported == "Depth costs time")
    claim = comparison.judge({"depth": summarise(plan, rows)})
    assert claim.verdict == verdict
    assert ("±" in claim.measured) == (together == 1)
