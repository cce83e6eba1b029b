"""Several sources one after another, such as the parts of a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anynet.data.sources.source import Source, read_checked
from anynet.errors import DataError


class Joined(Source):
    """The samples of sources of equally many inputs, in their order.

    Raises
    ------
    DataError
        When they differ in their inputs, or only some have targets.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        widths = {source.shape[1] for source in sources}
        if len(widths) != 1:
            message = f"expected sources with equally many inputs, got {sorted(widths)}"
            raise DataError(message)
        targets = [source.y for source in sources if source.y is not None]
        if targets and len(targets) < len(sources):
            message = f"only {len(targets)} of {len(sources)} sources have targets: expected all"
            raise DataError(message)
        self.sources = list(sources)
        self.ends = np.cumsum([len(source) for source in sources])
        self.shape = (int(self.ends[-1]), widths.pop())
        self.dtype = np.result_type(*(source.dtype for source in sources))
        self.y = np.concatenate(targets) if targets else None
        self.window = min(source.window for source in sources)
        starts = [source.starts for source in sources]
        if all(each is not None for each in starts):
            begins = self.ends - [len(source) for source in sources]
            pairs = zip(starts, begins, strict=True)
            self.starts = np.concatenate([each + begin for each, begin in pairs])

    def read(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        self.read_into(rows, out)
        return out

    def read_into(self, rows: np.ndarray, out: np.ndarray) -> None:
        borders = [0, *np.searchsorted(rows, self.ends).tolist()]
        for index, source in enumerate(self.sources):
            low, high = borders[index], borders[index + 1]
            if low == high:
                continue
            wanted = rows[low:high] - (self.ends[index] - len(source))
            if source.dtype == self.dtype:
                source.read_into(wanted, out[low:high])
            else:
                out[low:high] = read_checked(source, wanted)
