"""The files of a run beside its model: options, history and pictures."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

import anynet
from anynet.cli import plots
from anynet.cli.config import ABOUT, NOT_RECORDED
from anynet.cli.job import Job
from anynet.cli.models import AnyModel, first_of, histories_of
from anynet.cli.options import OF_PRESETS, WITH_PRESETS, TrainOptions
from anynet.cli.reports import Report
from anynet.cli.runs import CONFIG_FILE, kept, write_text
from anynet.cli.terminal import warn
from anynet.cli.value_report import ValueReport
from anynet.data.files import in_unicode, is_unicode, one_line
from anynet.training import History
from anynet.training.calibration import TEMPERATURE
from anynet.training.model_file import MODEL_FILE

#: Results of training that are recorded beside the scores.
FACTS = ("preset", "members", "epochs", "best_epoch", TEMPERATURE)


def write_run(
    folder: Path, model: AnyModel, job: Job
) -> tuple[Report | ValueReport | None, dict[str, Any]]:
    """Save the model of a run, calibrate and score it, and write the other files of the run.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    model : Model or Ensemble
        The weights of the best epoch, with the history.
    job : Job
        The run.

    Returns
    -------
    report : Report, ValueReport or None
        Scores of the test set; None if there is none.
    result : dict
        The results of the run, which are in the table ``[about]`` of config.toml.
    """
    histories = histories_of(model)
    with kept(model, folder):
        if (calibrated := job.calibrated(model)) is not model:
            (model := calibrated).save(folder / MODEL_FILE)
        report, result = job.measure(model)
        write_text(folder / CONFIG_FILE, to_toml(job.options, _about(model, result)))
        write_text(folder / "history.csv", _history_csv(histories))
        draw(plots.save_curves, folder / "curves.png", histories, job.title)
        name = f"{in_unicode(result['dataset'])}, test rows"
        if isinstance(report, Report):
            draw(plots.save_confusion, folder / "confusion.png", report, name)
        elif report is not None:
            draw(plots.save_predictions, folder / "predicted.png", report, name)
    return report, result


def _history_csv(histories: Sequence[History]) -> str:
    """Return the records as CSV, with a first column ``member`` if there are several networks."""
    if len(histories) == 1:
        return histories[0].to_csv()
    tables = [history.to_csv().splitlines(keepends=True) for history in histories]
    lines = [f"{member},{line}" for member, (_, *rows) in enumerate(tables) for line in rows]
    return "".join([f"member,{tables[0][0]}", *lines])


def draw(save: Callable[..., None], path: Path, *what: Any) -> None:
    """Draw a picture; warn if it cannot be drawn.

    Raises
    ------
    OSError
        If it cannot be written, since the other files may not be either.
    """
    try:
        save(path, *what)
    except OSError:
        raise
    except Exception as error:  # matplotlib may raise anything
        warn(f"{path.name} was not drawn: {one_line(error)}")


def _about(model: AnyModel, result: dict[str, Any]) -> dict[str, Any]:
    """Return facts about the finished run, which are not needed to repeat it."""
    backend = first_of(model).backend
    scores = [name for name in result if name.startswith(("test_", "validation_", "train_"))]
    notes = {"notes": list(map(in_unicode, result["notes"]))} if result["notes"] else {}
    return {
        "anynet": anynet.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "backend": f"{backend.name} {backend.describe()['version']}",
        "finished": datetime.now().astimezone().replace(microsecond=0),
        "stopped": result["stopped"],
        **{n: result[n] for n in (*scores, *FACTS) if result.get(n) is not None},
        **notes,
    }


def to_toml(options: TrainOptions, about: Mapping[str, Any] | None = None) -> str:
    """Write options as TOML that ``read_config`` reads back to the same values.

    An option that is None has no form in TOML and is left out, which means the same.

    Parameters
    ----------
    options : TrainOptions
    about : mapping, optional
        Facts about the finished run.
    """
    named = asdict(options)
    if options.preset is not None:  # which has its own options of networks
        named = {name: named[name] for name in (*WITH_PRESETS, *OF_PRESETS)}
    table: dict[str, Any] = {
        name.replace("_", "-"): _plain(value)
        for name, value in named.items()
        if value is not None and name not in NOT_RECORDED
    }
    if about:
        table[ABOUT] = dict(about)
    return tomli_w.dumps(table)


def _plain(value: Any) -> Any:
    """Return a value that TOML can hold; a path that is not UTF-8, which it cannot, as a URI."""
    if isinstance(value, str | Path):
        text = str(value)
        return text if is_unicode(text) else Path(text).absolute().as_uri()
    return list(value) if isinstance(value, tuple) else value
