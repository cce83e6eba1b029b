"""``anynet compare STUDY``: the points of a study, of which each has several seeds."""

import argparse
import math
from pathlib import Path
from typing import Any

from anynet.cli.compare import shown_p
from anynet.cli.terminal import say, say_json, say_text, table
from anynet.errors import InvalidArgumentError
from anynet.study.paired import PointComparison, compare_with_chosen, summarise_rows
from anynet.study.results import read_study, words
from anynet.study.summary import Summary, mean, spread

FIGURES = ("validation_accuracy", "test_accuracy", "best_epoch", "seconds")


def run_study(folder: Path, arguments: argparse.Namespace) -> int:
    """Print the points of a study and their comparisons, and draw the curves if asked to.

    Raises
    ------
    InvalidArgumentError
        If the study has fewer than two points.
    """
    about, rows = read_study(folder)
    studied = [name for name in about.get("studied", []) if isinstance(name, str)]
    summaries = summarise_rows(rows, studied)
    if len(summaries) < 2:
        message = f"{folder} has {len(summaries)} finished points: two or more are needed"
        raise InvalidArgumentError(message)
    summaries.sort(key=lambda each: -mean(each.values("validation_accuracy") or [-1]))
    comparisons = compare_with_chosen(summaries)
    title = f"{about.get('dataset')}: study {about.get('name')}"
    if arguments.out is not None:
        from anynet.study.plots import save_curves

        save_curves(arguments.out, [each for each in summaries if each.eligible], title)
    if arguments.json:
        points, tests = list(map(_point, summaries)), list(map(_test, comparisons))
        say_json({"study": about, "points": points, "tests": tests})
        return 0
    say(title)
    say_text(_table(summaries))
    say("", *map(sentence, comparisons))
    if comparisons:
        count = len(comparisons)
        say(
            "The best point is that of the validation rows; differences are of test accuracy, "
            f"paired by seed, with 95 % intervals (Student's t) and p-values adjusted for {count} "
            "comparisons by Holm's method."
        )
    if arguments.out is not None:
        say("", f"{arguments.out}: learning curves")
    return 0


def _table(summaries: list[Summary]) -> str:
    names = list(summaries[0].point)
    rows = [["  point", "validation accuracy", "test accuracy", "best epoch", "seconds", "seeds"]]
    for each in summaries:
        cells = [
            spread(each.values("validation_accuracy")),
            spread(each.values("test_accuracy")),
            f"{mean(each.values('best_epoch')):.1f}",
            f"{mean(each.values('seconds')):.3g}",
            str(len(each.rows)),
        ]
        rows.append([f"  {words({name: each.point[name] for name in names})}", *cells])
    return table(rows)


def sentence(pair: PointComparison) -> str:
    """Return the result of a comparison in words."""
    best, other = words(pair.chosen.point), words(pair.other.point)
    scores = [mean(each.values("test_accuracy")) for each in (pair.chosen, pair.other)]
    text = f"test accuracy {scores[0]:.4f} against {scores[1]:.4f}"
    text += f", difference {pair.difference:.4f}"
    if math.isnan(pair.p):
        return f"inconclusive: {best} and {other}: {text}, one seed"
    text += f" [{pair.low:.4f}, {pair.high:.4f}], p {shown_p(pair.p_holm)}"
    if not pair.decided:
        return f"inconclusive: {best} and {other}: {text}"
    return f"{best} is {'better' if pair.difference > 0 else 'worse'} than {other}: {text}"


def _point(summary: Summary) -> dict[str, Any]:
    return {
        "options": summary.point,
        "seeds": [row.seed for row in summary.rows],
        **{figure: summary.values(figure) for figure in FIGURES},
    }


def _test(pair: PointComparison) -> dict[str, Any]:
    known = not math.isnan(pair.p)
    return {
        "best": pair.chosen.point,
        "other": pair.other.point,
        "difference": pair.difference,
        "interval": [pair.low, pair.high] if known else None,
        "p": pair.p if known else None,
        "p_holm": pair.p_holm if known else None,
        "decided": pair.decided,
    }
