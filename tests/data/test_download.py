"""Downloads: complete and verified, or no file at all."""

import hashlib
import socket
import threading

import pytest

from anynet.data import download
from anynet.errors import DataError, InvalidArgumentError

CONTENT = bytes(range(256)) * 5000  # more than one chunk
MD5 = hashlib.md5(CONTENT).hexdigest()


def assert_raises(url, folder, match, error=DataError, **options):
    """Check that the download raises in one line with the given reason and leaves no file."""
    before = sorted(folder.iterdir())
    with pytest.raises(error, match=match) as caught:
        download(url, folder / "file", options.pop("md5", MD5), **options)
    assert "\n" not in str(caught.value)
    assert sorted(folder.iterdir()) == before


def test_a_file_is_downloaded(server, tmp_path):
    server.pages["/file"] = CONTENT
    seen = []
    target = tmp_path / "new" / "folder" / "file"
    download(server.url + "file", target, MD5, progress=lambda *counts: seen.append(counts))
    assert target.read_bytes() == CONTENT
    assert [entry.name for entry in target.parent.iterdir()] == ["file"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(seen) > 1
    assert seen == sorted(seen)


def test_a_wrong_checksum_raises_and_keeps_the_old_file(server, tmp_path):
    server.pages["/file"] = b"other"
    (tmp_path / "file").write_bytes(b"old")
    came = hashlib.md5(b"other").hexdigest()
    assert_raises(server.url + "file", tmp_path, f"expected the md5 {MD5}, got {came}")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_failed_download_leaves_no_empty_folder(server, tmp_path):
    server.pages["/file"] = b"other"
    (tmp_path / "kept").mkdir()
    for folder in (tmp_path / "new" / "deeper", tmp_path / "kept" / "new"):
        with pytest.raises(DataError, match="expected the md5"):
            download(server.url + "file", folder / "file", MD5)
    assert [entry.name for entry in tmp_path.rglob("*")] == ["kept"]


def test_a_missing_page_raises(server, tmp_path):
    assert_raises(server.url + "file", tmp_path, "404")


def test_a_refused_connection_raises(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert_raises(f"http://127.0.0.1:{port}/file", tmp_path, "cannot download")


def test_a_server_that_stops_sending_raises(server, tmp_path):
    """The server announces a size, sends a part, and stops."""
    done = threading.Event()

    def page(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT[:10])
        handler.wfile.flush()
        done.wait(10)

    server.pages["/file"] = page
    assert_raises(server.url + "file", tmp_path, "timed out", timeout=0.2)
    done.set()


def test_a_broken_connection_raises(server, tmp_path):
    def page(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT[:1000])

    server.pages["/file"] = page
    assert_raises(server.url + "file", tmp_path, f"ended after 1000 of {len(CONTENT)}")


def test_an_announced_size_above_the_limit_raises(server, tmp_path):
    server.pages["/file"] = CONTENT
    assert_raises(server.url + "file", tmp_path, f"gives {len(CONTENT)} bytes", max_bytes=1000)


def test_an_unannounced_size_above_the_limit_raises(server, tmp_path):
    def page(handler):
        handler.send_response(200)
        handler.end_headers()
        while True:  # until the client closes the connection
            handler.wfile.write(CONTENT)

    server.pages["/file"] = page
    assert_raises(server.url + "file", tmp_path, "too many bytes", max_bytes=4 << 20)


def test_a_file_of_unannounced_size_is_downloaded(server, tmp_path):
    def page(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(CONTENT)

    server.pages["/file"] = page
    seen = []
    download(server.url + "file", tmp_path / "f", MD5, progress=lambda *c: seen.append(c))
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), None)


def test_ctrl_c_leaves_no_file(server, tmp_path):
    server.pages["/file"] = CONTENT
    pressed = KeyboardInterrupt("pressed")

    def interrupt(*_):
        assert any(tmp_path.iterdir()), "the temporary file is in the folder of the target"
        raise pressed

    assert_raises(
        server.url + "file", tmp_path, "pressed", error=KeyboardInterrupt, progress=interrupt
    )


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "file:///etc/hostname", "x", "", "data:,x"])
def test_other_url_schemes_raise(url, tmp_path):
    assert_raises(url, tmp_path, "http or https", error=InvalidArgumentError)


@pytest.mark.parametrize(
    ("target", "match"),
    [("ftp://127.0.0.1/x", "unknown url type: ftp"), ("file:///etc/hostname", "not allowed")],
)
def test_redirects_to_other_schemes_raise(server, tmp_path, target, match):
    def page(handler):
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.end_headers()

    server.pages["/file"] = page
    assert_raises(server.url + "file", tmp_path, match)


def test_redirects_are_followed(server, tmp_path):
    def page(handler):
        handler.send_response(302)
        handler.send_header("Location", server.url + "there")
        handler.end_headers()

    server.pages.update({"/file": page, "/there": CONTENT})
    download(server.url + "file", tmp_path / "file", MD5)
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["http://", "http://[", "http://127.0.0.1:x/", "http://a b/\n"])
def test_invalid_addresses_raise(url, tmp_path):
    assert_raises(url, tmp_path, "cannot download")


def test_an_unwritable_target_raises(server, tmp_path):
    server.pages["/file"] = CONTENT
    (tmp_path / "occupied").write_text("a file")
    with pytest.raises(DataError, match="cannot download"):
        download(server.url + "file", tmp_path / "occupied" / "file", MD5)
