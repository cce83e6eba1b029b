"""Convert a run to a checkpoint and back: everything that changes during training."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from anynet import tree
from anynet.backends import Backend
from anynet.config import from_config, is_registered, to_config
from anynet.data.subset import fingerprint
from anynet.errors import CheckpointError
from anynet.nn.network import Network
from anynet.training.checkpoint.container import Container
from anynet.training.checkpoint.folder import CheckpointFolder
from anynet.training.history import EpochRecord, History, Plateau, StopReason
from anynet.training.options import OPTION_NAMES, FitOptions
from anynet.training.signals import Deferred
from anynet.training.state import TrainState, Weights

if TYPE_CHECKING:
    from anynet.training.run import Run

FAMILIES = ("loss", "optimizer", "schedule", "augmentation")
GIVEN = "given"  # instead of validation arrays, which are not stored
_COUNT, _NUMBER, _MAYBE = int, int | float, int | float | None
_SAMPLES = {"rows": _COUNT, "columns": _COUNT, "digest": str, "blocks": str}

#: The types of a checkpoint's JSON, see ``check_form``.
CONTENT: dict[str, Any] = {
    "arguments": dict,  # FitOptions checks its own
    "backend": {"name": str, "device": str, "dtype": str, "precision": str | None},
    "every": _COUNT | str,
    "keep": _COUNT,
    "training": _SAMPLES,
    "held_out": (None, _SAMPLES),
    "seen": _COUNT,
    "seconds": _NUMBER,
    "history": {
        "metric": str,
        "records": [[_COUNT, _NUMBER, _NUMBER, _NUMBER, _MAYBE, _MAYBE, _NUMBER, _MAYBE]],
        "best_epoch": _COUNT,
        "stopped": str,
        "warning": str,
        "scoring": str,
        "stop_reason": str | None,
    },
    "stopping": {"best": _NUMBER, "waited": _COUNT},
    "plateau": (None, {"factor": _NUMBER, "best": _NUMBER, "waited": _COUNT}),
}


class Saver(Deferred):
    """Write the checkpoints of a run: at its start, when one is due, and before it ends.

    Within its ``with`` block, signals are delivered after a checkpoint is written. In a group,
    process 0 writes; a signal to one process counts for all of them.

    Parameters
    ----------
    run : Run
    folder : CheckpointFolder or None
        None: nothing is written.
    """

    def __init__(self, run: Run, folder: CheckpointFolder | None) -> None:
        super().__init__()
        self.run = run
        self.folder = folder
        self.group = run.step.backend.group
        self.about: dict[str, Any] = {}

    def begin(self, state: TrainState) -> TrainState:
        """Return the state of the resumed checkpoint, or write ``state`` and return it."""
        if self.folder is not None:
            self.about = about(self.run, self.folder)
        if self.run.resumed is not None:
            return restore(self.run, state, self.run.resumed)
        self._write_if(True, state)
        return state

    def within_epoch(self, state: TrainState) -> None:
        """Write a checkpoint within an epoch if one is due or a signal has arrived."""
        came = self._any_came()
        self._write_if(came or (self.folder is not None and self.folder.is_due()), state)
        if came:
            self.deliver()

    def after_epoch(self, state: TrainState) -> None:
        """Write a checkpoint after an epoch if one is due, a signal arrived, or training ended."""
        history, folder = self.run.history, self.folder
        due = folder is not None and folder.is_due(len(history.records))
        came = self._any_came()
        self._write_if(bool(due or came or history.stopped), state)
        if came:
            self.deliver()

    def _any_came(self) -> bool:
        """Whether a signal has arrived, in any process; then it counts as arrived here too."""
        arrived = [came for came in self.group.gather(self.came) if came is not None]
        if arrived and self.came is None:
            self.came = arrived[0]
        return bool(arrived)

    def _write_if(self, due: bool, state: TrainState) -> None:
        """Write a checkpoint in process 0 if one is due there; raise in all if that fails."""
        failure = None
        if due and self.folder is not None:
            try:
                step = int(self.run.step.backend.to_host(state.step))
                self.folder.write(snapshot(self.run, state, self.about), step)
            except CheckpointError as error:
                failure = error
        message = self.group.broadcast(None if failure is None else str(failure))
        if message is not None:
            raise CheckpointError(message, self.run.model()) from failure


def about(run: Run, folder: CheckpointFolder) -> dict[str, Any]:
    """Return what does not change during a run: its arguments, data and backend."""
    backend = run.step.backend
    return {
        "arguments": describe(run),
        "backend": {  # the arguments of get_backend
            "name": backend.name,
            "device": backend.device_name(),
            "dtype": backend.dtype,
            "precision": backend.precision,
        },
        "every": folder.every,
        "keep": folder.keep,
        "training": fingerprint(run.training, backend),
        "held_out": None if run.held_out is None else fingerprint(run.held_out, backend),
    }


def snapshot(run: Run, state: TrainState, about: dict[str, Any]) -> Container:
    """Return the state of a run as a checkpoint.

    Parameters
    ----------
    run : Run
    state : TrainState
    about : dict
        See the function ``about``.
    """
    best = Weights((), ()) if run.best is None else run.best
    leaves = [
        *tree.flatten(state, "state"),
        *tree.flatten(best.params, "best"),
        *tree.flatten(best.states, "best_states"),
    ]
    content = {"seen": run.seen, "seconds": run.seconds, **decisions(run)}
    arrays = {name: run.step.backend.to_host(leaf) for name, leaf in leaves}
    return Container(arrays, about | content)


def decisions(run: Run) -> dict[str, Any]:
    """Return the records of a run, and the state of its rules, for JSON."""
    stopping, plateau = run.stopping, run.plateau
    return {
        "history": asdict(run.history),
        "stopping": {"best": stopping.best, "waited": stopping.waited},
        "plateau": None
        if plateau is None
        else {"factor": plateau.factor, "best": plateau.best, "waited": plateau.waited},
    }


def restore_decisions(run: Run, content: dict[str, Any]) -> None:
    """Restore the records of a run, and the state of its rules, from ``decisions``."""
    history = dict(content["history"])
    history["records"] = [EpochRecord(*record) for record in history["records"]]
    if history["stop_reason"] is not None:
        history["stop_reason"] = StopReason(history["stop_reason"])
    run.history = History(**history)
    run.stopping = replace(run.stopping, **content["stopping"])
    if run.plateau is not None:
        run.plateau = Plateau(run.plateau.rule, **content["plateau"])


def restore(run: Run, state: TrainState, checkpoint: Container) -> TrainState:
    """Restore a run from a checkpoint, and return its training state.

    Parameters
    ----------
    run : Run
    state : TrainState
        The initial state, which defines the shapes.
    checkpoint : Container

    Raises
    ------
    CheckpointError
        If the checkpoint does not fit the run.
    """
    backend, content = run.step.backend, checkpoint.content
    arrays = dict(checkpoint.arrays)
    try:
        state = placed("state", state, arrays, backend)
        if any(name.startswith("best.") for name in arrays):
            run.best = Weights(
                placed("best", state.params, arrays, backend),
                placed("best_states", state.states, arrays, backend),
            )
        if arrays:
            message = f"it has the unknown arrays {', '.join(sorted(arrays))}"
            raise ValueError(message)
        restore_decisions(run, content)
        if not _is_sound(run, content["seen"]):
            message = "its history, its best weights and its position in the epoch are inconsistent"
            raise ValueError(message)
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
    return best and 0 <= seen < run.epoch_samples


def placed(name: str, like: Any, arrays: dict[str, np.ndarray], backend: Backend) -> Any:
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


def describe(run: Run) -> dict[str, Any]:
    """Return the arguments of ``fit`` that describe this run, without the data."""
    validation: Any = None
    if run.held_out is not None:
        shared = run.held_out.rows is run.training.rows
        validation = run.held_out.n_samples if shared else GIVEN
    options = {name: _described(getattr(run.options, name)) for name in OPTION_NAMES}
    return options | {
        "network": run.step.network.to_config(),
        "validation": validation,
        "seed": str(run.options.seed),  # a string: it may exceed 64 bits
        "metadata": run.metadata,
    }


def _described(value: Any) -> Any:
    """Convert a value to JSON; for a part that is not registered, the name of its class."""
    if isinstance(value, (tuple, list)):
        return [_described(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str, dict)):
        return value
    if any(is_registered(family, value) for family in FAMILIES):
        return to_config(value)
    named = value if hasattr(value, "__qualname__") else type(value)  # a function, or an object
    return {"kind": None, "own": f"{named.__module__}.{named.__qualname__}"}


def arguments_from(
    description: dict[str, Any], own: dict[str, Any]
) -> tuple[Network, FitOptions, dict[str, Any]]:
    """Return network, options and other arguments from the result of ``describe``.

    Parameters
    ----------
    description : dict
    own : dict
        Options that replace those of the description, except None.

    Raises
    ------
    CheckpointError
        If a part is neither registered nor passed in ``own``.
    KeyError, TypeError, ValueError
        If the description is invalid, or contains an unknown option.
    """
    form: dict[str, Any] = {"validation": int | str | None, "seed": str, "metadata": dict}
    form |= {"loss": dict, "optimizer": dict, "learning_rate": dict, "epochs": int}
    check_form({name: description[name] for name in form}, form, "arguments")
    rest = dict(description)
    network = Network.from_config(rest.pop("network"))
    arguments = {name: rest.pop(name) for name in ("validation", "metadata")}
    own = {name: value for name, value in own.items() if value is not None}
    config = {name: value for name, value in rest.items() if name not in own}
    for name, value in config.items():
        parts = value if isinstance(value, list) else [value]
        foreign = [
            str(part["own"])
            for part in parts
            if name != "class_weight" and isinstance(part, dict) and part.get("kind") is None
        ]
        if foreign:
            message = (
                f"the run's {name} is of a class that is not registered, {', '.join(foreign)}: "
                f"give it again, resume(…, {name}=…)"
            )
            raise CheckpointError(message)
    config["seed"] = int(config["seed"])
    options = from_config("options", {"kind": FitOptions.kind, **config})
    return network, replace(options, **own), arguments


def completed(content: dict[str, Any]) -> dict[str, Any]:
    """Add the entries that checkpoints of earlier versions lack."""
    content = dict(content)
    history = content.get("history")
    if isinstance(history, dict) and isinstance(history.get("records"), list):
        history.setdefault("scoring", "")
        n = len(CONTENT["history"]["records"][0])
        if isinstance(history.get("stopped"), str) and "stop_reason" not in history:
            history["stop_reason"] = StopReason.of_text(history["stopped"])
        history["records"] = [
            [*each, None] if isinstance(each, list) and len(each) == n - 1 else each
            for each in history["records"]
        ]
    return content


def check_form(value: Any, form: Any, name: str = "content") -> None:
    """Check a value of JSON against its expected form.

    Parameters
    ----------
    value : object
    form : object
        A type or a union of types; a dict of forms with the same keys as the value; a list of one
        form for any number of items, or of several forms, one for each item; or ``(None, form)``
        for a value that may be None.
    name : str
        Name of the value in messages.

    Raises
    ------
    ValueError
        If the value has another form, or contains an integer of more than 64 bits.
    """
    if isinstance(form, tuple):
        if value is None:
            return
        form = form[1]
    outer: Any = type(form) if isinstance(form, (dict, list)) else form
    if not isinstance(value, outer):
        message = (
            f"{name} should be {getattr(outer, '__name__', outer)}, got {type(value).__name__}"
        )
        raise ValueError(message)
    if isinstance(value, int) and abs(value) >= 2**63:
        message = f"{name} is a number of more than 64 bits"
        raise ValueError(message)
    if isinstance(form, dict):
        if value.keys() != form.keys():
            message = f"{name} should have {', '.join(form)}, got {', '.join(value)}"
            raise ValueError(message)
        for key, item in form.items():
            check_form(value[key], item, f"{name}.{key}")
    elif isinstance(form, list):
        forms = form * len(value) if len(form) == 1 else form
        if len(value) != len(forms):
            message = f"{name} should have {len(forms)} items, got {len(value)}"
            raise ValueError(message)
        for index, item in enumerate(value):
            check_form(item, forms[index], f"{name}.{index}")
