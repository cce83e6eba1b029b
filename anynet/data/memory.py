"""The memory that is available on this machine."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUPS = (  # limit, statistics and the key of the used memory, for versions 2 and 1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.stat", "anon"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
        "total_rss",
    ),
)


def available_memory() -> int | None:
    """Return the bytes that can be allocated without swapping, None if that is unknown.

    On Linux it is the estimate of the kernel (``MemAvailable``), or what a container leaves if
    that is less; elsewhere the free pages.
    """
    found = [_number(Path("/proc/meminfo"), "MemAvailable:", 1024)]
    for limit, statistics, key in _CGROUPS:
        most, used = _number(Path(limit)), _number(Path(statistics), key)
        found.append(None if most is None or used is None else max(0, most - used))
    known = [number for number in found if number is not None]
    if known:
        return min(known)
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows, macOS
        return None


def _number(path: Path, key: str | None = None, unit: int = 1) -> int | None:
    """Return the number in a file, or that after a key; None if there is none."""
    try:
        words = path.read_text().split()
        return int(words[words.index(key) + 1 if key else 0]) * unit
    except (OSError, ValueError, IndexError):
        return None
