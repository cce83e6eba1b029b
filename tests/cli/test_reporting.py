"""Failures of reporting never stop or lose a run; each command runs in its own process."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FILES = {"model.safetensors", "config.toml", "history.csv", "curves.png", "confusion.png"}
TRAIN = "train digits --epochs 2 --layers 8 --backend numpy --out run"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell"),
]


def shell(where: Path, command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run ``anynet …`` with redirections in a shell."""
    return subprocess.run(
        ["bash", "-c", f"{sys.executable} -m anynet {command}"],
        cwd=where,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        check=False,
    )


def left(run: Path) -> set[str]:
    return {path.name for path in run.iterdir()}


@pytest.mark.parametrize(
    ("redirections", "code"),
    [
        (">&-", 0),
        ("2>&-", 0),
        (">&- 2>&- <&-", 0),
        ("2>/dev/full", 0),
        (">/dev/full", 1),
        ("--json >/dev/full", 1),
        (">/dev/full 2>/dev/full", 1),
        ("| true; exit ${PIPESTATUS[0]}", 141),
        ("2> >(true)", 0),
    ],
)
def test_unwritable_output_streams_keep_the_run(
    tmp_path: Path, redirections: str, code: int
) -> None:
    ran = shell(tmp_path, f"{TRAIN} {redirections}")
    assert ran.returncode == code
    assert b"Traceback" not in ran.stderr
    assert left(tmp_path / "run") == FILES
    if "2>" not in redirections and code == 1:
        assert b"cannot write to standard output: No space left" in ran.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp500"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONWARNINGS": "error"},
        {"MPLBACKEND": "no such backend"},
    ],
    ids=str,
)
def test_unusual_encodings_and_warning_filters_keep_the_run(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    lines = [f"{a},{a * 2}" for a in np.random.default_rng(0).random(60)]
    (tmp_path / "t.csv").write_text("\n".join(["漢字$x$,y", *lines]) + "\n", "utf-8")
    ran = shell(tmp_path, "train t.csv --target y --epochs 2 --out run", **environment)
    assert ran.returncode == 0, ran.stderr
    assert b"Traceback" not in ran.stderr
    assert left(tmp_path / "run") == FILES - {"confusion.png"} | {"predicted.png"}
    assert shell(tmp_path, "evaluate run t.csv", **environment).returncode == 0


@pytest.mark.parametrize(
    "settings",
    [b"text.usetex: True\n", b"font.family: NoSuchFont\nsavefig.dpi: 1\n", b"axes.grid: maybe\n:"],
)
def test_settings_files_of_matplotlib_do_not_affect_plots(tmp_path: Path, settings: bytes) -> None:
    (tmp_path / "matplotlibrc").write_bytes(settings)
    ran = shell(tmp_path, TRAIN)
    assert ran.returncode == 0, ran.stderr
    assert b"Traceback" not in ran.stderr
    plain = tmp_path / "plain"
    plain.mkdir()
    assert shell(plain, TRAIN).returncode == 0
    for picture in ("curves.png", "confusion.png"):
        drawn = (tmp_path / "run" / picture).read_bytes()
        assert drawn == (plain / "run" / picture).read_bytes()


def test_matplotlib_settings_of_the_process_do_not_affect_plots(tmp_path: Path) -> None:
    import matplotlib as mpl

    from anynet.cli import plots
    from anynet.cli.reports import Report

    report = Report.of([0, 1, 2], [0, 1, 2], ["a", "b", "c"])
    plots.save_confusion(tmp_path / "plain.png", report, "title")
    with mpl.rc_context({"text.usetex": True, "savefig.dpi": 10, "axes.titlesize": 40}):
        plots.save_confusion(tmp_path / "styled.png", report, "title")
        assert mpl.rcParams["text.usetex"]
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "styled.png").read_bytes()


def test_a_plot_that_fails_is_reported(
    anynet: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        message = "no\nfont"
        raise RuntimeError(message)

    monkeypatch.setattr("anynet.cli.plots.save_curves", fails)
    outcome = anynet(*TRAIN.split()[:-1], tmp_path / "run", "--quiet")
    assert outcome.code == 0
    assert outcome.err == "anynet: warning: curves.png was not drawn: no font\n"
    assert left(tmp_path / "run") == FILES - {"curves.png"}


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("example new/folder", "new/folder/ship.csv"),
        ("study depth digits --values 4 --seeds 1 --out new/folder", "new/folder/results.json"),
        ("augment digits --augment affine --out a.png", "a.png"),
    ],
)
def test_a_full_disk_reports_the_file_and_leaves_no_empty_folder(
    tmp_path: Path, command: str, file: str
) -> None:
    """A file size limit of 0 simulates the full disk."""
    ran = subprocess.run(
        ["bash", "-c", f"ulimit -f 0; {sys.executable} -m anynet {command}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr.decode().splitlines()[-1] == f"anynet: error: {file}: File too large"
    assert list(tmp_path.iterdir()) == []


def test_a_study_on_a_full_disk_reports_the_kept_results(
    anynet: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("anynet.cli.study_session.write_report", full)
    options = ("--values", 4, 8, "--seeds", 2, "--epochs", 1, "--quiet", "--out", tmp_path / "s")
    outcome = anynet("study", "depth", "digits", *options)
    assert outcome.code == 1
    assert "No space left on device; 4 finished runs are kept in" in outcome.err
    assert left(tmp_path / "s") == {"results.json", "results.csv"}


@pytest.fixture
def odd_names(tmp_path: Path) -> tuple[Path, Path]:
    """Write a table and an archive whose names are not UTF-8."""
    rng = np.random.default_rng(0)
    table = tmp_path / os.fsdecode(b"t\xff.csv")
    lines = [f"{a:.3f},{'xyz'[n % 3]},{a * 2 + n % 3:.3f}" for n, a in enumerate(rng.random(90))]
    archive = tmp_path / os.fsdecode(b"d\xfe.npz")
    try:
        table.write_text("\n".join(["a,b,y", *lines]) + "\n")
    except OSError:
        pytest.skip("this file system supports UTF-8 names only")
    np.savez(archive, x_train=rng.random((80, 3)), y_train=np.arange(80) % 2)
    return table, archive


def run(
    *arguments: Any, where: Path, program: tuple[str, ...] = ("-m", "anynet")
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, *program, *map(str, arguments)],
        cwd=where,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )


def test_file_names_that_are_not_utf8_work(odd_names: tuple[Path, Path], tmp_path: Path) -> None:
    table, archive = odd_names
    options = ("--epochs", 2, "--backend", "numpy", "--quiet")
    place = tmp_path / os.fsdecode(b"run\xff")
    commands = [
        ("train", table, "--target", "y", "--test", table, *options, "--out", "run"),
        ("train", "--config", "run/config.toml", "--out", "again"),
        ("train", archive, *options, "--out", place),
        ("evaluate", "run", table),
        ("predict", "run", table, table, "--out", "predictions.csv"),
        ("predict", "run", table),
        ("study", "depth", archive, "--values", 4, "--seeds", 1, "--epochs", 1, "--out", "study"),
        ("study", "depth", archive, "--values", 4, "--seeds", 2, "--epochs", 1, "--out", "study"),
    ]
    for command in commands:
        ran = run(*command, where=tmp_path)
        assert ran.returncode == 0, (command, ran.stderr)
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text("utf-8"))
    assert config["dataset"] == config["test"]
    assert config["dataset"].endswith("/t%FF.csv")
    model = (tmp_path / "run" / "model.safetensors").read_bytes()
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == model
    assert left(place) == FILES
    assert b"t\\udcff.csv,0," in (tmp_path / "predictions.csv").read_bytes()
    assert json.loads((tmp_path / "study" / "results.json").read_text("utf-8"))["rows"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_terminates_a_study_and_its_workers(tmp_path: Path, number: int) -> None:
    """Each worker holds the write end of a pipe, which closes when all workers end."""
    script = (  # a test run started with nohup ignores SIGHUP
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "from anynet.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    study = ["study", "depth", "digits", "--epochs", "100000", "--patience", "100000"]
    with subprocess.Popen(
        [sys.executable, "-c", script, *study, "--jobs", "2", "--out", str(tmp_path / "study")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            _wait_for_workers(process.pid)
            process.send_signal(number)
            _, report = process.communicate(timeout=120)  # until every worker has closed the pipe
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 128 + number, report
    assert b"the same command continues" in report


def _wait_for_workers(leader: int) -> None:
    """Wait until the processes of the leader's session have used some CPU time."""
    import time

    for _ in range(600):
        busy = 0
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = entry.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            busy += (
                int(fields[3]) == leader
                and entry.parent.name != str(leader)
                and (
                    int(fields[11]) > 200  # hundredths of a second
                )
            )
        if busy >= 2:
            return
        time.sleep(0.1)
    pytest.fail("no workers were found")


def test_ctrl_c_during_imports_exits_without_a_traceback(tmp_path: Path) -> None:
    """Send Ctrl-C during the import of several modules, including the first of the CLI."""
    script = (
        "import builtins, sys\n"
        "plain, name = builtins.__import__, sys.argv.pop(1)\n"
        "def interrupted(module, *rest):\n"
        "    if module.split('.')[0] == name: raise KeyboardInterrupt\n"
        "    return plain(module, *rest)\n"
        "from anynet.cli import main\n"
        "builtins.__import__ = interrupted\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    for module in ("anynet", "tomllib", "tqdm", "matplotlib"):
        ran = subprocess.run(
            [sys.executable, "-c", script, module, *TRAIN.split()],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 130, (module, ran.stderr)
        assert ran.stderr == "anynet: interrupted: nothing was written\n"
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("lost", "code", "report"),
    [
        ("MemoryError()", 0, "anynet: warning: MemoryError\n"),
        ("ValueError('a\\nb\\x1b')", 0, "anynet: warning: ValueError: a b\\x1b\n"),
        ("KeyboardInterrupt()", 130, "anynet: interrupted: nothing was written\n"),
    ],
)
def test_interrupts_in_destructors_are_handled(
    tmp_path: Path, lost: str, code: int, report: str
) -> None:
    script = (
        "import sys, time\n"
        "class Callback:\n"
        "    def __del__(self):\n"
        f"        raise {lost}\n"
        "import anynet.cli.datasets as command\n"
        "command.run = lambda _: (Callback() and None, time.sleep(0.5), 0)[-1]\n"
        "sys.argv = ['anynet', 'datasets']\n"
        "from anynet.__main__ import main; sys.exit(main())"
    )
    ran = run(where=tmp_path, program=("-c", script))
    assert (ran.returncode, ran.stderr.decode()) == (code, report)


@pytest.mark.parametrize(
    ("error", "code", "report"),
    [
        (
            "ImportError('initialization failed') from KeyboardInterrupt()",
            130,
            "anynet: interrupted: nothing was written\n",
        ),
        (
            "ImportError('no\\nlibtqdm.so', name='tqdm.auto')",
            1,
            "anynet: error: cannot import tqdm, which this needs: no libtqdm.so\n",
        ),
    ],
    ids=["interrupted", "damaged"],
)
def test_a_package_that_fails_to_import_is_an_error_of_one_line(
    tmp_path: Path, error: str, code: int, report: str
) -> None:
    (tmp_path / "tqdm.py").write_text(f"raise {error}\n")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from anynet.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    ran = run(*TRAIN.split(), where=tmp_path, program=("-c", script))
    assert (ran.returncode, ran.stderr.decode()) == (code, report)
    assert not (tmp_path / "run").exists()


def test_ctrl_c_before_the_command_runs_terminates_the_process_immediately(tmp_path: Path) -> None:
    """An exception could be lost during an import; Python's handler is installed later."""
    script = (
        "import builtins, signal, sys\n"
        "plain = builtins.__import__\n"
        "def noted(module, *rest):\n"
        "    default = signal.getsignal(signal.SIGINT) is signal.SIG_DFL\n"
        "    print(module, default, flush=True)\n"
        "    return plain(module, *rest)\n"
        "from anynet.__main__ import main\n"
        "builtins.__import__ = noted\n"
        "sys.argv = ['anynet', 'datasets']\n"
        "main()\n"
        "print('restored', signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    )
    ran = run("datasets", where=tmp_path, program=("-c", script))
    assert ran.returncode == 0, ran.stderr
    noted = ran.stdout.decode()
    assert "numpy True" in noted
    assert "numpy False" not in noted
    assert noted.rstrip().splitlines()[-1] != ""
