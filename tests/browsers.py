"""A real headless browser for web pages: Chromium through Selenium.

``python tests/browsers.py RUN FILE.png`` takes a picture of the page of a run of MNIST.
"""

from __future__ import annotations

import base64
import io
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import anynet

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"),
    *("--hide-scrollbars", "--disable-background-networking", "--window-size=1200,900"),
)


SEVEN = [(0.25, 0.2), (0.72, 0.2), (0.6, 0.45), (0.42, 0.85)]


class Browser:
    """One browser that opens pages of anynet, one after another."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: str, folder: Path) -> None:
        """Open the text of a page as a local file."""
        path = folder / "page.html"
        path.write_text(page, encoding="utf-8")
        self.driver.get(path.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page, as the body of a function."""
        return self.driver.execute_script(script, *arguments)

    def predict(self, rows: Any) -> np.ndarray:
        """Return what the page predicts for inputs of the network."""
        script = "return arguments[0].map((row) => Array.from(predict(model, row)))"
        return np.array(self.run(script, np.asarray(rows, dtype=np.float64).tolist()))

    def text(self, name: str) -> str:
        """Return the text of the element with an id, after the next frames are shown."""
        self.wait()
        return str(self.run("return document.getElementById(arguments[0]).textContent", name))

    def wait(self, milliseconds: int = 0) -> None:
        """Wait until changes are on the page."""
        self.driver.execute_async_script(
            "const [time, done] = arguments; setTimeout(() => requestAnimationFrame(() => "
            "requestAnimationFrame(() => done())), time)",
            milliseconds,
        )

    def click(self, name: str) -> None:
        """Click the element with an id."""
        self.driver.find_element("id", name).click()

    def draw(self, points: Sequence[tuple[float, float]], pointer: str = "mouse") -> None:
        """Draw a line through points (x, y) of the canvas, as shares of its sides."""
        box = "const {left, top, width, height} = canvas.getBoundingClientRect()"
        self.run("canvas.scrollIntoView({block: 'center'})")
        left, top, width, height = self.run(f"{box}; return [left, top, width, height]")
        between = np.linspace(0, len(points) - 1, 4 * (len(points) - 1) + 1)
        x, y = (np.interp(between, range(len(points)), each) for each in zip(*points, strict=True))
        places = [(left + i * width, top + j * height) for i, j in zip(x, y, strict=True)]
        for kind, place in zip(
            ("Pressed", *["Moved"] * len(places), "Released"),
            (places[0], *places, places[-1]),
            strict=True,
        ):
            self._send(kind, place, pointer)

    def _send(self, kind: str, place: tuple[float, float], pointer: str) -> None:
        point = dict(zip("xy", place, strict=True))
        if pointer == "touch":
            kind = {"Pressed": "Start", "Moved": "Move", "Released": "End"}[kind]
            points = [] if kind == "End" else [point]
            self._command("dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
            return
        event = point | {"type": f"mouse{kind}", "button": "left", "clickCount": 1}
        event |= {"buttons": int(kind != "Released"), "pointerType": pointer}
        self._command("dispatchMouseEvent", event)

    def _command(self, name: str, options: dict[str, Any]) -> None:
        self.driver.execute_cdp_cmd(f"Input.{name}", options)

    def emulate(self, width: int, height: int, scheme: str = "light") -> None:
        """Set the size of the screen and the colour scheme, light or dark."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def picture(self) -> bytes:
        """Return a picture of the whole page as PNG."""
        options = {"format": "png", "captureBeyondViewport": True}
        found = self.driver.execute_cdp_cmd("Page.captureScreenshot", options)
        return base64.b64decode(found["data"])

    def problems(self) -> list[str]:
        """Return the errors and warnings in the browser's console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@contextmanager
def headless() -> Iterator[Browser]:
    """Start a browser, or skip the test if Selenium or the browser is missing."""
    webdriver = pytest.importorskip("selenium.webdriver")
    service = pytest.importorskip("selenium.webdriver.chrome.service")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("there is no Chromium with chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = webdriver.Chrome(options=options, service=service.Service(driver))
    try:
        yield Browser(running)
    finally:
        running.quit()


def main(run: str, file: str) -> None:
    """Write a picture of the page of a run, after a 7 was drawn."""
    page = anynet.export.to_html(anynet.load(run, backend="numpy"))
    with headless() as browser, tempfile.TemporaryDirectory() as folder:
        browser.emulate(1000, 800)
        browser.open(page, Path(folder))
        browser.draw(SEVEN)
        browser.wait(300)
        picture = Image.open(io.BytesIO(browser.picture())).convert("RGB")
        picture.quantize(64, dither=Image.Dither.NONE).save(file, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
