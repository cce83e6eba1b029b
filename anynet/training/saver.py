"""What a run does for its checkpoints: a few calls between its steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from anynet.errors import CheckpointError
from anynet.training.checkpoints import CheckpointFolder
from anynet.training.description import describe, describe_backend, fingerprint
from anynet.training.signals import Deferred, deferred_signals
from anynet.training.snapshot import restore, snapshot
from anynet.training.state import TrainState

if TYPE_CHECKING:
    from anynet.training.run import Run


class Saver:
    """Writes the checkpoints of one run: at its start, whenever one is due, and before it leaves.

    Parameters
    ----------
    run : Run
    folder : CheckpointFolder
    signals : Deferred
        What would have ended the run; it is let through when a checkpoint is written.
    """

    def __init__(self, run: Run, folder: CheckpointFolder, signals: Deferred) -> None:
        self.run = run
        self.folder = folder
        self.signals = signals
        self.about = about(run, folder)

    def begin(self, state: TrainState) -> TrainState:
        """Return the state to start from: a checkpoint's, or the one given, which is then kept."""
        if self.run.resumed is not None:
            return restore(self.run, state, self.run.resumed)
        self._write(state)
        return state

    def within_epoch(self, state: TrainState) -> None:
        """Look at the clock and the signals between two parts of an epoch."""
        if self.signals.came is not None or self.folder.is_due():
            self._write(state)
        self.signals.deliver()

    def after_epoch(self, state: TrainState) -> None:
        """Do the same after an epoch, and write what has come to its end."""
        history = self.run.history
        due = history.stopped or self.folder.is_due_after(len(history.records))
        if due or self.signals.came is not None:
            self._write(state)
        self.signals.deliver()

    def _write(self, state: TrainState) -> None:
        run = self.run
        step = int(run.step.backend.to_host(state.step))
        try:
            self.folder.write(snapshot(run, state, self.about), step)
        except CheckpointError as error:
            raise CheckpointError(str(error), run.model()) from error


def about(run: Run, folder: CheckpointFolder) -> dict[str, Any]:
    """Return what stays the same throughout a run: its arguments, its data, and where it runs."""
    backend = run.step.backend
    return {
        "arguments": describe(run),
        "backend": describe_backend(backend),
        "every": folder.every,
        "keep": folder.keep,
        "training": fingerprint(run.training, backend),
        "held_out": None if run.held_out is None else fingerprint(run.held_out, backend),
    }


@contextlib.contextmanager
def saving(run: Run) -> Iterator[Saver | None]:
    """Give a run its saver, and put signals off meanwhile; None if it keeps no checkpoints."""
    if run.checkpoints is None:
        yield None
        return
    with deferred_signals() as signals:
        yield Saver(run, run.checkpoints, signals)
