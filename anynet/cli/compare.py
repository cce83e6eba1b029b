"""``anynet compare RUN RUN …``: what differs between runs, and whether it is more than chance."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anynet.cli import kinds
from anynet.cli.contenders import Contender, find_runs, load_contenders
from anynet.cli.options import TrainOptions, add_json, add_options, add_value
from anynet.cli.records import STUDY_FILE
from anynet.cli.runs import refuse_existing
from anynet.cli.terminal import say, say_json, say_text, table
from anynet.cli.value_report import ValueReport
from anynet.inspect import Comparison, compare_predictions
from anynet.study.results import shown

#: Options that say where a run was trained, and not how.
PLACES = ("data-dir", "threads", "checkpoint-every", "device")

#: Text of a value that is not recorded.
NONE = "–"

CAVEAT = (
    "The test concerns these trained networks; anynet study compares options over several seeds."
)


@dataclass(frozen=True)
class Group:
    """Runs that were scored on the same rows, and the comparisons of each pair of them."""

    contenders: list[Contender]
    pairs: list[Comparison]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Print which options of runs differ, their scores, and a paired test on their common test "
        "rows: McNemar's test for classes, the bootstrap for values. A folder of runs, or that of "
        "a study, stands for all of its runs."
    )
    run = kinds.path("a run folder, a model file, or a folder of runs")
    what = "run folders or model files; or one folder of runs, or of a study"
    add_value(parser, "runs", run, metavar="RUN", nargs="+", help=what)
    what = "data set or table to compare on (default: the test rows of each run)"
    add_value(parser, "--data", kinds.text("a data set"), metavar="DATASET", help=what)
    what = "PNG file for the learning curves; existing files are not overwritten"
    add_value(parser, "--out", kinds.FILE, metavar="FILE", help=what)
    add_options(parser, "data_dir", "backend", "device", suppress=False)
    add_json(parser, "one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Print the comparison, and draw the learning curves if asked to."""
    if arguments.out is not None:
        refuse_existing(arguments.out)
    paths: list[Path] = arguments.runs
    if len(paths) == 1 and (paths[0] / STUDY_FILE).is_file():
        from anynet.cli.compare_study import run_study

        return run_study(paths[0], arguments)
    contenders = load_contenders(find_runs(paths), arguments)
    groups = compared(contenders)
    if arguments.out is not None:
        from anynet.cli.inspect_plots import save_learning_curves

        curves = {each.name: each.record.curve for each in contenders}
        datasets = {str(each.record.dataset) for each in contenders}
        title = f"{Path(*datasets).name}: " if len(datasets) == 1 else ""
        save_learning_curves(arguments.out, curves, f"{title}{len(contenders)} runs")
    if arguments.json:
        say_json(as_json(contenders, groups))
        return 0
    say("options that differ")
    say_text(_options_table(contenders))
    say("", "scores")
    say_text(_scores_table(contenders))
    say("", *verdicts(contenders, groups))
    if arguments.out is not None:
        say("", f"{arguments.out}: learning curves")
    return 0


def compared(contenders: Sequence[Contender]) -> list[Group]:
    """Compare the runs that were scored on the same rows."""
    by_rows: dict[str, list[Contender]] = {}
    for each in contenders:
        if each.answers is not None:
            by_rows.setdefault(each.answers.key, []).append(each)
    groups = []
    for some in by_rows.values():
        answers = [each.answers for each in some if each.answers is not None]
        predicted = [each.predicted for each in answers]
        true, task = answers[0].true, answers[0].task
        enough = len(some) > 1 and len(true) and (task == "classes" or np.ptp(true) > 0)
        pairs = compare_predictions(true, predicted, task=task) if enough else []
        groups.append(Group(some, pairs))
    return groups


def differing_options(contenders: Sequence[Contender]) -> dict[str, list[Any]]:
    """Return the values of the options that differ, for each run; None where it has none.

    An option that a run has not recorded does not differ from its default, or from 0.
    """
    options = [each.record.options for each in contenders]
    found = {}
    for name in dict.fromkeys(name for some in options for name in some if name not in PLACES):
        values = [some.get(name) for some in options]
        default = vars(TrainOptions()).get(name.replace("-", "_"))
        usual = list(default) if isinstance(default, tuple) else default
        given = [(usual if value is None else value) or None for value in values]
        if any(value != given[0] for value in given):
            found[name] = values
    return found


def _options_table(contenders: Sequence[Contender]) -> str:
    found = differing_options(contenders)
    if not found:
        return "  none that is recorded"
    rows = [["  run", *(each.name for each in contenders)]]
    for name, values in found.items():
        cells = [NONE if value is None else shown(value) for value in values]
        rows.append([f"  {name.replace('-', ' ')}", *cells])
    if len(found) < len(contenders):
        rows = [list(row) for row in zip(*rows, strict=True)]
        rows = [[f"  {row[0].strip()}", *(cell.strip() for cell in row[1:])] for row in rows]
    return table(rows, left=len(rows[0]))


def measures_of(contender: Contender) -> dict[str, float]:
    """Return the test scores of a run: on its test rows, otherwise as it has recorded them."""
    answers = contender.answers
    if answers is None or not len(answers.true):
        names = {"test_accuracy": "accuracy", "test_r2": "R²", "test_mae": "MAE"}
        about = contender.record.about
        return {names[name]: about[name] for name in names if isinstance(about.get(name), float)}
    if answers.task == "classes":
        return {"accuracy": float((answers.true == answers.predicted).mean())}
    report = ValueReport(answers.true, answers.predicted, "")
    return {"R²": report.score, "MAE": report.measures()["mae"]}


def _scores_table(contenders: Sequence[Contender]) -> str:
    measures = [measures_of(each) for each in contenders]
    names = list(dict.fromkeys(name for some in measures for name in some))
    head = ["  run", *(f"test {name}" for name in names), "validation", "epochs", "seconds"]
    rows = [[*head, "networks", "parameters"]]
    for each, some in zip(contenders, measures, strict=True):
        record = each.record
        validation = record.about.get("validation_accuracy", record.about.get("validation_r2"))
        cells = [_number(some.get(name)) for name in names]
        cells += [_number(validation), NONE if record.n_epochs is None else str(record.n_epochs)]
        cells.append(NONE if record.seconds is None else f"{record.seconds:.3g}")
        cells += [str(len(record.networks)), f"{record.n_parameters:,}"]
        rows.append([f"  {each.name}", *cells])
    return table(rows)


def _number(value: Any) -> str:
    if not isinstance(value, int | float):
        return NONE
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.6g}"


def verdicts(contenders: Sequence[Contender], groups: Sequence[Group]) -> list[str]:
    """Return sentences: which run is better than which, or that the comparison is inconclusive."""
    lines = [f"no test for {each.name}: {each.reason}" for each in contenders if each.reason]
    if len(groups) > 1:
        parts = [
            f"{', '.join(each.name for each in group.contenders)} on {_rows(group)}"
            for group in groups
        ]
        lines.append(f"no test between runs with different test rows: {'; '.join(parts)}")
    for group in (group for group in groups if group.pairs):
        count = len(group.pairs)
        adjusted = f", p-values adjusted for {count} comparisons by Holm's method"
        lines.append(f"{_rows(group)}; 95 % intervals{adjusted if count > 1 else ''}")
        lines += [f"  {sentence(group, pair)}" for pair in with_best(group)]
    return [*lines, CAVEAT] if any(group.pairs for group in groups) else lines


def _rows(group: Group) -> str:
    answers = group.contenders[0].answers
    return answers.rows if answers is not None else NONE


def with_best(group: Group) -> list[Comparison]:
    """Return the comparisons of the best run with each other one, the second best first."""
    scores = [next(iter(measures_of(each).values())) for each in group.contenders]
    order = sorted(range(len(scores)), key=lambda at: -scores[at])
    pairs = {frozenset((pair.first, pair.second)): pair for pair in group.pairs}
    return [pairs[frozenset((order[0], other))] for other in order[1:]]


def sentence(group: Group, pair: Comparison) -> str:
    """Return the result of a comparison in words, the better run first."""
    better, other, sign = pair.second, pair.first, 1
    if pair.difference < 0:
        better, other, sign = pair.first, pair.second, -1
    names = [group.contenders[at].name for at in (better, other)]
    found = [measures_of(group.contenders[at]) for at in (better, other)]
    difference = f"{abs(pair.difference):.4f}"
    low, high = sorted([sign * pair.low, sign * pair.high])
    scores = [
        f"{name} {_number(found[0][name])} against {_number(found[1][name])}" for name in found[0]
    ]
    scores.insert(1, f"difference {difference} [{low:.4f}, {high:.4f}]")
    test = "McNemar mid-p" if pair.mcnemar is not None else "bootstrap p"
    if pair.mcnemar is not None and not pair.mcnemar.only_first + pair.mcnemar.only_second:
        return f"inconclusive: {names[0]} and {names[1]} are right on the same rows"
    how = f"{names[0]} is better than {names[1]}"
    if not pair.decided:
        how = f"inconclusive: {names[0]} and {names[1]}"
    return f"{how}: {', '.join(scores)}, {test} {shown_p(pair.p_holm)}"


def shown_p(p: float) -> str:
    """Return a p-value with its relation, "= 0.0123" or "< 0.0001"."""
    return "< 0.0001" if p < 1e-4 else f"= {p:.4f}"


def as_json(contenders: Sequence[Contender], groups: Sequence[Group]) -> dict[str, Any]:
    """Return everything in types of JSON."""
    differing = differing_options(contenders)
    runs = [
        {
            "name": each.name,
            "path": str(each.record.path),
            "options": {name: values[at] for name, values in differing.items()},
            "scores": measures_of(each),
            "about": each.record.about,
            "parameters": each.record.n_parameters,
            "rows": None if each.answers is None else each.answers.rows,
            "reason": each.reason or None,
            "curve": each.record.curve,
        }
        for at, each in enumerate(contenders)
    ]
    tests = [
        {
            "first": group.contenders[pair.first].name,
            "second": group.contenders[pair.second].name,
            "rows": _rows(group),
            "difference": pair.difference,
            "interval": [pair.low, pair.high],
            "p": pair.p,
            "p_holm": pair.p_holm,
            "decided": pair.decided,
            "mcnemar": None if pair.mcnemar is None else pair.mcnemar._asdict(),
        }
        for group in groups
        for pair in group.pairs
    ]
    return {"runs": runs, "tests": tests}
