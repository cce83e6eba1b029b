"""``anynet completion``: the scripts complete commands, options, values and files."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anynet.cli import COMMANDS, build_parser
from anynet.cli.completion import SHELLS, script

pytest.importorskip("shtab")

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the script of each shell."""
    folder = tmp_path_factory.mktemp("scripts")
    for shell in SHELLS:
        (folder / shell).write_text(script(build_parser(), shell))
    return folder


def test_the_command_prints_the_script(anynet: Command, scripts: Path) -> None:
    for shell in SHELLS:
        assert anynet("completion", shell) == (0, (scripts / shell).read_text() + "\n", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_have_all_commands_and_valid_syntax(shell: str, scripts: Path) -> None:
    text = (scripts / shell).read_text()
    assert [name for name in COMMANDS if name not in text] == []
    if shutil.which(shell):
        assert subprocess.run([shell, "-n", scripts / shell], check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("anynet tra", {"train"}),
        ("anynet study find", {"find-rate"}),
        ("anynet train --learning", {"--learning-rate"}),
        ("anynet train --optimizer adam", {"adam", "adamw"}),
        ("anynet train dig", {"digits"}),
        ("anynet train tab", {"table.csv", "tables"}),
        ("anynet train digits --no-nesterov --out tab", {"tables"}),
        ("anynet evaluate tab", {"table.csv", "tables"}),
        ("anynet predict run pict", {"picture.png"}),
        ("anynet completion f", {"fish"}),
    ],
)
def test_bash_completes(words: str, expected: set[str], scripts: Path, tmp_path: Path) -> None:
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    for name in ("table.csv", "picture.png"):
        (tmp_path / name).touch()
    (tmp_path / "tables").mkdir()
    code = (
        f"source {scripts}/bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
        '_shtab_anynet anynet "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert set(done.stdout.split()) == expected
