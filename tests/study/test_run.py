"""Study runs: missing runs are trained once, with equal rows in any process."""

import importlib.util
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

import anynet
from anynet.errors import InvalidArgumentError
from anynet.study import Results, run, run_missing
from anynet.study.jobs import run_calls
from anynet.study.run import groups_of

from .conftest import WHERE

ABOUT = {"name": "tiny"}


def timeless(results: Results) -> dict:
    return {key: replace(row, seconds=0.0) for key, row in results.rows.items()}


def test_a_row_contains_the_results_of_fit(tmp_path: Path, trials, arrays) -> None:
    with Results.open(tmp_path / "study", ABOUT) as results:
        run_missing(results, trials, arrays, WHERE)
        assert list(results.rows) == [trial.key for trial in trials]
        for trial in trials:
            model = anynet.fit(
                data=arrays[:2],
                validation=arrays[2:4],
                seed=trial.seed,
                backend="numpy",
                **trial.arguments,
            )
            row = results.rows[trial.key]
            assert row.validation_accuracy == model.history.best.validation_accuracy
            assert row.validation_accuracy == row.curve[row.best_epoch - 1]
            assert row.test_accuracy == model.score(*arrays[4:])
            assert (row.epochs_run, row.stopped) == (2, "all 2 epochs done")
            assert row.seconds > 0


def test_a_finished_run_is_not_repeated(tmp_path: Path, trials, arrays, monkeypatch) -> None:
    trained, real = [], run.train_group

    def counted(configs, **shared):
        trained.extend(config["seed"] for config in configs)
        return real(configs, **shared)

    monkeypatch.setattr(run, "train_group", counted)
    with Results.open(tmp_path / "study", ABOUT) as results:
        run_missing(results, trials[:3], arrays, WHERE)
    assert trained == [0, 1, 0]
    with Results.open(tmp_path / "study", ABOUT) as results:
        run_missing(results, [*trials, *trials], arrays, WHERE)
        run_missing(results, trials, arrays, WHERE)
        assert len(results.rows) == 4
    assert trained == [0, 1, 0, 1]


def test_an_interrupted_study_continues(tmp_path: Path, trials, arrays, monkeypatch) -> None:
    with Results.open(tmp_path / "straight", ABOUT) as results:
        run_missing(results, trials, arrays, WHERE)
        straight = timeless(results)
    real, begun = run.train_group, []

    def pressed(configs, **shared):
        begun.append(configs)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return real(configs, **shared)

    monkeypatch.setattr(run, "train_group", pressed)
    with (
        Results.open(tmp_path / "study", ABOUT) as results,
        pytest.raises(KeyboardInterrupt),
    ):
        run_missing(results, trials, arrays, WHERE)
    with Results.open(tmp_path / "study", ABOUT) as results:
        assert len(results.rows) == 2
        run_missing(results, trials, arrays, WHERE)
        assert timeless(results) == straight
    assert [len(group) for group in begun] == [2, 2, 2]  # the second run twice


def test_a_diverged_run_has_a_row(tmp_path: Path, trials, arrays) -> None:
    wild = [replace(t, arguments={**t.arguments, "learning_rate": 1e38}) for t in trials]
    with Results.open(tmp_path / "study", ABOUT) as results:
        run_missing(results, wild, arrays, WHERE)
        for row in results.rows.values():
            assert row.diverged
            assert (row.validation_accuracy, row.test_accuracy, row.epochs_run) == (None, None, 0)
    with Results.open(tmp_path / "study", ABOUT) as results:
        assert len(results.rows) == 4


def test_groups_share_network_and_batch_size(trials) -> None:
    small = replace(trials[0], arguments={**trials[0].arguments, "batch_size": 8})
    groups = groups_of([*trials, small], 5)
    assert groups == [trials[:2], trials[2:], [small]]
    assert groups_of(trials, 1) == [[trial] for trial in trials]


def test_worker_processes_give_the_same_rows(tmp_path: Path, trials, arrays) -> None:
    pytest.importorskip("joblib")
    with Results.open(tmp_path / "here", ABOUT) as results:
        run_missing(results, trials, arrays, WHERE)
        here = timeless(results)
    reported = []
    with Results.open(tmp_path / "there", ABOUT) as results:
        run_missing(results, trials, arrays, WHERE, jobs=2, report=reported.extend)
        assert timeless(results) == here
    assert len(reported) == 4


@pytest.fixture
def cluster():
    """Start two Dask worker processes, with this process as their client."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as local,
        distributed.Client(local) as client,
    ):
        client.wait_for_workers(2)
        yield client


def test_a_dask_cluster_gives_the_same_rows(tmp_path: Path, trials, arrays, cluster) -> None:
    with Results.open(tmp_path / "here", ABOUT) as results:
        run_missing(results, trials, arrays, WHERE)
        here = timeless(results)
    pids = set(cluster.run(os.getpid).values())
    assert len(pids) == 2
    calls = [(os.getpid, ())] * 20
    assert set(run_calls(calls, -1, "dask")) <= pids
    before = cluster.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter)
    with Results.open(tmp_path / "there", ABOUT) as results:
        run_missing(results, trials, arrays, WHERE, jobs=-1, engine="dask", group_size=1)
        assert timeless(results) == here
    after = cluster.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter)
    assert after > before  # Dask ran the tasks


@pytest.fixture
def ray():
    """Start a Ray cluster on this machine, with two workers."""
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_a_ray_cluster_gives_the_same_rows(tmp_path: Path, trials, arrays, ray) -> None:
    with Results.open(tmp_path / "here", ABOUT) as results:
        run_missing(results, trials, arrays, WHERE)
        here = timeless(results)
    assert os.getpid() not in set(run_calls([(os.getpid, ())] * 4, -1, "ray"))
    with Results.open(tmp_path / "there", ABOUT) as results:
        run_missing(results, trials, arrays, WHERE, jobs=-1, engine="ray", group_size=1)
        assert timeless(results) == here
    assert ray.is_initialized()  # an existing cluster is not changed


@pytest.mark.parametrize(
    ("jobs", "engine", "message"),
    [
        (0, None, "jobs must be"),
        (-2, None, "jobs must be"),
        (True, None, "jobs must be"),
        (2, "daks", "did you mean 'dask'"),
    ],
)
def test_invalid_jobs_raise(jobs, engine, message) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        list(run_calls([(os.getpid, ())], jobs, engine))


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_a_killed_worker_is_reported() -> None:
    pytest.importorskip("joblib")
    with pytest.raises(ChildProcessError, match=r"killed.* use fewer jobs"):
        list(run_calls([(signal.raise_signal, (signal.SIGKILL,))] * 2, 2))


def test_a_missing_engine_raises_with_the_install_command() -> None:
    if importlib.util.find_spec("ray"):
        pytest.skip("ray is installed")
    with pytest.raises(InvalidArgumentError, match="pip install ray"):
        list(run_calls([(os.getpid, ())], 2, "ray"))


def test_results_are_yielded_in_parts_without_generator_support(monkeypatch) -> None:
    """Ray's joblib backend returns all results at once; the results are still yielded in parts."""
    joblib = pytest.importorskip("joblib")
    from anynet.study import jobs

    class AllAtOnce(joblib.parallel.ThreadingBackend):
        supports_return_generator = False

    joblib.register_parallel_backend("all at once", AllAtOnce)
    monkeypatch.setitem(jobs.ENGINES, "all at once", "joblib")
    seen: list[int] = []

    def work(number: int) -> int:
        seen.append(number)
        return number

    results = run_calls([(work, (number,)) for number in range(5)], 2, "all at once")
    assert [next(results), next(results)] == [0, 1]
    assert sorted(seen) == [0, 1]
    assert list(results) == [2, 3, 4]
