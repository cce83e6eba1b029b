"""Many spoilt files through one reader, with bounds on what may come out, on memory and on time.

The search is guided by coverage: an input that makes anynet run a line that none before it ran is
kept, and spoilt further.
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
SECONDS = 10.0  # of the processor, for one small file
MEMORY = 256 << 20  # bytes above what the process has: deflate turns 64 KiB into 64 MiB
MESSAGE = 4000  # characters that a message may have beside the path
Line = tuple[CodeType, int]


@dataclass(frozen=True)
class Reader:
    """What reads a kind of file, and valid files of that kind."""

    name: str
    suffix: str
    read: Callable[[Path], Any]
    valid: Callable[[], tuple[bytes, ...]]
    spoil: Mutation

    def __str__(self) -> str:
        return self.name


def search(reader: Reader, inputs: int, folder: Path, seed: int = 0) -> dict[str, int]:
    """Give a reader so many spoilt files; return how many it accepted and refused.

    Raises
    ------
    AssertionError
        If anything but one of anynet's own errors comes out, in one line of printable characters,
        or if a file costs too much time or memory.
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
            content = reader.spoil(random, random.choice(corpus), valid)[: 1 << 16]
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
    """Read one file as a reader must."""
    try:
        with traced(ran):
            reader.read(path)
    except anynet.AnynetError as error:
        refusal = error
    else:
        return "accepted"
    message = str(refusal).replace(str(path), "")
    assert message.isprintable(), f"not one line that can be shown: {message[:500]!r}"
    assert len(message) < MESSAGE, f"a message of {len(message)} characters"
    assert not _ran_out_of_memory(refusal), "it asked for more memory than it may"
    return "refused"


def _ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error came of a MemoryError of Python's; that of its parser is about depth.

    Arrow asks the system for what a message claims, which costs nothing, and takes its no.
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
    """Note the lines of anynet that run in the block."""

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
    """Let the process have no more than so many bytes of addresses beyond those it has; Linux."""
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
