"""Mutations of a valid file: as bytes, as text, as JSON, and inside its container."""

from __future__ import annotations

import copy
import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Mutation = Callable[[Random, bytes, Sequence[bytes]], bytes]
"""``(random, content, other valid contents) -> corrupted content``."""

EXTREMES = (
    0, 1, -1, 2, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40,
    2**53, 2**63 - 1, 2**63, 2**64 - 1, 10**400,
)  # fmt: skip
WORDS = (
    "", "nan", "inf", "-inf", "1e999", "-1", "0x" + "f" * 5000, "9" * 5000, "true", "null", "\0",
    "\n", "\r", "\u2028", "\x1b[31m", "\ufeff", "é", "\U0001f600", "~nobody-of-this-name/x", "..",
    "../../etc/passwd", "/etc/passwd", "a" * 3000, "[" * 1500, "{" * 1500, '"', "'''", "#", ",",
    "1979-05-27T07:32:00Z", "0.1", "a.b.c", "__class__", "%s%n", "{0}",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 0.5, -0.0, 1e308, -1e308, 1e-320, float("nan"), float("inf"),
    2**31, 2**63, 2**64, 10**400, "", "0", "nan", "\0", "\ud800", "a\nb", "\x1b[2J", "../../x",
    "x" * 3000, [], [[]], {}, {"kind": "dense"}, [0], [-1], [2**40, 2**40], [1] * 100, {"": None},
)  # fmt: skip
FORMATS = ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")


def corrupt_bytes(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Make one to four changes without knowledge of the format."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        random.choice(_BYTE_CHANGES)(random, data, others)
    return bytes(data)


def corrupt_text(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change lines, numbers and words of a text, occasionally its bytes."""
    if random.random() < 0.3:
        return corrupt_bytes(random, content, others)
    lines = content.decode("utf-8", "replace").split("\n")
    at = random.randrange(len(lines))
    start, found, value = lines[at].partition(random.choice((" = ", ": ", ",", "=")))
    change = random.randrange(5)
    if change == 0:
        lines.insert(at, lines[random.randrange(len(lines))])
    elif change == 1:
        del lines[at]
    elif change == 2:
        lines[at] = start + found + random.choice(WORDS)
    elif change == 3:
        lines[at] = start + found + _toml(random, random.choice(VALUES))
    else:
        cut = random.randrange(len(value) + 1)
        lines[at] = start + found + value[:cut] + random.choice(WORDS) + value[cut:]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def corrupt_json(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change a value, key or depth at one or two places of a JSON document."""
    if random.random() < 0.2:
        return corrupt_text(random, content, others)
    try:
        document = json.loads(content)
        for _ in range(random.choice((1, 1, 2))):
            document = corrupt_document(random, document)
        return json.dumps(document).encode()
    except (ValueError, RecursionError):
        return corrupt_bytes(random, content, others)


def corrupt_document(random: Random, document: Any) -> Any:
    """Return the document with one change, made in place where possible."""
    place = document
    while True:
        if not isinstance(place, (dict, list)) or not place:
            return copy.deepcopy(random.choice(VALUES))
        key = (
            random.choice(list(place)) if isinstance(place, dict) else random.randrange(len(place))
        )
        if isinstance(place[key], (dict, list)) and place[key] and random.random() < 0.8:
            place = place[key]
            continue
        break
    change = random.randrange(8)
    if change == 0:
        del place[key]
    elif change == 1 and isinstance(place, dict):
        place[random.choice((*WORDS[:5], "kind", "0.weight", "../x"))] = place.pop(key)
    elif change == 2 and isinstance(place, list):
        place.extend(place * random.choice((1, 2, 50)) if len(place) < 100 else [])
    elif change == 3:
        place[key] = _nested(random.choice((2, 50, 900)), place[key])
    elif change == 4 and type(place[key]) in (int, float):
        place[key] = random.choice(EXTREMES)
    else:
        place[key] = copy.deepcopy(random.choice(VALUES))
    return document


def within_gzip(mutate: Mutation) -> Mutation:
    """Corrupt the compressed content in a valid container or, equally often, the container."""

    def corrupt(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
        if random.random() < 0.5:
            return corrupt_bytes(random, content, others)
        try:
            inner = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            return corrupt_bytes(random, content, others)
        return gzip.compress(mutate(random, inner, [inner]), compresslevel=1)

    return corrupt


def within_zip(mutate: Mutation) -> Mutation:
    """Corrupt a member or its name and repack it with a valid checksum, or corrupt the archive."""

    def corrupt(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
        if random.random() < 0.5:
            return corrupt_bytes(random, content, others)
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = {name: archive.read(name) for name in archive.namelist() if name}
        except Exception:  # the archive was corrupted before: corrupt its bytes again
            return corrupt_bytes(random, content, others)
        if not members:
            return corrupt_bytes(random, content, others)
        name = random.choice(list(members))
        inner = mutate(random, members.pop(name), list(members.values()) or [b"x"])
        if random.random() < 0.1:
            name = random.choice(("../../x.npy", "/etc/x.npy", "x.npy", "a\\b.npy", "x" * 9000))
        members[name] = inner
        buffer = io.BytesIO()
        method = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        with zipfile.ZipFile(buffer, "w", method, compresslevel=1) as archive:
            for each, data in members.items():
                archive.writestr(each, data)
        return buffer.getvalue()

    return corrupt


def corrupt_safetensors(random: Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Corrupt the header or its configuration and correct its length, or corrupt the bytes."""
    try:
        (length,) = struct.unpack("<Q", content[:8])
        header, tensors = json.loads(content[8 : 8 + length]), content[8 + length :]
        where = random.random()
        if where < 0.5:
            config = header["__metadata__"]["anynet"].encode()
            corrupted = corrupt_json(random, config, [config])
            header["__metadata__"]["anynet"] = corrupted.decode("utf-8", "surrogateescape")
        elif where < 0.8:
            header = corrupt_document(random, header)
        else:
            return corrupt_bytes(random, content, others)
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError):
        return corrupt_bytes(random, content, others)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + tensors


def _nested(depth: int, value: Any) -> Any:
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def _toml(random: Random, value: Any) -> str:
    if isinstance(value, (dict, list)) and random.random() < 0.2:
        return "[" * 800 + "]" * 800
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key or 'k'} = 1" for key in value) + " }"
    return "nan" if value is None else json.dumps(value)


def _cut(random: Random, data: bytearray, others: Sequence[bytes]) -> None:  # noqa: ARG001
    del data[random.randrange(len(data) + 1) :]


def _flip(random: Random, data: bytearray, others: Sequence[bytes]) -> None:  # noqa: ARG001
    if data:
        data[_early(random, len(data))] ^= 1 << random.randrange(8)


def _put_number(random: Random, data: bytearray, others: Sequence[bytes]) -> None:  # noqa: ARG001
    form = random.choice(FORMATS)
    size = struct.calcsize(form)
    at = _early(random, len(data) or 1)
    data[at : at + size] = struct.pack(form, random.choice(EXTREMES) % 256**size)


def _drop(random: Random, data: bytearray, others: Sequence[bytes]) -> None:  # noqa: ARG001
    at = _early(random, len(data) or 1)
    del data[at : at + random.choice((1, 2, 4, 8, 64))]


def _repeat(random: Random, data: bytearray, others: Sequence[bytes]) -> None:  # noqa: ARG001
    at = _early(random, len(data) or 1)
    piece = data[at : at + random.choice((1, 4, 16, 64))]
    data[at:at] = piece * random.choice((1, 2, 100))


def _insert_word(random: Random, data: bytearray, others: Sequence[bytes]) -> None:  # noqa: ARG001
    at = random.randrange(len(data) + 1)
    data[at:at] = random.choice(WORDS).encode()


def _insert_noise(random: Random, data: bytearray, others: Sequence[bytes]) -> None:  # noqa: ARG001
    at = random.randrange(len(data) + 1)
    data[at:at] = random.randbytes(random.choice((1, 8, 100)))


def _splice(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    other = random.choice(others)
    data[random.randrange(len(data) + 1) :] = other[random.randrange(len(other) + 1) :]


def _early(random: Random, length: int) -> int:
    """Return a position, half of the time in the first bytes, where headers are."""
    return random.randrange(min(length, 64) if random.random() < 0.5 else length)


_BYTE_CHANGES = (
    _cut, _flip, _flip, _put_number, _put_number, _drop, _repeat, _insert_word, _insert_noise,
    _splice,
)  # fmt: skip
