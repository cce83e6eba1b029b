"""``anynet study``: many runs, several seeds each, and a report of what they say."""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from anynet.backends import get_backend, set_threads
from anynet.cli import kinds
from anynet.cli.augmentation import preprocessed, preprocessing_of
from anynet.cli.interrupts import exit_code, terminable
from anynet.cli.options import KINDS, TrainOptions, add_options
from anynet.cli.runs import name_of
from anynet.cli.tables import defaults_for, load_data, table_defaults
from anynet.cli.terminal import complain
from anynet.errors import InvalidArgumentError
from anynet.study.experiments import EXPERIMENTS, Experiment, single
from anynet.study.grid import product, random_points
from anynet.study.jobs import ENGINES, check_engine
from anynet.study.rows import shown
from anynet.study.search import SAMPLERS, require_optuna

REPORT = "report"
GRID = "grid"

MOST_RUNS, MOST_JOBS = 10**6, 2**15

OPTIONS = (
    *("target", "task", "columns", "decimal", "thousands", "test"),
    *("epochs", "patience", "backend", "device", "dtype", "threads", "data_dir", "quiet"),
)


def add_parser(commands: Any) -> None:
    """Add the command, and the kinds of study below it."""
    parser = commands.add_parser(
        "study",
        help="compare options over several seeds: the report's experiments, grids, searches",
        description=(
            "Train every point of a study with several seeds, choose by validation accuracy, and "
            "write tables and plots. The same command continues an interrupted study."
        ),
    )
    studies = parser.add_subparsers(metavar="STUDY", required=True, title="studies")
    for name, experiment in EXPERIMENTS.items():
        (option,) = experiment.options
        one = studies.add_parser(name, help=f"the report's experiment: {experiment.title.lower()}")
        one.add_argument(
            "--values",
            nargs="+",
            type=KINDS[option].from_text,
            default=[point[option] for point in experiment.points],
            metavar=(KINDS[option].expects.startswith("whole numbers") and "SIZES") or "VALUE",
            help=f"values of {option.replace('_', ' ')} to compare (default: "
            f"{' '.join(shown(point[option]) for point in experiment.points)})",
        )
        _add_common(one, name)
    grid = studies.add_parser(GRID, help="all combinations of options, or a search among them")
    _add_search(grid)
    _add_common(grid, GRID)
    _add_common(studies.add_parser(REPORT, help="all five experiments in one document"), REPORT)


def _add_common(parser: argparse.ArgumentParser, name: str) -> None:
    """Add what every study takes."""
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        help="name of a data set, or path of a folder, an .npz file or a table",
    )
    parser.add_argument(
        "--seeds",
        type=kinds.whole(1, MOST_RUNS).from_text,
        default=5,
        help="number of runs of each point (default: 5)",
    )
    add_options(parser, *OPTIONS, suppress=True)
    parser.add_argument(
        "--out",
        type=kinds.path("the path of a folder").from_text,
        metavar="DIR",
        help=f"folder of the study, new or to be continued (default: runs/study-{name}-DATASET)",
    )
    parser.add_argument(
        "--jobs",
        type=_jobs,
        help="number of groups to run in parallel; -1: one per core (default: 1)",
    )
    parser.add_argument(
        "--joblib",
        choices=tuple(ENGINES),
        help="joblib backend that runs the groups; dask and ray can use a cluster, with all of its "
        "workers if --jobs is not given (default: loky if there are several jobs)",
    )
    parser.set_defaults(run=run, study=name, usage_error=parser.error)


def _add_search(parser: argparse.ArgumentParser) -> None:
    """Add what a grid takes beside that."""
    count = kinds.whole(1, MOST_RUNS).from_text
    parser.add_argument(
        "--config",
        type=kinds.path("the path of a TOML file").from_text,
        metavar="FILE",
        required=True,
        help="TOML file of options as for anynet train, with the studied ones in a table [grid]",
    )
    parser.add_argument(
        "--n-trials", type=count, metavar="N", help="number of points to try instead of all"
    )
    parser.add_argument(
        "--sampler",
        choices=("random", *SAMPLERS),
        default="random",
        help="sampler of the points; all but random are Optuna's: random, "
        f"{', '.join(SAMPLERS)} (default: random)",
        metavar="NAME",
    )
    parser.add_argument(
        "--population",
        type=count,
        default=8,
        metavar="N",
        help="number of points that Optuna proposes before it gets a result (default: 8)",
    )
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="storage of Optuna's trials (default: a file in the folder of the study)",
    )


def _jobs(text: str) -> int:
    jobs: int = -1 if text == "-1" else kinds.whole(1, MOST_JOBS).from_text(text)
    return jobs


def run(arguments: argparse.Namespace) -> int:
    """Train what is missing, and write the report."""
    # What may be missing is imported now: better told before training than after.
    from anynet.cli.progress import download_bar
    from anynet.cli.study_config import read_study
    from anynet.cli.study_plan import Study, base_options, studied_by
    from anynet.cli.study_session import Session, search

    name = arguments.study
    searched = name == GRID and arguments.n_trials is not None
    if name == GRID and not searched and arguments.sampler != "random":
        arguments.usage_error(f"--sampler {arguments.sampler} needs --n-trials")
    names = {each.name for each in fields(TrainOptions)} - {"out"}
    given = {key: value for key, value in vars(arguments).items() if key in names}
    experiments: list[Experiment] = []
    if name == GRID:
        filed, space = read_study(arguments.config, searched=searched)
        options = {**defaults_for({**space, **filed, **given}), **filed, **given}
        base, studied = TrainOptions(**options), tuple(space)
        if not searched:
            lists = {option: values for option, values in space.items() if isinstance(values, list)}
            experiments = [Experiment(GRID, "Grid", tuple(product(lists)))]
        elif arguments.sampler == "random":
            points = random_points(space, arguments.n_trials)
            experiments = [Experiment(GRID, "Random search", tuple(points))]
        else:
            require_optuna(arguments.sampler)
    else:
        experiments = _experiments(name, arguments)
        base, studied = base_options({**table_defaults(given), **given}), studied_by(experiments)
    if base.threads is not None:
        set_threads(base.threads)
    backend = get_backend(base.backend, base.device, base.dtype, base.precision)
    with download_bar(base.dataset, silent=base.quiet) as show:
        dataset = load_data(base, show)
    if not dataset.classes:
        message = (
            f"studies compare accuracies, and {base.target!r} holds values to regress on: choose "
            f"a target of classes, or --task classification"
        )
        raise InvalidArgumentError(message)
    if steps := [option for option in studied if option.startswith("preprocess")]:
        message = f"{steps[0]} cannot be studied: all runs of a study share their data"
        raise InvalidArgumentError(message)
    dataset = preprocessed(dataset, preprocessing_of(base))
    study = Study(name, base, studied, dataset, backend, arguments.seeds)
    jobs = arguments.jobs or (-1 if arguments.joblib in ("dask", "ray") else 1)
    check_engine(jobs, arguments.joblib)
    for each in experiments:
        study.trials(each)  # what does not go together is refused before a folder is made
    folder = arguments.out or Path("runs") / f"study-{name}-{name_of(dataset.name)}"
    with terminable(), Session.open(study, folder, jobs, arguments.joblib) as session:
        try:
            if not experiments:
                experiments = [search(session, space, arguments)]
            session.train(experiments)
            session.finish(experiments)
        except (KeyboardInterrupt, OSError, MemoryError) as error:
            kept = f"{len(session.results.rows)} finished runs are kept in {folder}"
            kept += "; the same command continues"
            if not isinstance(error, KeyboardInterrupt):
                error.add_note(kept)
                raise
            complain(f"interrupted: {kept}", "anynet: ")
            return exit_code(error)
    return 0


def _experiments(name: str, arguments: argparse.Namespace) -> list[Experiment]:
    if name == REPORT:
        return list(EXPERIMENTS.values())
    experiment = EXPERIMENTS[name]
    (option,) = experiment.options
    values = tuple(dict.fromkeys(arguments.values))
    return [single(name, experiment.title, option, values)]
