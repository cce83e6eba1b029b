"""Display of data in ``print`` and notebooks, and deprecated names."""

from pathlib import Path

import numpy as np
import pytest

import anynet
from anynet.data import Dataset, Source, Table

X, Y = np.arange(24, dtype="float32").reshape(6, 4), np.arange(6) % 2


@pytest.fixture
def shown(tmp_path: Path) -> dict[str, object]:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    return {
        "data set": Dataset("d<b>", (X, Y), (X, Y), ("<i>", "no"), 1.0, (2, 2), 2),
        "table": Table.of({"a": [1, 2], "<b>": ["x", "y"]}),
        "source": anynet.open_source(tmp_path),
    }


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("data set", ["6 rows", "4 features", "2 × 2", "2 classes", "no", "float32"]),
        ("table", ["2 rows", "2 columns", "a"]),
        ("source", ["6 rows", "4 features", "float32", "int64"]),
    ],
)
def test_a_description_is_short_and_contains_the_facts(shown, kind, facts) -> None:
    text = str(shown[kind])
    assert 1 <= len(text.splitlines()) <= 10
    assert [fact for fact in facts if fact not in text] == []
    assert repr(shown[kind]) == text


@pytest.mark.parametrize("kind", ["data set", "table", "source"])
def test_html_has_the_same_facts_and_is_escaped(shown, kind) -> None:
    html = shown[kind]._repr_html_()
    assert html.startswith("<table>")
    assert "<b>" not in html
    assert "<i>" not in html
    assert html.count("<tr>") == len(str(shown[kind]).splitlines()) - 1


def test_many_classes_are_counted() -> None:
    classes = tuple(f"class {i}" for i in range(1000))
    text = str(Dataset("many", (X, Y), (X, Y), classes, 1.0, None, None))
    assert "1000 classes" in text
    assert "990 more" in text
    assert len(text) < 1000


def test_a_user_defined_source_is_described() -> None:
    class Custom(Source):
        shape, dtype = (3, 2), np.dtype("float32")

        def read(self, rows: np.ndarray) -> np.ndarray:
            return np.zeros((len(rows), 2), "float32")

    assert "3 rows" in str(Custom())


@pytest.mark.parametrize("module", [anynet, anynet.data], ids=["anynet", "anynet.data"])
@pytest.mark.parametrize(
    ("old", "new"), [("load_table", "load_tabular_dataset"), ("open_data", "open_source")]
)
def test_names_of_the_previous_version_warn(module, old, new) -> None:
    with pytest.warns(DeprecationWarning, match=f"{old}.*{new}") as caught:
        function = getattr(module, old)
    assert caught[0].filename == __file__
    assert function is getattr(module, new)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="open_everything"):
        _ = anynet.data.open_everything
