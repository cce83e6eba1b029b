"""Fuzzing of one reader with corrupted files, with limits on errors, memory and time.

The search is guided by coverage: an input that runs a line of anynet for the first time is kept
and corrupted further.
"""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import CodeType, FrameType
from typing import Any

from fuzz.mutations import Mutation

import anynet

PACKAGE = str(Path(anynet.__file__).parent)
SECONDS = 10.0  # seconds of CPU time per small file
MEMORY = 256 << 20  # bytes above the current use: deflate expands 64 KiB to 64 MiB
MESSAGE = 4000  # maximum number of characters of a message without the path
Line = tuple[CodeType, int]


@dataclass(frozen=True)
class Reader:
    """A reader of one kind of file, with valid files of that kind."""

    name: str
    suffix: str
    read: Callable[[Path], Any]
    valid: Callable[[], tuple[bytes, ...]]
    corrupt: Mutation

    def __str__(self) -> str:
        return self.name


def search(reader: Reader, inputs: int, folder: Path, seed: int = 0) -> dict[str, int]:
    """Give a reader corrupted files; return the numbers of accepted and rejected files.

    Raises
    ------
    AssertionError
        If the reader raises anything except an error of anynet with one line of printable
        characters, or if a file needs too much time or memory.
    """
    random = Random(f"{reader.name} {seed}")
    valid = reader.valid()
    corpus, known = list(valid), set[Line]()
    counts = {"accepted": 0, "refused": 0}
    path = folder / f"file{reader.suffix}"
    with memory_limit(MEMORY):
        for content in valid:
            path.write_bytes(content)
            known |= lines_of(lambda: reader.read(path))
        for number in range(inputs):
            content = reader.corrupt(random, random.choice(corpus), valid)[: 1 << 16]
            path.write_bytes(content)
            ran: set[Line] = set()
            start = time.process_time()
            try:
                outcome = try_to_read(reader, path, ran)
            except BaseException as error:
                error.add_note(f"{reader.name}, input {number}: {b64encode(content).decode()}")
                raise
            assert time.process_time() - start < SECONDS, f"{reader.name}, input {number} is slow"
            counts[outcome] += 1
            if not ran <= known:
                known |= ran
                corpus.append(content)
    return counts


def try_to_read(reader: Reader, path: Path, ran: set[Line]) -> str:
    """Read one file and check the requirements for readers."""
    try:
        with traced(ran):
            reader.read(path)
    except anynet.AnynetError as error:
        refusal = error
    else:
        return "accepted"
    message = str(refusal).replace(str(path), "")
    assert message.isprintable(), f"not one printable line: {message[:500]!r}"
    assert len(message) < MESSAGE, f"a message of {len(message)} characters"
    assert not _ran_out_of_memory(refusal), "it requested more memory than permitted"
    return "refused"


def _ran_out_of_memory(error: BaseException) -> bool:
    """Return whether a MemoryError of Python caused an error; the parser's own is about depth.

    Arrow requests the size that a message claims, which costs nothing, and accepts a refusal.
    """
    cause = error.__cause__ or error.__context__
    if not isinstance(cause, MemoryError) or type(cause).__module__.startswith("pyarrow"):
        return False
    return Path(traceback.extract_tb(cause.__traceback__)[-1].filename).name != "ast.py"


def lines_of(action: Callable[[], Any]) -> set[Line]:
    """Return the lines of anynet that an action runs."""
    ran: set[Line] = set()
    with traced(ran):
        action()
    return ran


@contextlib.contextmanager
def traced(ran: set[Line]) -> Iterator[None]:
    """Record the lines of anynet that run in the block."""

    def line(frame: FrameType, event: str, _: Any) -> Any:  # noqa: ARG001
        ran.add((frame.f_code, frame.f_lineno))
        return line

    def call(frame: FrameType, event: str, _: Any) -> Any:  # noqa: ARG001
        return line if frame.f_code.co_filename.startswith(PACKAGE) else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield
    finally:
        sys.settrace(before)


@contextlib.contextmanager
def memory_limit(extra: int) -> Iterator[None]:
    """Limit the additional address space of the process, in bytes (Linux)."""
    try:
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + extra, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
