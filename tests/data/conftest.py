"""Fixtures of the data tests: no test reads the user's data folders or uses the network."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from anynet.data import write_idx

OWN_DATA = os.environ.get("ANYNET_DATA_DIR")
STEMS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory) -> Path:
    """Give every test its own empty cache and no data folder."""
    folder = tmp_path_factory.mktemp("cache") / "anynet"
    monkeypatch.setenv("ANYNET_CACHE_DIR", str(folder))
    monkeypatch.delenv("ANYNET_DATA_DIR", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return folder


@pytest.fixture
def real_mnist() -> Path:
    if OWN_DATA is None or not (Path(OWN_DATA) / "mnist").is_dir():
        pytest.skip("needs ANYNET_DATA_DIR with a folder mnist")
    return Path(OWN_DATA)


@dataclass
class Four:
    """The arrays of a synthetic data set, as stored in its files."""

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    def write(self, folder: Path, suffix: str = ".gz", names: tuple[str, ...] = STEMS) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in zip(names, vars(self).values(), strict=True):
            write_idx(folder / f"{name}{suffix}", array)


@pytest.fixture
def make_four() -> Callable[..., Four]:
    """Make 30 + 10 images of 4×3 bytes, different for each seed."""

    def make(seed: int = 0, first_label: int = 0, classes: int = 10) -> Four:
        generator = np.random.default_rng(seed)
        labels = np.arange(40, dtype=np.uint8) % classes + first_label
        images = generator.integers(0, 256, (40, 4, 3), dtype=np.uint8)
        return Four(images[:30], labels[:30].astype("u1"), images[30:], labels[30:].astype("u1"))

    return make


@dataclass
class Server:
    """Start a local web server; a page is bytes to send or a function of the handler."""

    url: str = ""
    pages: dict[str, bytes | Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            page = state.pages.get(self.path)
            if page is None:
                self.send_error(404)
            elif callable(page):
                page(self)
            else:
                self.send_response(200)
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    class QuietServer(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Ignore errors: some tests close the connection."""

    with QuietServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}/"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        http.shutdown()
        thread.join()
