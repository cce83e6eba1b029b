"""``anynet predict --show``: what the network received, in one file or one file each."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anynet as library
from anynet.cli import evaluation_plots

Command = Callable[..., Any]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Return the arguments of all pictures, which are drawn but not written."""
    calls: list[tuple[Any, ...]] = []
    save = evaluation_plots.save_examples

    def record(*given: Any) -> None:
        calls.append(given)
        save(*given)

    monkeypatch.setattr(evaluation_plots, "write", lambda *_: None)
    monkeypatch.setattr(evaluation_plots, "save_examples", record)
    return calls


def test_one_file_shows_the_inputs_with_the_predicted_classes(
    anynet: Command, digits_run: Any, digits: library.Dataset, tmp_path: Path, drawn: Any
) -> None:
    rows = digits.test[0][:3]
    np.save(tmp_path / "rows.npy", rows)
    command = ("predict", digits_run.folder, tmp_path / "rows.npy", "--json", "--show")
    answers = json.loads(anynet(*command, tmp_path / "seen.png").out)
    ((path, ink, captions, title),) = drawn
    assert path == tmp_path / "seen.png"
    np.testing.assert_allclose(ink, rows.reshape(-1, 8, 8) / 16)
    assert [caption[1].split()[0] for caption in captions] == [each["class"] for each in answers]
    assert [caption[0] for caption in captions] == ["image 0", "image 1", "image 2"]
    assert "8 × 8" in title
    assert "rows.npy" in title


def test_a_folder_has_one_file_each_and_is_not_overwritten(
    anynet: Command, fails: Command, digits_run: Any, digits: library.Dataset, tmp_path: Path
) -> None:
    np.save(tmp_path / "rows.npy", digits.test[0][:2])
    command = ("predict", digits_run.folder, tmp_path / "rows.npy", "--show", tmp_path / "seen")
    assert f"{tmp_path / 'seen'}: " in anynet(*command).out.splitlines()[-1]
    names = sorted(path.name for path in (tmp_path / "seen").iterdir())
    assert names == ["001-rows.png", "002-rows.png"]
    assert "choose another --show" in fails(*command)


def test_many_pictures_are_drawn_in_part(
    anynet: Command,
    digits_run: Any,
    digits: library.Dataset,
    tmp_path: Path,
    drawn: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("anynet.cli.network_inputs.MOST_SHOWN", 2)
    np.save(tmp_path / "rows.npy", digits.test[0][:5])
    outcome = anynet(
        "predict", digits_run.folder, tmp_path / "rows.npy", "--show", tmp_path / "seen.png"
    )
    assert len(drawn[0][1]) == 2
    assert "the first 2 of 5 pictures" in outcome.err
    assert f"{tmp_path / 'seen.png'}: " in outcome.out.splitlines()[-1]
