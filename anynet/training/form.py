"""What a checkpoint's JSON must look like before any of it is believed."""

from __future__ import annotations

from typing import Any

from anynet.training.history import StopReason

TOO_LARGE = 2**63
_COUNT, _NUMBER, _MAYBE = int, int | float, int | float | None
_SAMPLES = {"rows": _COUNT, "columns": _COUNT, "digest": str, "blocks": str}

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


def completed(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a checkpoint with what was added since an earlier version wrote it."""
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
    """Compare a value that JSON held with its form.

    Parameters
    ----------
    value : object
    form : object
        A type, or a union of types, of which whole numbers have 64 bits; a dict of forms, whose
        keys are those of the value; a list of one form, for any number of such items, or of
        several, one an item; or ``(None, form)``, for what may be None.
    name : str
        Of the value, for the message.

    Raises
    ------
    ValueError
        If it is not of that form.
    """
    if isinstance(form, tuple) and value is None:
        return
    form = form[1] if isinstance(form, tuple) else form
    outer: Any = type(form) if isinstance(form, (dict, list)) else form
    if not isinstance(value, outer):
        wanted = getattr(outer, "__name__", outer)
        message = f"{name} should be {wanted}, got {type(value).__name__}"
        raise ValueError(message)
    if isinstance(value, int) and abs(value) >= TOO_LARGE:
        message = f"{name} is a number of more than 64 bits"
        raise ValueError(message)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        message = f"{name} is out of range"
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
