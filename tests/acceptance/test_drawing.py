"""The page of a network that was trained on MNIST: ten drawn digits, and enlarged test images.

Needs MNIST's files in ANYNET_DATA_DIR or the cache, Selenium and Chromium.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsers import SEVEN, Browser, headless
from PIL import Image

import anynet
from anynet.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

Points = list[tuple[float, float]]


def arc(x: float, y: float, width: float, height: float, start: float, end: float) -> Points:
    """Return points of an ellipse between two angles in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 14))
    across, down = x + width * np.cos(angles), y + height * np.sin(angles)
    return list(zip(across.tolist(), down.tolist(), strict=True))


DIGITS: list[list[Points]] = [
    [arc(0.5, 0.5, 0.2, 0.32, -90, 270)],
    [[(0.55, 0.15), (0.45, 0.85)]],
    [[*arc(0.48, 0.32, 0.2, 0.17, -170, 30), (0.3, 0.82), (0.75, 0.8)]],
    [arc(0.48, 0.32, 0.2, 0.17, -160, 90) + arc(0.48, 0.66, 0.22, 0.18, -90, 150)],
    [[(0.35, 0.15), (0.28, 0.55), (0.75, 0.52)], [(0.65, 0.2), (0.6, 0.88)]],
    [[(0.7, 0.15), (0.38, 0.17), (0.34, 0.45), *arc(0.48, 0.63, 0.22, 0.2, -110, 140)]],
    [[(0.6, 0.13), (0.38, 0.45), *arc(0.5, 0.65, 0.17, 0.2, 190, 540)]],
    [SEVEN],
    [arc(0.5, 0.32, 0.15, 0.17, 90, 450) + arc(0.5, 0.68, 0.18, 0.19, -90, 270)],
    [[*arc(0.5, 0.35, 0.18, 0.19, 0, 360), (0.68, 0.35), (0.6, 0.88)]],
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        anynet.load_dataset("mnist", download=False)
    except anynet.DataError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("runs") / "run"
    train = ["train", "mnist", "--layers", "128,64", "--epochs", "5", "--quiet"]
    assert main([*train, "--backend", "numpy", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def browser(run: Path) -> Iterator[Browser]:
    export = ["export", str(run), "--format", "html", "--out", str(run / "page.html")]
    assert main(export) == 0
    with headless() as found:
        found.driver.get((run / "page.html").as_uri())
        yield found


def test_the_page_takes_less_than_600_kilobytes(browser: Browser, run: Path) -> None:
    assert (run / "page.html").stat().st_size < 600_000
    assert browser.run("return model.samples.labels.length") == 50


def test_drawn_digits_are_read(browser: Browser) -> None:
    answers = []
    for strokes in DIGITS:
        browser.click("clear")
        for stroke in strokes:
            browser.draw(stroke)
        answers.append(browser.text("answer"))
    assert answers == list("0123456789")


def test_enlarged_test_images_are_read(browser: Browser) -> None:
    x, y = (part[:200] for part in anynet.load_dataset("mnist").test)
    pictures = [
        np.asarray(Image.fromarray(row).resize((280, 280), Image.Resampling.BICUBIC))
        for row in x.reshape(-1, 28, 28).astype(np.uint8)
    ]
    script = """
        return arguments[0].map((text) => {
          const data = Float64Array.from(bytesOf(text), (level) => level / 255);
          const input = networkInput({ height: 280, width: 280, data }, model.image);
          return argmax(predict(model, input));
        });
    """
    answers: list[int] = []
    for start in range(0, len(pictures), 50):
        texts = [base64.b64encode(each.tobytes()).decode() for each in pictures[start : start + 50]]
        answers += browser.run(script, texts)
    assert np.mean(np.array(answers) == y) >= 0.94


def test_float32_weights_give_the_same_probabilities(
    browser: Browser, run: Path, tmp_path: Path
) -> None:
    model = anynet.load(run, backend="numpy")
    x = anynet.load_dataset("mnist").test[0][:200]
    browser.open(anynet.export.to_html(model, weights="float32"), tmp_path)
    np.testing.assert_allclose(browser.predict(x), model.predict_proba(x), rtol=0, atol=1e-5)
