"""NumPy's loop: one step's calls are recorded, then repeated into the same arrays.

A step is pure, with static shapes and no host reads, so it makes the same calls on every batch.
The first batch runs it on ``Recorded`` arrays. What is left for the next batches is a list of
calls: no layers, closures or allocations, which in small networks take as long as the arithmetic.
The results are the same bits. It is what a captured CUDA graph is on a GPU.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from anynet import tree
from anynet.backends.blas import add_product, bind_product
from anynet.backends.calls import overwrite_the_dead, redirect
from anynet.backends.recording import Call, Recorded, plain

WORTH_RECORDING = 64  # steps, in which a recording saves about what it costs


class Loop:
    """The arrays that hold a state between steps, and the recordings that advance them."""

    def __init__(self, state: Any) -> None:
        self.state = tree.map(np.array, state)
        self.data: Any = ()
        self.recordings: dict[Any, tuple[np.ndarray, list[Call]]] = {}

    def run(self, step: Callable[..., Any], order: Any, data: Any, record: bool) -> bool:
        """Advance the state by the rows of ``order``, from a recording if there is to be one.

        Returns
        -------
        bool
            False if the step was to be recorded and cannot be: it ran without.
        """
        leaves = tree.leaves(data)
        if len(leaves) != len(self.data) or any(map(_differ, leaves, self.data)):
            self.recordings, self.data = {}, leaves
        key = (step, order.shape[1:])
        if record and key not in self.recordings:
            recording = self._record(step, order[0], data)
            if recording is not None:
                self.recordings[key] = recording
                order = order[1:]
        if key not in self.recordings:
            for rows in order:
                self._step_once(step, rows, data)
            return not record
        buffer, calls = self.recordings[key]
        for rows in order:
            buffer[...] = rows
            for call in calls:
                call()
        return True

    def _step_once(self, step: Callable[..., Any], rows: np.ndarray, data: Any) -> None:
        """Run one step without recording it."""
        results = tree.map(np.array, step(self.state, rows, data))
        tree.map(np.copyto, self.state, results)

    def _record(
        self, step: Callable[..., Any], rows: Any, data: Any
    ) -> tuple[np.ndarray, list[Call]] | None:
        """Run the step once on recorded arrays; None, and the state as it was, if that fails."""
        buffer, before = np.array(rows), tree.map(np.array, self.state)
        calls: list[Call] = []
        inputs = tree.map(lambda leaf: Recorded(leaf, calls), self.state)
        try:
            results = tree.leaves(step(inputs, Recorded(buffer, calls), data))
        except Exception:  # whatever it is: without a recording it goes well, or is said better
            tree.map(np.copyto, self.state, before)
            return None
        self._bring_home(results, calls)
        overwrite_the_dead(calls, [*tree.leaves(self.state), *self.data, buffer])
        calls[:] = [
            bind_product(*call.args) if call.func is add_product else call  # type: ignore[misc]
            for call in calls
        ]
        return buffer, calls

    def _bring_home(self, results: list[Any], calls: list[Call]) -> None:
        """Let the results of a step return to where the state is kept."""
        homes = tree.leaves(self.state)
        moved = [
            (home, plain(result))
            for home, result in zip(homes, results, strict=True)
            if plain(result) is not home
        ]
        for index, (home, result) in enumerate(moved):
            if any(np.may_share_memory(result, other) for other in homes):
                moved[index] = (home, np.array(result))
                calls.append(functools.partial(np.copyto, moved[index][1], result))
        for home, result in moved:
            np.copyto(home, result)
            if not redirect(calls, result, home):
                calls.append(functools.partial(np.copyto, home, result))


def _differ(a: Any, b: Any) -> bool:
    return a is not b


class Carrier(np.ndarray):
    """A scalar of the state that brings its loop, and what led to it, to the next call."""

    loop: Loop | None = None
    steps: dict[Any, float]  # done by each step function, by the shape of its rows


def replay(step: Callable[..., Any], state: Any, order: Any, data: Any) -> Any:
    """Fold ``step`` over the rows of ``order`` by recording it once; see ``Backend.scan``.

    A step that cannot be recorded runs in a plain loop, and is not tried again on that state.
    """
    given = tree.leaves(state)
    carrier = next((leaf for leaf in given if isinstance(leaf, Carrier)), None)
    loop, steps = (None, {}) if carrier is None else (carrier.loop, carrier.steps)
    key = (step, order.shape[1:])
    try:
        steps[key] = steps.get(key, 0) + len(order)
    except TypeError:  # with a part of the user's own that cannot be hashed, there is no key
        return _fold(step, state, order, data)
    record = steps[key] >= WORTH_RECORDING
    if loop is None and not record:
        return _with_carrier(_fold(step, state, order, data), None, steps)
    if loop is None:
        loop = Loop(state)
    else:
        for home, leaf in zip(tree.leaves(loop.state), given, strict=True):
            if not np.may_share_memory(leaf, home):
                np.copyto(home, leaf)
    if not loop.run(step, order, data, record):
        steps[key] = -math.inf
    return _with_carrier(loop.state, loop if loop.recordings else None, steps)


def _fold(step: Callable[..., Any], state: Any, order: Any, data: Any) -> Any:
    state = tree.map(_bare, state)
    for rows in order:
        state = step(state, rows, data)
    return state


def _bare(leaf: Any) -> Any:
    return leaf.view(np.ndarray) if isinstance(leaf, Carrier) else leaf


def _with_carrier(state: Any, loop: Loop | None, steps: dict[Any, float]) -> Any:
    carried = False

    def leaf(array: Any) -> Any:
        nonlocal carried
        if carried or array.ndim:
            return array
        carried = True
        carrier = np.asarray(array).view(Carrier)
        carrier.loop, carrier.steps = loop, steps
        return carrier

    return tree.map(leaf, state)
