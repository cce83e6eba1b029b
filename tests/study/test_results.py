"""The study folder: results round-trip, and other files are not modified."""

import csv
import json
from pathlib import Path

import pytest

from anynet.errors import DataError, InvalidArgumentError
from anynet.study import Results, Row

ABOUT = {"name": "depth", "options": {"epochs": 2, "clip_norm": None}}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_rows_round_trip(tmp_path: Path, row) -> None:
    rows = [row(0), row(1, None), row(2, 0.25, seconds=0.5, options={"layers": [8, 4]})]
    with Results.open(tmp_path / "new" / "study", ABOUT) as results:
        results.add(rows[:2])
        results.add(rows[2:])
    with Results.open(tmp_path / "new" / "study", ABOUT) as again:
        assert list(again.rows.values()) == rows


def test_a_row_is_on_disk_when_add_returns(tmp_path: Path, row) -> None:
    with Results.open(tmp_path / "study", ABOUT) as results:
        for seed in range(3):
            results.add([row(seed)])
            written = json.loads((tmp_path / "study" / "results.json").read_text())
            assert [entry["seed"] for entry in written["rows"]] == list(range(seed + 1))


def test_the_csv_has_one_line_per_run(tmp_path: Path, row) -> None:
    with Results.open(tmp_path / "study", ABOUT) as results:
        results.add([row(0, options={"layers": [8, 4], "decay": 1.0}), row(1, None)])
    with (tmp_path / "study" / "results.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first["layers"] == "8,4"
    assert (first["seed"], first["validation_accuracy"], first["seconds"]) == ("0", "0.5", "1.0")
    assert (second["seed"], second["validation_accuracy"], second["decay"]) == ("1", "", "")


def test_a_failed_write_keeps_the_previous_results(
    tmp_path: Path, row, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Results.open(tmp_path / "study", ABOUT) as results:
        results.add([row(0)])
        before = contents(tmp_path / "study")

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            results.add([row(1)])
    assert contents(tmp_path / "study") == before


def damaged(content: dict) -> list[tuple[str, str]]:
    """Return damaged results: the text, and facts of the error message."""
    entry = content["rows"][0]

    def changed(**values: object) -> str:
        return json.dumps({**content, "rows": [{**entry, **values}]})

    whole = json.dumps(content)
    return [
        (whole[: len(whole) // 2], "damaged"),
        ("", "damaged"),
        ("[1, 2]", "its format is not"),
        (json.dumps({"runs": 3}), "its format is not"),
        (json.dumps({**content, "version": 99}), "version 99"),
        (json.dumps({**content, "rows": None}), "expected a study and its rows"),
        (json.dumps({k: v for k, v in content.items() if k != "study"}), "damaged"),
        (changed(seed="0"), "invalid values"),
        (changed(seed=True), "invalid values"),
        (changed(validation_accuracy=1.5), "invalid values"),
        (changed(validation_accuracy=None), "invalid values"),
        (changed(curve=[0.5]), "invalid values"),
        (changed(curve=[0.5, None]), "invalid values"),
        (changed(seconds=-1), "invalid values"),
        (changed(extra=1), "expected a row with"),
        ("[" * 100_000, "damaged"),
    ]


@pytest.mark.parametrize("number", range(16))
def test_damaged_results_raise_and_are_not_modified(tmp_path: Path, row, number: int) -> None:
    folder = tmp_path / "study"
    with Results.open(folder, ABOUT) as results:
        results.add([row(0)])
    text, message = damaged(json.loads((folder / "results.json").read_text()))[number]
    (folder / "results.json").write_text(text)
    before = contents(folder)
    with pytest.raises(DataError, match=message), Results.open(folder, ABOUT):
        pytest.fail("it was opened")
    assert contents(folder) == before


def test_undecodable_results_raise(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="damaged"), Results.open(tmp_path, ABOUT):
        pytest.fail("it was opened")


def test_a_folder_with_other_files_raises_and_is_not_modified(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("of years")
    with pytest.raises(InvalidArgumentError, match="other files"), Results.open(tmp_path, ABOUT):
        pytest.fail("it was opened")
    assert contents(tmp_path) == {"thesis.txt": b"of years"}
    with (
        pytest.raises(InvalidArgumentError, match="not a folder"),
        Results.open(tmp_path / "thesis.txt", ABOUT),
    ):
        pytest.fail("it was opened")


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({**ABOUT, "name": "width"}, "its name is 'depth', not 'width'"),
        ({**ABOUT, "options": {"epochs": 3, "clip_norm": None}}, "its epochs is 2, not 3"),
        ({**ABOUT, "options": {"epochs": 2, "clip_norm": 1.0}}, "its clip_norm is None, not 1.0"),
    ],
)
def test_the_folder_of_another_study_raises_and_is_not_modified(
    tmp_path: Path, row, about, message
) -> None:
    with Results.open(tmp_path / "study", ABOUT) as results:
        results.add([row(0)])
    before = contents(tmp_path / "study")
    with (
        pytest.raises(InvalidArgumentError, match=message),
        Results.open(tmp_path / "study", about),
    ):
        pytest.fail("it was opened")
    assert contents(tmp_path / "study") == before


def test_a_folder_in_use_raises(tmp_path: Path, row) -> None:
    pytest.importorskip("fcntl")
    with Results.open(tmp_path / "study", ABOUT) as results:
        with (
            pytest.raises(InvalidArgumentError, match="in use"),
            Results.open(tmp_path / "study", ABOUT),
        ):
            pytest.fail("it was opened")
        results.add([row(0)])
    with Results.open(tmp_path / "study", ABOUT) as again:
        assert len(again.rows) == 1


def test_a_row_with_wrong_keys_raises(row) -> None:
    good = row(0).as_json()
    assert Row.from_json(good) == row(0)
    for bad in (None, [], {}, {k: v for k, v in good.items() if k != "curve"}):
        with pytest.raises(ValueError, match="expected a row"):
            Row.from_json(bad)
