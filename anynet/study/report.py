"""The report of a study, as Markdown with plots beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anynet.data.files import replacing
from anynet.errors import printable
from anynet.study import plots
from anynet.study.claims import REPORTED, judge
from anynet.study.results import Row, shown, words
from anynet.study.summary import Plan, Summary, choose, decimals, mean, spread, summarise

FILE = "report.md"

#: Maximum number of points in a table: the best are listed, all are in results.csv.
MOST_POINTS = 30


@dataclass(frozen=True)
class Setting:
    """The circumstances of a study that its report states.

    Attributes
    ----------
    name : str
        Name of the study.
    dataset : str
        Name of the data set.
    split : tuple of int
        Numbers of training, validation and test rows.
    fixed : dict
        The options that no experiment varies.
    machine : str
        Version, backend and device, as text.
    """

    name: str
    dataset: str
    split: tuple[int, int, int]
    fixed: Mapping[str, Any]
    machine: str


def write_report(
    folder: Path, setting: Setting, plans: Sequence[Plan], rows: Iterable[Row]
) -> Path:
    """Write ``report.md`` and the plots of all plans; return the path of the former."""
    rows = list(rows)
    found = {plan.experiment.name: summarise(plan, rows) for plan in plans}
    whole = setting.name == "report"
    dataset = setting.dataset
    setting = replace(setting, dataset=_literal(dataset))
    heading = "The report's experiments" if whole else plans[0].experiment.title
    parts = [f"# {heading} on {setting.dataset}", _introduction(setting, found)]
    if whole:
        parts += ["## Conclusions of the report, and measurements", _claims(found, setting)]
    for plan in plans:
        summaries = found[plan.experiment.name]
        if whole:
            parts.append(f"## {plan.experiment.title}")
        parts += _section(plan, summaries, folder, dataset)
    parts += ["## Method", _method(setting)]
    with replacing(folder / FILE) as file:
        file.write(("\n\n".join(parts) + "\n").encode(errors="backslashreplace"))
    return folder / FILE


def _introduction(setting: Setting, found: Mapping[str, Sequence[Summary]]) -> str:
    runs = {row.key: row for some in found.values() for each in some for row in each.rows}
    seeds = {row.seed for row in runs.values()}
    seconds = sum(row.seconds for row in runs.values())
    duration = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    return (
        f"{len(runs)} runs, {len(seeds)} seed{'s' if len(seeds) > 1 else ''} per point, "
        f"maximum of {setting.fixed['epochs']} epochs; {duration} of training. Numbers "
        f"are means over the seeds ± standard deviation. Points are selected by validation "
        f"accuracy; test accuracy is reported only for the selected point."
    )


def _literal(text: str) -> str:
    """Escape text for one line of Markdown, so that it forms no table, link, code or HTML."""
    return re.sub(r"([\\`*\[\]<>|&#~])", r"\\\1", printable(text))


def _section(plan: Plan, summaries: Sequence[Summary], folder: Path, dataset: str) -> list[str]:
    """Return the table, the chosen point and the plots of one experiment."""
    name, options = plan.experiment.name, plan.experiment.options
    chosen = choose(summaries)
    shown_first = list(summaries)
    if len(options) > 1:
        shown_first.sort(key=lambda summary: -mean(summary.values("validation_accuracy") or [-1]))
    parts = [_table(shown_first[:MOST_POINTS], options, REPORTED.get(name, {}), chosen)]
    if len(shown_first) > MOST_POINTS:
        parts.append(
            f"The best {MOST_POINTS} of {len(shown_first)} points; all are in results.csv."
        )
    parts.append(_chosen(chosen))
    finished = [summary for summary in shown_first[:MOST_POINTS] if summary.eligible]
    if finished:
        for what, (draw, caption) in plots.PLOTS.items():
            file = f"{name}-{what}.png"
            draw(folder / file, finished, f"{plan.experiment.title} on {dataset}")
            parts.append(f"![{plan.experiment.title}: {caption}]({file})")
    return parts


def _table(
    summaries: Sequence[Summary],
    options: Sequence[str],
    reported: Mapping[Any, str],
    chosen: Summary | None,
) -> str:
    names = [name.replace("_", " ") for name in options]
    header = [*names, "validation accuracy", "best epoch", "epochs", "seconds", "runs", "diverged"]
    if reported:
        header.append("the report")
    lines = [header, ["---"] * len(header)]
    for summary in summaries:
        strong = "**" if summary is chosen else ""
        cells = [_literal(shown(summary.point[name])) for name in options]
        cells.append(spread(summary.values("validation_accuracy")))
        cells = [f"{strong}{cell}{strong}" for cell in cells]
        cells += [
            f"{mean(summary.values('best_epoch')):.1f}",
            f"{mean(summary.values('epochs_run')):.1f}",
            _seconds(summary),
            str(len(summary.rows)),
            str(summary.diverged),
        ]
        if reported:
            cells.append(reported.get(tuple(summary.point.values()), "–"))
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _seconds(summary: Summary) -> str:
    """Write the mean of the seconds, and their deviation if each run was timed alone."""
    seconds = summary.values("seconds")
    digits = decimals(mean(seconds))
    return spread(seconds, digits) if summary.timed_alone else f"{mean(seconds):.{digits}f}"


def _chosen(chosen: Summary | None) -> str:
    if chosen is None:
        return "No point is selected: all have runs that diverged in the first epoch."
    return (
        f"Selected by validation accuracy: **{_literal(words(chosen.point))}**. Its test accuracy "
        f"is **{spread(chosen.values('test_accuracy'))}**."
    )


def _claims(found: Mapping[str, Sequence[Summary]], setting: Setting) -> str:
    lines = ["| the report | measured here | |", "| --- | --- | --- |"]
    for claim in judge(found, setting.fixed["epochs"]):
        lines.append(f"| {claim.reported} | {claim.measured} | {claim.verdict} |")
    note = (
        "A conclusion *agrees* or *disagrees* where the 95 % confidence interval of the mean "
        "difference, paired by seed, excludes zero (Student's t); otherwise the comparison is "
        "*inconclusive*. Seconds are compared only where each run was timed alone. The accuracies "
        "are those of the validation rows."
    )
    if setting.dataset != "mnist":
        note += f" The report used MNIST; this is {setting.dataset}."
    return "\n".join(lines) + "\n\n" + note


def _method(setting: Setting) -> str:
    training, validation, test = setting.split
    fixed = {name: value for name, value in setting.fixed.items() if value not in (None, False, 0)}
    return (
        f"Data set {setting.dataset}: {training:,} training rows, {validation:,} validation rows, "
        f"the same for all runs, and {test:,} test rows. Each run keeps the weights of its epoch "
        f"with the best validation accuracy. Seconds exclude validation; other processes on the "
        f"machine lengthen them. Those of runs that were trained as one population are equal "
        f"shares of one measurement and have no standard deviation.\n\n"
        f"Fixed options: {_literal(words(fixed))}.\n\n"
        f"Computed by {setting.machine}."
    )
