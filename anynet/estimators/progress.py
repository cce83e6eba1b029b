"""A progress bar over the epochs of a fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from anynet.training.history import Callback, EpochRecord


@contextmanager
def progress_bar(epochs: int) -> Iterator[Callback]:
    """Give a callback that draws one bar on standard error, by tqdm.

    Raises
    ------
    ImportError
        If tqdm is missing.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        message = "progress_bar=True needs tqdm: pip install tqdm"
        raise ImportError(message) from error
    with tqdm(total=epochs, unit="epoch") as bar:

        def update(record: EpochRecord) -> None:
            figures = {"loss": f"{record.train_loss:.4f}"}
            if record.validation_score is not None:
                figures["validation"] = f"{record.validation_score:.4f}"
            bar.set_postfix(figures, refresh=False)
            bar.update()

        yield update
