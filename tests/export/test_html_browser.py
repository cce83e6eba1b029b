"""Web pages in a real browser: they predict what Python does, and work with mouse and keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsers import SEVEN, Browser, headless

import anynet
from anynet.cli.ink import fit_ink, prepare
from anynet.config import registered
from anynet.data.image_format import ImageFormat
from anynet.export import html_network, to_html
from anynet.nn import (
    ACTIVATIONS,
    LOSSES,
    PBLD,
    Activation,
    BatchEnsembleDense,
    CosineEmbedding,
    Dense,
    Embedding,
    EnsembleDense,
    EnsembleInput,
    EnsembleMean,
    EnsembleScale,
    FeatureScale,
    Network,
    ParametricActivation,
    PiecewiseLinear,
    PiecewiseLinearEmbedding,
)
from anynet.tabular import Fast, Pack, RealMLP, RealMLPS, TabMMini

TOLERANCE = 1e-5
ROWS = 200
INPUT = "networkInput(page.drawing.ink(), model.image)"
EVIL = '</script><script>document.title = "evil"</script><img src=x onerror=alert(1)>'

LAYERS = [
    PiecewiseLinear(3, bins=5),
    PiecewiseLinear(3, bins=5, keep_input=True),
    PiecewiseLinearEmbedding(3, bins=5, width=4),
    PBLD(3),
    CosineEmbedding(3, width=5),
    Embedding((2, 3), width=3),
    FeatureScale(),
    ParametricActivation("mish"),
    Dense(4, ntk=True),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with headless() as found:
        yield found


@pytest.fixture(autouse=True)
def _no_problems(browser: Browser) -> Iterator[None]:
    """Let no page report an error or a violation of its policy."""
    yield
    assert browser.problems() == []


@pytest.fixture(scope="module")
def digits_model(digits: anynet.Dataset) -> anynet.Model:
    network = anynet.mlp([64, 32, 10], dropout=0.1, layer_norm=True, scale=digits.scale)
    how = {"optimizer": "adam", "learning_rate": 0.01, "epochs": 15, "backend": "numpy"}
    return anynet.fit(network, digits.train, metadata=digits.metadata, **how)


@pytest.fixture
def check(browser: Browser, tmp_path: Path):
    """Return a function that compares the predictions of a page with those of a model."""

    def compare(model: Any, x: np.ndarray) -> None:
        browser.open(to_html(model, weights="float32"), tmp_path)
        expected = np.asarray(model.predict_mean(x))
        np.testing.assert_allclose(browser.predict(x), expected, rtol=0, atol=TOLERANCE)

    return compare


def test_pictures_have_the_same_probabilities(check, digits_model, digits) -> None:
    check(digits_model, digits.test[0][:ROWS])


def test_all_layers_and_activations_of_anynet_are_there(browser, digits_model, tmp_path) -> None:
    browser.open(to_html(digits_model), tmp_path)
    for name, known in (("LAYERS", registered("layer")), ("ACTIVATIONS", ACTIVATIONS)):
        own = [kind for kind, part in known.items() if part.__module__.startswith("anynet.")]
        assert set(own) <= set(browser.run(f"return Object.keys({name})"))
        assert set(own) == getattr(html_network, name)


@pytest.mark.parametrize("function", sorted(html_network.ACTIVATIONS))
def test_activations_and_norms_match(make_model, check, rng, function: str) -> None:
    options = {"layer_norm": True} if function < "m" else {"batch_norm": True}
    network = anynet.mlp([6, 9, 7, 3], activation=function, standardize=True, **options)
    check(make_model(network), rng.standard_normal((ROWS, 6)).astype(np.float32))


def test_layers_of_tables_match(browser, make_model, rng, tmp_path) -> None:
    x = rng.standard_normal((ROWS, 5))
    x[:, 3:] = rng.integers(-1, 4, (ROWS, 2))
    x = x.astype(np.float32)
    for layer in LAYERS:
        model = make_model(Network(5, (layer, Dense(3))), "squared_error")
        browser.open(to_html(model, weights="float32"), tmp_path)
        expected = model.predict(x)
        scale = np.abs(expected).max()
        found = browser.predict(x)
        np.testing.assert_allclose(found / scale, expected / scale, atol=TOLERANCE, err_msg=layer)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "poisson", "huber"])
def test_losses_and_members_that_share_weights_match(make_model, check, rng, loss: str) -> None:
    layers = (
        *(EnsembleInput(3), EnsembleScale(3), BatchEnsembleDense(5, 3), Activation("relu")),
        *(Dense(4), EnsembleDense(2, 3), EnsembleMean(3, LOSSES[loss].link_name)),
    )
    model = make_model(Network(4, layers), loss)
    check(model, 0.3 * rng.standard_normal((ROWS, 4)).astype(np.float32))


def test_ensembles_predict_the_weighted_mean(check, digits_model, digits) -> None:
    network = anynet.mlp([64, 16, 10], activation="tanh", scale=digits.scale)
    other = anynet.fit(network, digits.train, epochs=2, backend="numpy")
    ensemble = anynet.Ensemble([digits_model, other], digits.metadata, weights=[3, 1])
    check(ensemble, digits.test[0][:ROWS])


def test_float16_weights_keep_the_answers(browser, digits_model, digits, tmp_path) -> None:
    x = digits.test[0][:ROWS]
    browser.open(to_html(digits_model, weights="float16"), tmp_path)
    found = browser.predict(x)
    np.testing.assert_allclose(found, digits_model.predict_proba(x), atol=0.01)


@pytest.fixture
def columns(rng) -> dict[str, Any]:
    """Return columns of all kinds with missing values, and one with many categories."""
    n = ROWS
    words = rng.choice(["red", "green", "blue", ""], size=n)
    day = (np.datetime64("2020-01-01") + rng.integers(0, 2000, n)).astype(str)
    return {
        "value": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
        "repeated": np.round(rng.normal(size=n)),
        "colour": words,
        "two": rng.choice(["up", "down"], size=n),
        "shop": np.array([f"shop {each}" for each in rng.integers(0, 70, n)]),
        "open": rng.choice(["yes", "no"], size=n),
        "day": np.where(rng.random(n) < 0.1, "", day),
    }


PRESETS = [
    Fast(n_members=2, epochs=3, width=8),
    RealMLPS(epochs=3, width=8),
    RealMLP(epochs=3, width=8),
    TabMMini(n_members=3, epochs=2, width=8),
    Pack(n_members=3, epochs=2, width=8),
]


@pytest.mark.filterwarnings("ignore:.*taken as")
@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.kind)
@pytest.mark.parametrize("task", ["classes", "values"])
def test_raw_rows_of_tables_match(browser, columns, preset, task: str, tmp_path) -> None:
    pandas = pytest.importorskip("pandas")
    x = pandas.DataFrame(columns)
    new = x.assign(shop="unseen", value=x["value"] * 3, colour="pink")
    if task == "classes":
        y = np.where(x["two"] == "up", "b", "a")
        made = anynet.TabularClassifier(preset, random_state=0, backend="numpy").fit(x, y)
    else:
        y = 1e6 + 1e3 * x["repeated"].to_numpy()
        made = anynet.TabularRegressor(preset, random_state=0, backend="numpy").fit(x, y)
    target = made.preprocessing_.target.column
    for frame in (x, new):
        rows = frame.assign(**{target: y})
        browser.open(to_html(made.ensemble_, weights="float32", samples=rows), tmp_path)
        found = browser.run(
            "return model.samples.rows.map((row) => "
            "Array.from(predict(model, encodeRow(model.table, row))))"
        )
        if task == "classes":
            expected = made.predict_proba(frame)
            np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
        else:
            error = (np.array(found)[:, 0] - made.predict(frame)) / np.std(y)
            np.testing.assert_allclose(error, 0, atol=TOLERANCE)


@pytest.mark.parametrize("pointer", ["mouse", "pen", "touch"])
def test_a_drawn_seven_is_read(browser, digits_model, tmp_path, pointer: str) -> None:
    browser.open(to_html(digits_model), tmp_path)
    browser.draw(SEVEN, pointer)
    assert browser.text("answer") == "7"
    (best,) = browser.driver.find_elements("css selector", ".best th")
    assert best.text == "7"
    browser.wait(700)
    assert browser.text("spoken").startswith("Answer: 7")
    browser.click("undo")
    assert browser.text("answer") == "?"


def test_keys_draw_undo_and_clear(browser, digits_model, tmp_path) -> None:
    from selenium.webdriver import ActionChains, Keys

    browser.open(to_html(digits_model), tmp_path)
    canvas = browser.driver.find_element("id", "canvas")
    canvas.send_keys(" ", *[Keys.RIGHT] * 12, *[Keys.DOWN] * 14, " ", *[Keys.LEFT] * 3)
    assert browser.text("answer") != "?"
    size = browser.run("return page.drawing.canvas.width")
    (stroke,) = browser.run("return page.drawing.content.strokes")
    steps = np.array([stroke[0], stroke[12], stroke[-1]]) * 28 / size
    np.testing.assert_allclose(np.diff(steps, axis=0), [[12, 0], [0, 14]], atol=1e-9)
    assert len(stroke) == 1 + 12 + 14
    shares = browser.text("bars")
    canvas.send_keys(Keys.DELETE)
    assert browser.text("answer") == "?"
    ActionChains(browser.driver).key_down(Keys.CONTROL).send_keys("z").perform()
    ActionChains(browser.driver).key_up(Keys.CONTROL).perform()
    assert browser.text("bars") == shares


def test_undo_restores_what_was_cleared(browser, digits_model, tmp_path) -> None:
    browser.open(to_html(digits_model), tmp_path)
    browser.draw(SEVEN)
    shares = browser.text("bars")
    browser.click("clear")
    assert browser.text("bars") != shares
    browser.click("undo")
    assert browser.text("bars") == shares


@pytest.mark.parametrize("shape", [(28, 28), (20, 14), (8, 8)])
def test_drawings_are_centred_as_predict_does(browser, make_model, tmp_path, shape) -> None:
    box = {28: 20, 20: 12, 8: 8}[shape[0]]
    model = make_model(anynet.mlp([shape[0] * shape[1], 2]))
    image = {"shape": list(shape), "box": box, "centred": True}
    model.metadata.update(image=image, scale=1 / 255)
    browser.open(to_html(model), tmp_path)
    browser.draw([(0.1, 0.3), (0.4, 0.25), (0.35, 0.8)])
    browser.wait()
    size, ink = browser.run(
        "const ink = page.drawing.ink(); return [[ink.height, ink.width], Array.from(ink.data)]"
    )
    row = np.array(browser.run(f"return Array.from({INPUT})"))
    drawing = np.array(ink).reshape(size)
    wanted = ImageFormat(shape, box, 255.0)
    faint = np.where(drawing < 0.25, 0, drawing)
    fitted = fit_ink(faint, wanted).reshape(-1)
    np.testing.assert_allclose(row, 255 * fitted / fitted.max(), atol=0.01)
    predicted = prepare(np.round(255 * drawing), 255.0, wanted)
    assert np.abs(row - predicted).mean() < 0.5  # of 255: the command line finds the ink first


def test_other_images_keep_place_and_size(browser, make_model, tmp_path) -> None:
    model = make_model(anynet.mlp([100, 2]))
    model.metadata.update(image={"shape": [10, 10], "box": None, "shades": [1, -1]}, scale=1.0)
    browser.open(to_html(model), tmp_path)
    browser.draw([(0.15, 0.1), (0.15, 0.9)])
    browser.wait()
    row = np.array(browser.run(f"return Array.from({INPUT})"))
    dark = row.reshape(10, 10) < 0.5
    assert dark[2:8, 1].all()
    assert not dark[:, 3:].any()


@pytest.mark.parametrize("steps", [[{"kind": "deslant"}], [{"kind": "width", "width": 5}]])
def test_preprocessing_of_images_matches(browser, digits_model, digits, tmp_path, steps) -> None:
    from anynet.augment.preprocess import from_config, preprocess

    metadata = digits.metadata | {"preprocess": steps}
    model = anynet.Model(**(vars(digits_model) | {"metadata": metadata}))
    browser.open(to_html(model), tmp_path)
    x = digits.test[0][:20].astype(np.float64)
    found = browser.run(
        "const [step] = model.image.steps; const [height, width] = model.image.shape;"
        "return arguments[0].map((data) => STEPS[step.kind]({height, width, data}, step).data)"
        ".map((data) => Array.from(data))",
        x.tolist(),
    )
    np.testing.assert_allclose(found, preprocess(x, from_config(steps), (8, 8)), atol=1e-9)


def test_test_pictures_show_their_label(browser, digits_model, digits, tmp_path) -> None:
    x, y = digits.test
    browser.open(to_html(digits_model, samples=(x[:1], y[:1])), tmp_path)
    browser.click("sample")
    is_right = digits_model.predict(x[:1])[0] == y[0]
    assert browser.text("remark").startswith(f"Label: {y[0]} ")
    assert ("correct" in browser.text("remark")) == is_right
    shown = digits_model.predict_proba(x[:1]).max()
    assert browser.text("detail") == f"{100 * shown:.1f} %"
    browser.draw(SEVEN)
    assert browser.text("remark") == ""


def test_names_are_text_and_nothing_is_loaded(browser, digits_model, digits, tmp_path) -> None:
    names = [EVIL, "<b>1</b>", *digits.classes[2:]]
    browser.open(to_html(digits_model, classes=names, title=EVIL), tmp_path)
    browser.draw(SEVEN)
    assert browser.driver.title == EVIL
    assert EVIL in browser.text("bars")
    assert browser.run("return document.querySelectorAll('img, b').length") == 0
    browser.driver.set_script_timeout(5)
    blocked = browser.driver.execute_async_script(
        "const done = arguments[0];"
        "document.addEventListener('securitypolicyviolation', (e) => done(e.violatedDirective));"
        "const image = new Image(); image.src = 'http://127.0.0.1:9/x.png';"
    )
    assert blocked == "img-src"
    assert all("Content Security Policy" in each for each in browser.problems())


def test_a_table_is_a_form(browser, columns, tmp_path) -> None:
    columns = columns | {EVIL: columns["value"]}
    data = anynet.load_tabular_dataset(columns, target="two", test=0.2)
    network = anynet.mlp([data.n_inputs, 8, 2])
    model = anynet.fit(network, data.train, epochs=2, metadata=data.metadata, backend="numpy")
    browser.open(to_html(model, samples=columns), tmp_path)
    labels = [each.text for each in browser.driver.find_elements("tag name", "label")]
    assert labels == [name for name in columns if name != "two"]
    kinds = [
        each.get_attribute("type")
        for each in browser.driver.find_elements("css selector", ".inputs > :first-child")
    ]
    assert kinds == ["number", "number", *["select-one"] * 3, "date", "number"]
    value = browser.driver.find_element("id", "field-0")
    value.clear()
    value.send_keys("2.5")
    browser.wait(300)
    cells = browser.run("return model.table.columns.map(typicalCell)")
    cells[0] = 2.5
    expected = browser.run(
        "return predict(model, encodeRow(model.table, arguments[0]))[arguments[1]]",
        cells,
        list(data.classes).index(browser.text("answer")),
    )
    assert browser.text("detail") == f"{100 * expected:.1f} %"
    assert "value" in browser.text("effects")
    value.clear()
    assert browser.run("return document.querySelector('#field-0').placeholder") == "missing"
    browser.click("sample")
    assert browser.text("remark").startswith("Label: ")


@pytest.mark.parametrize("width", [1200, 400])
def test_number_fields_show_the_range_completely(browser, rng, tmp_path, width: int) -> None:
    place = rng.uniform(-124.35, -114.31, 200).round(2)
    columns = {"longitude": place, "rooms": rng.uniform(1, 9, 200), "price": place * 2}
    data = anynet.load_tabular_dataset(columns, target="price")
    network = anynet.mlp([data.n_inputs, 2, 1])
    how: Any = {"loss": "squared_error", "metadata": data.metadata, "backend": "numpy"}
    page = to_html(anynet.fit(network, data.train, epochs=1, **how))
    browser.driver.set_window_size(width, 900)
    try:
        browser.open(page, tmp_path)
        room, needed, slider = browser.run(
            """
            const input = document.getElementById("field-0"), look = getComputedStyle(input);
            const padding = parseFloat(look.paddingLeft) + parseFloat(look.paddingRight);
            const room = input.clientWidth - padding - parseFloat(look.fontSize); // of spin buttons
            const slider = input.nextElementSibling.clientWidth;
            const text = document.createElement("span");
            text.textContent = "-118.49";
            document.body.append(text);
            return [room, text.getBoundingClientRect().width, slider];
            """
        )
    finally:
        browser.driver.set_window_size(1200, 900)
    assert room >= needed
    assert slider >= 50


def test_categories_of_forms_are_selected_or_typed(browser, rng, tmp_path) -> None:
    pandas = pytest.importorskip("pandas")
    shops = np.array([f"shop {each % 150}" for each in range(300)])
    x = pandas.DataFrame({"shop": shops, "kind": rng.choice(["a", "b"], 300)})
    y = np.where(x["kind"] == "a", "no", "yes")
    made = anynet.TabularClassifier(RealMLP(epochs=1, width=8), random_state=0, backend="numpy")
    made.fit(x, y)
    unseen = x[:1].assign(kind="c", **{made.preprocessing_.target.column: y[:1]})
    browser.open(to_html(made.ensemble_, samples=unseen), tmp_path)
    browser.click("sample")
    shop, kind = (browser.driver.find_element("id", f"field-{each}") for each in (0, 1))
    assert (shop.get_attribute("value"), shop.tag_name) == ("shop 0", "input")
    assert len(browser.run("return document.querySelectorAll('datalist option')")) == 150
    assert browser.run("return arguments[0].selectedOptions[0].text", kind) == "another category"


def test_the_most_likely_of_many_classes_are_listed(browser, make_model, tmp_path) -> None:
    model = make_model(anynet.mlp([3, 30]))
    browser.open(to_html(model, weights="float32"), tmp_path)
    (likely,) = model.predict_proba(np.zeros((1, 3), dtype=np.float32))
    names = browser.run("return [...document.querySelectorAll('#bars th')].map(e => e.innerText)")
    assert names == [str(each) for each in np.argsort(-likely)[:10]]


def test_values_are_in_the_units_of_the_table(browser, columns, tmp_path) -> None:
    columns = columns | {"price": 500 + 10 * columns["repeated"]}
    data = anynet.load_tabular_dataset(columns, target="price", task="regression", test=0.2)
    network = anynet.mlp([data.n_inputs, 8, 1])
    model = anynet.fit(network, data.train, epochs=5, metadata=data.metadata, backend="numpy")
    browser.open(to_html(model), tmp_path)
    assert 400 < float(browser.text("answer")) < 600
    assert not browser.driver.find_element("id", "bars").is_displayed()


def test_plain_inputs_are_fields_or_one_text(browser, make_model, tmp_path) -> None:
    model = make_model(anynet.mlp([3, 4, 2]))
    browser.open(to_html(model, classes=["no", "yes"]), tmp_path)
    field = browser.driver.find_element("id", "field-1")
    field.clear()
    field.send_keys("1.5")
    expected = model.predict_proba(np.array([[0, 1.5, 0]], dtype=np.float32))[0]
    assert browser.text("answer") == ["no", "yes"][expected.argmax()]
    assert browser.text("detail") == f"{100 * expected.max():.1f} %"
    wide = make_model(anynet.mlp([50, 2]))
    browser.open(to_html(wide), tmp_path)
    text = browser.driver.find_element("id", "row")
    text.clear()
    text.send_keys("1, 2, x")
    assert browser.text("answer") == "?"
    assert "Expected 50 numbers, found 2" in browser.text("row-problem")
    text.clear()
    text.send_keys(" ".join(["0.5"] * 50))
    expected = wide.predict_proba(np.full((1, 50), 0.5, dtype=np.float32)).max()
    assert browser.text("detail") == f"{100 * expected:.1f} %"


def test_several_labels_are_listed(browser, make_model, check, rng, tmp_path) -> None:
    model = make_model(anynet.mlp([5, 4, 3]), "binary_cross_entropy")
    x = rng.standard_normal((ROWS, 5)).astype(np.float32)
    check(model, x)
    browser.open(to_html(model, classes=["a", "b", "c"], samples=(x, model.predict(x))), tmp_path)
    browser.click("sample")
    assert "correct" in browser.text("remark")
    said = browser.text("answer")
    assert said in browser.text("remark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_whole_width(browser, digits_model, tmp_path, scheme: str) -> None:
    browser.emulate(360, 740, scheme)
    try:
        browser.open(to_html(digits_model), tmp_path)
        browser.draw(SEVEN, "touch")
        assert browser.text("answer") == "7"
        assert browser.run("return document.documentElement.scrollWidth") == 360
        paper = browser.run("return getComputedStyle(document.body).backgroundColor")
        assert (int(paper[4:].split(",")[0]) > 128) == (scheme == "light")
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
