"""Presets: how the columns of a table are encoded, and which networks are trained on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from anynet.config import named_or_given, registered
from anynet.data.tables import Preprocessing
from anynet.nn.network import Network


class Problem(NamedTuple):
    """What a preset may depend on.

    Attributes
    ----------
    task : {"classes", "values"}
    n_rows : int
        Number of training rows, without those that are held out.
    n_inputs : int
        Number of inputs of a network.
    n_numbers : int
        Number of the leading inputs that are numbers.
    levels : tuple of int
        Numbers of categories of the trailing inputs, which are codes; () if none are.
    n_outputs : int
    seed : int
    widths : tuple of int
        Numbers of the inputs between numbers and codes that come from the same column.
    """

    task: str
    n_rows: int
    n_inputs: int
    n_numbers: int
    levels: tuple[int, ...]
    n_outputs: int
    seed: int
    widths: tuple[int, ...] = ()

    @property
    def gradient_factor(self) -> float:
        """The factor of gradients in comparison with published ones.

        The loss of values is half the squared error; ε of Adam and the maximum norm of a gradient
        are to be multiplied by this factor.
        """
        return 1.0 if self.task == "classes" else 0.5

    @classmethod
    def of(cls, preprocessing: Preprocessing, n_rows: int, seed: int) -> Problem:
        """Return the problem of encoded rows.

        Parameters
        ----------
        preprocessing : Preprocessing
        n_rows : int
        seed : int
        """
        task, n_outputs = preprocessing.target.outputs
        n_inputs, n_numbers = preprocessing.n_inputs, preprocessing.n_numbers
        return cls(
            task,
            n_rows,
            n_inputs,
            n_numbers,
            preprocessing.levels,
            n_outputs,
            seed,
            preprocessing.widths,
        )


class Plan(NamedTuple):
    """The networks that a preset trains for a problem.

    Attributes
    ----------
    network : Network
        Of all members whose configuration names no other.
    options : mapping
        Common options of training, see ``anynet.FitOptions``.
    members : sequence of mapping
        One configuration for each member, see ``anynet.fit_population``.
    """

    network: Network
    options: Mapping[str, Any]
    members: Sequence[Mapping[str, Any]]


class Preset(Protocol):
    """The interface of presets: frozen dataclasses, registered with ``anynet.register``.

    Attributes
    ----------
    encoding : str or Encoding
        How the columns become inputs, see ``anynet.data.tables.encodings``.
    folds : bool
        Whether each member holds out other rows, so that all members together are trained on all
        rows; otherwise all members hold out the same rows.
    selection : {"all", "greedy", "online"}
        Which members the ensemble has: all, or those of a greedy selection by the held-out rows,
        which must be the same for all members; after training, or after each epoch, see
        ``anynet.training.OnlineSelection``. An attribute ``size`` is the maximum number of members;
        ``replacement``, whether members are repeated.
    """

    kind: ClassVar[str]
    encoding: Any
    folds: bool
    selection: str

    def plan(self, problem: Problem) -> Plan:
        """Return the networks for a problem."""


PRESETS: Mapping[str, Any] = registered("preset")


def get_preset(preset: Preset | str) -> Preset:
    """Return a preset unchanged, or the registered preset of a name.

    Raises
    ------
    InvalidArgumentError
        If it is neither.

    Examples
    --------
    >>> from anynet.tabular import get_preset
    >>> get_preset("fast").kind
    'fast'
    """
    made: Preset = named_or_given("preset", preset, lambda given: hasattr(given, "plan"), "Fast()")
    return made
