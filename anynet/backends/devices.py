"""Device names: ``cpu``, ``cuda``, ``cuda:N``, ``mps``."""

from __future__ import annotations

import re

from anynet.errors import InvalidArgumentError


def check_device(device: str | None) -> None:
    """Refuse what is not the name of a device.

    Raises
    ------
    InvalidArgumentError
        If ``device`` is neither None, ``cpu``, ``cuda``, ``cuda:N`` nor ``mps``.
    """
    if device is not None and not (
        isinstance(device, str) and re.fullmatch(r"cpu|mps|cuda(:\d{1,4})?", device)
    ):
        message = f"device must be 'cpu', 'cuda', 'cuda:N' or 'mps', got {device!r}"
        raise InvalidArgumentError(message)


def device_index(device: str | None) -> int:
    """Return N of ``cuda:N``, 0 where none is given."""
    _, _, index = (device or "").partition(":")
    return int(index or 0)
