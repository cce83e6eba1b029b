"""A run as a checkpoint, and back: all that changes while it trains."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from anynet import tree
from anynet.errors import CheckpointError
from anynet.training.checkpoint import Checkpoint
from anynet.training.history import EpochRecord, History, StopReason
from anynet.training.state import TrainState, Weights
from anynet.training.stopping import Plateau

if TYPE_CHECKING:
    from anynet.backends import Backend
    from anynet.training.run import Run


def snapshot(run: Run, state: TrainState, about: dict[str, Any]) -> Checkpoint:
    """Return where a run stands, with what is known about it."""
    backend, stopping, plateau = run.step.backend, run.stopping, run.plateau
    best = Weights((), ()) if run.best is None else run.best
    leaves = [
        *tree.flatten(state, "state"),
        *tree.flatten(best.params, "best"),
        *tree.flatten(best.states, "best_states"),
    ]
    content = {
        "seen": run.seen,
        "seconds": run.seconds,
        "history": asdict(run.history),
        "stopping": {"best": stopping.best, "waited": stopping.waited},
        "plateau": None
        if plateau is None
        else {"factor": plateau.factor, "best": plateau.best, "waited": plateau.waited},
    }
    arrays = {name: backend.to_host(leaf) for name, leaf in leaves}
    return Checkpoint(arrays, about | content)


def restore(run: Run, state: TrainState, checkpoint: Checkpoint) -> TrainState:
    """Put a run where it stood; return the state to go on from.

    Parameters
    ----------
    run : Run
    state : TrainState
        Of the first step, which tells the shapes.
    checkpoint : Checkpoint

    Raises
    ------
    CheckpointError
        If the checkpoint is not of such a run.
    """
    backend, content = run.step.backend, checkpoint.content
    arrays = dict(checkpoint.arrays)
    try:
        state = _placed("state", state, arrays, backend)
        if any(name.startswith("best.") for name in arrays):
            run.best = Weights(
                _placed("best", state.params, arrays, backend),
                _placed("best_states", state.states, arrays, backend),
            )
        if arrays:
            message = f"it has the unknown arrays {', '.join(sorted(arrays))}"
            raise ValueError(message)
        history = dict(content["history"])
        history["records"] = [EpochRecord(*record) for record in history["records"]]
        if history["stop_reason"] is not None:
            history["stop_reason"] = StopReason(history["stop_reason"])
        run.history = History(**history)
        run.stopping = replace(run.stopping, **content["stopping"])
        if not _is_sound(run, content["seen"]):
            message = "its history, its best weights and its place in an epoch do not go together"
            raise ValueError(message)
        if run.plateau is not None:
            run.plateau = Plateau(run.plateau.rule, **content["plateau"])
        run.seen, run.seconds = content["seen"], content["seconds"]
    except (KeyError, TypeError, ValueError) as error:
        message = f"the checkpoint is not of this run: {error}"
        raise CheckpointError(message) from error
    return state


def _is_sound(run: Run, seen: int) -> bool:
    history = run.history
    if not history.records:  # then the first epoch is the best
        best = history.best_epoch == 0 and run.best is None and not history.stopped
        best = best and run.stopping.best == float("-inf")
    else:
        best = 0 < history.best_epoch <= len(history.records) and run.best is not None
    return best and 0 <= seen < run.training.n_samples


def _placed(name: str, like: Any, arrays: dict[str, np.ndarray], backend: Backend) -> Any:
    """Take the leaves of a tree out of ``arrays``, and place them on the device."""
    placed = {}
    for path, leaf in tree.flatten(like, name):
        wanted, found = backend.to_host(leaf), arrays.pop(path)
        if (wanted.shape, wanted.dtype) != (found.shape, found.dtype):
            message = (
                f"{path} should be {wanted.dtype} {wanted.shape}, got {found.dtype} {found.shape}"
            )
            raise ValueError(message)
        placed[path] = backend.to_device(np.array(found))  # a copy: a loop may write into it
    return tree.rebuild(like, placed, name)
