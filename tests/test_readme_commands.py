"""The README's commands run unchanged, in their order, in an empty folder."""

import os
import re
import shlex
from pathlib import Path

import pytest

from anynet.cli import main

README = (Path(__file__).parent.parent / "README.md").read_text()


def commands() -> list[list[str]]:
    """Return the arguments of each ``anynet`` command; CI tests the pip and pytest commands."""
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)).splitlines()
    parts = [part for line in lines for part in line.partition(" #")[0].split(" && ")]
    split = [words for part in parts if (words := shlex.split(part))]
    assert {words[0] for words in split} <= {"anynet", "pip", "pytest"}
    return [words[1:] for words in split if words[0] == "anynet"]


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.environ.get("ANYNET_DATA_DIR")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANYNET_BACKEND", "numpy")
    monkeypatch.setenv("ANYNET_CACHE_DIR", str(tmp_path / "cache"))
    if data:
        monkeypatch.setenv("ANYNET_DATA_DIR", str(Path(data).absolute()))


def run(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    code = main(command)
    out, err = capsys.readouterr()
    assert code == 0, (command, err)
    return out


def test_short_commands_run(capsys: pytest.CaptureFixture[str]) -> None:
    quick = [each for each in commands() if each[0] != "study" and "mnist" not in each]
    quick = [each for each in quick if "runs/wide" not in each]
    assert {each[0] for each in quick} == {"train", "example", "predict", "explain", "compare"}
    for command in quick:
        run(command, capsys)
    assert len(Path("predictions.csv").read_text().splitlines()) == 7
    assert len(list(Path("runs").glob("digits-*"))) == 1


def test_commands_for_mnist_run_on_digits(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    for command in commands():
        if command[0] == "example":
            run(command, capsys)
        elif "runs/wide" in command:
            out = run(["digits" if word == "mnist" else word for word in command], capsys)
            if command[0] == "predict":
                assert re.search(r"photo.png +0 +3 ", out)
    assert Path("explain-photo.png").is_file()
    assert Path("wide.onnx").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("dataset", ["digits", "mnist"])
def test_all_commands_run_in_their_order(dataset: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    if dataset == "mnist" and "ANYNET_DATA_DIR" not in os.environ:
        pytest.skip("needs ANYNET_DATA_DIR with MNIST")
    for command in commands():
        out = run([dataset if word == "mnist" else word for word in command], capsys)
        if command[:2] == ["predict", "runs/wide"]:
            assert re.search(r"photo.png +0 +3 ", out)
    assert Path("wide.onnx").is_file()
    assert Path("runs/study-report-digits/report.md").is_file()
    assert len(Path("predictions.csv").read_text().splitlines()) == 7


def test_the_example_command_does_not_overwrite_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "deep" / "er"
    run(["example", str(folder)], capsys)
    names = {"ship.csv", "new.csv", "photo.png", "study.toml"}
    assert {path.name for path in folder.iterdir()} == names
    (folder / "new.csv").write_text("mine")
    for name in names - {"new.csv"}:
        (folder / name).unlink()
    assert main(["example", str(folder)]) == 1
    assert "new.csv" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["new.csv"]
    assert (folder / "new.csv").read_text() == "mine"
