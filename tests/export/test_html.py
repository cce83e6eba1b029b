"""Web pages: their content, their security policy, and what cannot become one."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import anynet
from anynet import InvalidArgumentError, config
from anynet.export import to_html
from anynet.nn import ACTIVATIONS, Dense, Network
from anynet.nn.layers.elementwise import Elementwise

EVIL = "</script><script>alert('x')</script><!--\u2028 & \" {{weights}}"


class Page(HTMLParser):
    """Read a page: its tags with their attributes, and the text of each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = dict(attrs).get("id") or tag
        self.texts.setdefault(self._open, []).append("")

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open][-1] += data

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        self._open = ""

    @property
    def model(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.texts["model"][0])
        return found


def test_the_policy_allows_the_scripts_and_the_style_of_the_page_only(make_model) -> None:
    page = Page(to_html(make_model(anynet.mlp([4, 3, 2])), title=EVIL, classes=[EVIL, "b"]))
    (policy,) = [
        attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes
    ]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert set(rules) == {"default-src", "script-src", "style-src", "base-uri", "form-action"}
    for name, tag in (("script-src", "script"), ("style-src", "style")):
        digests = [hashlib.sha256(text.encode()).digest() for text in page.texts[tag]]
        hashes = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
        assert rules[name].split() == hashes
    sources = [attributes for _, attributes in page.tags if {"src", "href"} & attributes.keys()]
    assert sources == []
    assert not any(name.startswith("on") for _, each in page.tags for name in each)


def test_names_from_data_are_escaped(make_model) -> None:
    plain, evil = (
        to_html(make_model(anynet.mlp([4, 3, 2])), title=name, classes=[name, "b"])
        for name in ("a", EVIL)
    )
    assert [tag for tag, _ in Page(plain).tags] == [tag for tag, _ in Page(evil).tags]
    assert Page(evil).model["outputs"] == [EVIL, "b"]
    assert Page(evil).texts["title"] == [EVIL]


def test_mnist_takes_less_than_600_kilobytes(make_model, rng) -> None:
    model = make_model(anynet.mlp([784, 128, 64, 10], scale=1 / 255))
    model.metadata.update(image={"shape": [28, 28], "box": 20}, scale=1 / 255, dataset="mnist")
    x = rng.integers(0, 256, (50, 784)).astype(np.uint8)
    assert len(to_html(model, samples=(x, np.zeros(50, dtype=int)))) < 600_000


def test_weights_are_those_of_the_model(make_model) -> None:
    model = make_model(anynet.mlp([4, 3, 2], batch_norm=True))
    for name, tolerance in (("float32", 0), ("float16", 1e-3)):
        page = Page(to_html(model, weights=name))
        content = base64.b64decode(page.texts["weights"][0])
        (network,) = page.model["networks"]
        for layer, params in zip(network["layers"], model.params, strict=True):
            for key, array in params.items():
                about = layer["arrays"][key]
                assert about["dtype"] == (name if array.ndim > 1 else "float32")
                found = np.frombuffer(content, about["dtype"], array.size, about["start"])
                np.testing.assert_allclose(found.reshape(array.shape), array, rtol=tolerance)


def test_the_page_does_not_depend_on_the_backend(make_model, rng, backend) -> None:
    model = make_model(anynet.mlp([4, 3, 2], batch_norm=True))
    x, y = rng.standard_normal((6, 4)).astype(np.float32), np.arange(6) % 2
    there = x, y
    if backend.name != "strict":  # not a library of users
        there = backend.to_device(x), backend.to_device(y.astype(np.int32))
    assert to_html(model.to(backend), samples=there) == to_html(model, samples=(x, y))


def test_weights_that_float16_cannot_hold_are_float32(make_model) -> None:
    model = make_model(anynet.mlp([4, 2]))
    model.params[0]["weight"][0, 0] = 1e6
    (network,) = Page(to_html(model, weights="float16")).model["networks"]
    assert network["layers"][0]["arrays"]["weight"]["dtype"] == "float32"


def test_two_classes_of_an_estimator_have_a_probability_each(rng) -> None:
    pytest.importorskip("sklearn")
    x = rng.standard_normal((40, 2))
    made = anynet.MLPClassifier((4,), solver="lbfgs", max_iter=500, random_state=0)
    page = Page(to_html(made.fit(x, x[:, 0] > 0).to_model()))
    assert page.model["two_classes"]
    assert page.model["outputs"] == ["False", "True"]


@pytest.fixture
def own_parts(monkeypatch):
    @dataclass(frozen=True)
    class Gain(Elementwise):
        kind: ClassVar[str] = "test_gain"

        def compute(self, x: Any, *, backend: Any, key: Any) -> Any:  # noqa: ARG002
            return 2 * x, lambda dy: 2 * dy

    def cube(x: Any, xp: Any) -> Any:  # noqa: ARG001
        return x**3, lambda dy: 3 * x * x * dy

    monkeypatch.setitem(config._FAMILIES["layer"], "test_gain", Gain)
    monkeypatch.setitem(config._FAMILIES["activation"], "cube", cube)
    assert "cube" in ACTIVATIONS
    return Gain()


def test_own_parts_are_named_before_anything_is_written(make_model, own_parts, tmp_path) -> None:
    for network, name in (
        (Network(4, (own_parts, Dense(2))), r"layer 0 \(test_gain\)"),
        (anynet.mlp([4, 3, 2], activation="cube"), "activation cube of layer 1"),
    ):
        with pytest.raises(InvalidArgumentError, match=name):
            to_html(make_model(network), tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "float64"}, "weights"),
        ({"classes": ["a"]}, "2 different classes"),
        ({"classes": ["a", "a"]}, "2 different classes"),
        ({"samples": np.zeros((3, 4))}, "samples must be"),
        ({"samples": (np.zeros((3, 5)), np.zeros(3, dtype=int))}, "5"),
        ({"samples": (np.zeros((3, 4)), np.array([0, 1, 2]))}, "2"),
    ],
)
def test_invalid_arguments_are_errors(make_model, options, message: str, tmp_path) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        to_html(make_model(anynet.mlp([4, 3, 2])), tmp_path / "page.html", **options)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_a_model_is_an_error() -> None:
    with pytest.raises(InvalidArgumentError, match="must be a Model"):
        to_html("model.safetensors")


def test_invalid_metadata_of_images_are_an_error(make_model) -> None:
    model = make_model(anynet.mlp([4, 2]))
    model.metadata.update(image={"shape": [3, 3], "box": 2}, scale=1.0)
    with pytest.raises(anynet.ModelFileError, match="images"):
        to_html(model)


def test_the_files_of_the_page_have_no_network_access() -> None:
    folder = Path(anynet.__file__).parent / "export" / "page"
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8")
        forbidden = r"https?://|fetch\(|XMLHttpRequest|innerHTML|eval\(|import\(|WebSocket|\.src\b"
        assert not re.search(forbidden, text), path.name


def test_an_ensemble_is_described_by_what_all_networks_have(make_model) -> None:
    ensemble = anynet.Ensemble(
        [
            make_model(anynet.mlp([4, 3, 2], activation="relu")),
            make_model(anynet.mlp([4, 5, 5, 2], activation="selu")),
            make_model(anynet.mlp([4, 6, 5, 2], activation="selu")),
        ]
    )
    page = Page(to_html(ensemble))
    (title,), about = page.texts["title"], page.texts["p"][0]
    assert title.strip() == "3 networks"
    assert "1 with 1 hidden layer (relu)" in about
    assert "2 with 2 hidden layers (selu)" in about
    alike = Page(to_html(anynet.Ensemble(ensemble.models[:1] * 2)))
    assert alike.texts["title"][0].strip() == "4-3-2"
    assert "2 neural networks with 1 hidden layer (relu) each" in alike.texts["p"][0]
