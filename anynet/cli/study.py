"""``anynet study``: train points of options with several seeds, and report the results."""

import argparse
from pathlib import Path
from typing import Any

from anynet.backends import Group, find_group
from anynet.checks import did_you_mean
from anynet.cli import find_rate, kinds
from anynet.cli.config import options_from, read_toml
from anynet.cli.job import TABLE_OPTIONS, Job, defaults_for, table_defaults
from anynet.cli.kinds import shown as shown_in_toml
from anynet.cli.options import (
    KINDS,
    OF_PRESETS,
    TrainOptions,
    add_data,
    add_options,
    add_value,
    given_options,
)
from anynet.cli.runs import name_of
from anynet.cli.study_session import SHARED, Session, Study
from anynet.cli.terminal import complain, exit_code, terminable
from anynet.errors import GroupError, InvalidArgumentError
from anynet.space import Range, check_space, random_points
from anynet.study.grid import DEFAULTS, EXPERIMENTS, Experiment, product, single
from anynet.study.jobs import ENGINES, check_engine
from anynet.study.results import Results, shown
from anynet.study.run import run_group
from anynet.study.search import SAMPLERS, require_optuna
from anynet.training.processes import in_all

REPORT, GRID = "report", "grid"

MOST_RUNS, MOST_JOBS = 10**6, 2**15

OPTIONS = (
    *TABLE_OPTIONS,
    *("epochs", "patience", "backend", "device", "dtype", "threads"),
    *("parallel", "data_dir", "quiet"),
)

#: Options that a study file may not have, and how they are set instead.
_ELSEWHERE = {
    "dataset": "name it on the command line",
    "seed": "use --seeds",
    "out": "use --out",
    "calibrate": "the accuracies that a study compares do not depend on it",
    "log": "results.json has the curves of all runs",
    "json": "results.json is in the folder of the study",
    **dict.fromkeys(OF_PRESETS, "the runs of a study are single networks"),
}

Space = dict[str, list[Any] | Range]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the kinds of study and their arguments."""
    parser.description = (
        "Train each point of a study with several seeds, choose by validation accuracy, and write "
        "tables and plots. The same command continues an interrupted study."
    )
    studies = parser.add_subparsers(metavar="STUDY", required=True, title="studies")
    for name, experiment in EXPERIMENTS.items():
        (option,) = experiment.options
        values = [point[option] for point in experiment.points]
        one = studies.add_parser(name, help=f"the report's experiment: {experiment.title.lower()}")
        add_value(
            one,
            "--values",
            KINDS[option],
            nargs="+",
            default=values,
            metavar="SIZES" if option == "layers" else "VALUE",
            help=f"values of {option.replace('_', ' ')} to compare (default: "
            f"{' '.join(map(shown, values))})",
        )
        _add_common(one, name)
    grid = studies.add_parser(GRID, help="all combinations of options, or a search among them")
    _add_search(grid)
    _add_common(grid, GRID)
    _add_common(studies.add_parser(REPORT, help="all five experiments in one document"), REPORT)
    what = "learning rate suggested by one short run in which it rises"
    find_rate.add_arguments(studies.add_parser(find_rate.NAME, help=what))


def _add_common(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the arguments of all studies."""
    add_data(parser)
    what = "number of runs of each point (default: 5)"
    add_value(parser, "--seeds", kinds.whole(1, MOST_RUNS), default=5, help=what)
    add_options(parser, *OPTIONS)
    what = f"folder of the study, new or to be continued (default: runs/study-{name}-DATASET)"
    add_value(parser, "--out", kinds.FOLDER, metavar="DIR", help=what)
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
    parser.set_defaults(study=name)


def _add_search(parser: argparse.ArgumentParser) -> None:
    """Add the further arguments of a grid."""
    count = kinds.whole(1, MOST_RUNS)
    what = "TOML file of options as for anynet train, with the studied ones in a table [grid]"
    add_value(parser, "--config", kinds.TOML_FILE, metavar="FILE", required=True, help=what)
    what = "number of points to try instead of all"
    add_value(parser, "--n-trials", count, metavar="N", help=what)
    samplers = ("random", *SAMPLERS)
    what = f"sampler: {', '.join(samplers)}; all except random are Optuna's (default: random)"
    kind = kinds.choice(lambda: samplers)
    add_value(parser, "--sampler", kind, metavar="NAME", default="random", help=what)
    what = "number of points that Optuna proposes before it gets a result (default: 8)"
    add_value(parser, "--population", count, default=8, metavar="N", help=what)
    what = "storage of Optuna's trials (default: a file in the folder of the study)"
    parser.add_argument("--storage", metavar="URL", help=what)


def _jobs(text: str) -> int:
    jobs: int = -1 if text == "-1" else kinds.whole(1, MOST_JOBS).from_text(text)
    return jobs


def run(arguments: argparse.Namespace) -> int:
    """Train the missing runs, and write the report."""
    name: str = arguments.study
    if name == find_rate.NAME:
        return find_rate.run(arguments)
    space: Space = {}
    given = {key: value for key, value in given_options(arguments).items() if key != "out"}
    experiments: list[Experiment] = []
    if name == GRID:
        searched = arguments.n_trials is not None
        if not searched and arguments.sampler != "random":
            arguments.usage_error(f"--sampler {arguments.sampler} needs --n-trials")
        filed, space = read_study(arguments.config, searched=searched)
        options = {**defaults_for({**space, **filed, **given}), **filed, **given}
        studied = tuple(space)
        if not searched:
            lists = {option: values for option, values in space.items() if isinstance(values, list)}
            experiments = [Experiment(GRID, "Grid", tuple(product(lists)))]
        elif arguments.sampler == "random":
            points = random_points(space, arguments.n_trials)
            experiments = [Experiment(GRID, "Random search", tuple(points))]
        else:
            require_optuna(arguments.sampler)
    else:
        if name == REPORT:
            experiments = list(EXPERIMENTS.values())
        else:
            title, (option,) = EXPERIMENTS[name].title, EXPERIMENTS[name].options
            values = tuple(dict.fromkeys(arguments.values))
            experiments = [single(name, title, option, values)]
        options = {**DEFAULTS, **table_defaults(given), **given}
        studied = tuple(dict.fromkeys(name for each in experiments for name in each.options))
    group = find_group(given.get("parallel"))
    if group.size > 1 and (arguments.jobs or arguments.joblib):
        arguments.usage_error("--parallel and --jobs or --joblib exclude each other")
    with in_all(group):
        silent = options.get("quiet", False) or not group.is_first
        base = Job.load(TrainOptions(**options), silent=silent)
    if not base.dataset.classes:
        message = (
            f"studies compare accuracies, and {base.given.target!r} holds values to regress on: "
            f"choose a target of classes, or --task classification"
        )
        raise InvalidArgumentError(message)
    if steps := [option for option in studied if option.startswith("preprocess")]:
        message = f"{steps[0]} cannot be studied: all runs of a study share their data"
        raise InvalidArgumentError(message)
    study = Study(name, base, studied, arguments.seeds)
    if not group.is_first:
        _check_alike(group, study)
        group.serve(lambda trials: run_group(trials, study.where, *study.arrays))
        return 0
    jobs = arguments.jobs or (-1 if arguments.joblib in ("dask", "ray") else 1)
    check_engine(jobs, arguments.joblib)
    for each in experiments:
        study.trials(each)  # options that contradict each other are reported before a folder exists
    folder = arguments.out or Path("runs") / f"study-{name}-{name_of(base.dataset.name)}"
    with terminable(), Results.open(folder, study.about()) as results:
        _check_alike(group, study)
        session = Session(study, results, jobs, arguments.joblib, group)
        try:
            if not experiments:
                experiments = [session.search(space, arguments)]
            session.train(experiments)
            session.finish(experiments)
        except (KeyboardInterrupt, OSError, MemoryError) as error:
            kept = f"{len(results.rows)} finished runs are kept in {folder}"
            kept += "; the same command continues"
            if not isinstance(error, KeyboardInterrupt):
                error.add_note(kept)
                raise
            complain(f"interrupted: {kept}", "anynet: ")
            if group.size > 1:
                group.abort("anynet: the other processes end")
            return exit_code(error)
        group.dismiss()
    return 0


def _check_alike(group: Group, study: Study) -> None:
    """Check that all processes have the same study.

    Raises
    ------
    GroupError
        If one differs.
    """
    every = group.gather(study.about())
    for rank, about in enumerate(every):
        different = [name for name in every[0] if about.get(name) != every[0][name]]
        if different:
            message = f"process {rank} of {group.size} has another {different[0]} than process 0"
            raise GroupError(message)


def read_study(path: Path, *, searched: bool) -> tuple[dict[str, Any], Space]:
    """Read the TOML file of a grid: fixed options, and a table ``[grid]`` of studied ones.

    Parameters
    ----------
    path : Path
    searched : bool
        Whether points are drawn, so that ranges are allowed.

    Returns
    -------
    options, space : dict
        Fixed values, and lists or ranges of values, by the names of ``TrainOptions``.

    Raises
    ------
    InvalidArgumentError
        If the file is absent or not TOML, an option is unknown or cannot be studied, a value is
        invalid, or nothing is studied.
    """
    table = read_toml(path)
    grid = table.pop(GRID, None)
    if not isinstance(grid, dict):
        message = (
            f"{path}: expected a table [{GRID}] with the studied options, such as "
            f"learning-rate = [0.001, 0.01]"
        )
        raise InvalidArgumentError(message)
    options = options_from(table, str(path))
    for name in options:
        if name in _ELSEWHERE:
            message = f"{path}: {name} cannot be in the file of a study: {_ELSEWHERE[name]}"
            raise InvalidArgumentError(message)
    if options.get("validation") == 0:
        message = f"{path}: a study chooses by validation rows: validation must be at least 1"
        raise InvalidArgumentError(message)
    source = f"{path}: [{GRID}]"
    space: Space = {}
    for key, value in grid.items():
        name = key.replace("-", "_")
        if name not in KINDS:
            options_from({key: value}, source)  # raises, with a similar name
        if name in SHARED:
            message = f"{source}: {key} is the same for all runs of a study, so it cannot vary"
            raise InvalidArgumentError(message)
        if name in space or name in options:
            message = f"{path}: {key!r} is given twice"
            raise InvalidArgumentError(message)
        if isinstance(value, dict):
            space[name] = _range(key, value, source, searched=searched)
        elif isinstance(value, list):
            space[name] = [options_from({key: item}, source)[name] for item in value]
        else:
            message = f"{source}: {key}: expected a list of values, not {shown_in_toml(value)}"
            raise InvalidArgumentError(message)
    try:
        check_space(space)
    except InvalidArgumentError as error:
        message = f"{path}: {error}"
        raise InvalidArgumentError(message) from error
    return options, space


def _range(key: str, table: dict[str, Any], source: str, *, searched: bool) -> Range:
    """Read a range ``{ low = …, high = …, log = … }`` of values of the option."""
    name = key.replace("-", "_")
    for word in table:
        if word not in ("low", "high", "log"):
            hint = did_you_mean(word, ("low", "high", "log"))
            message = f"{source}: {key}: a range has low, high and log, not {word!r}{hint}"
            raise InvalidArgumentError(message)
    if "low" not in table or "high" not in table:
        message = f"{source}: {key}: a range needs low and high"
        raise InvalidArgumentError(message)
    if not searched:
        message = f"{source}: {key}: a range has unlimited values: give a list, or use --n-trials"
        raise InvalidArgumentError(message)
    log = table.get("log", False)
    if not isinstance(log, bool):
        message = f"{source}: {key}: log of a range must be true or false, not {shown_in_toml(log)}"
        raise InvalidArgumentError(message)
    low, high = (options_from({key: table[end]}, source)[name] for end in ("low", "high"))
    if type(low) not in (int, float):
        message = f"{source}: {key}: a range is for numbers: give a list of values"
        raise InvalidArgumentError(message)
    try:
        return Range(low, high, log)
    except InvalidArgumentError as error:
        message = f"{source}: {key}: {error}"
        raise InvalidArgumentError(message) from error
