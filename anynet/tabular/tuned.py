"""The preset ``tuned``: random options of another preset, and an ensemble of the best of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from anynet.config import register
from anynet.errors import InvalidArgumentError
from anynet.members import Bounded, number
from anynet.space import random_points
from anynet.tabular.preset import PRESETS, Plan, Preset, Problem, get_preset


@register("preset")
@dataclass(frozen=True, kw_only=True)
class Tuned(Bounded):
    """Another preset with options drawn at random, and a greedily selected ensemble of the results.

    The first configuration is the preset itself; the others are drawn from its ``space``. All hold
    out the same rows. Networks that differ in numbers only are trained as one population. The
    ensemble is selected with replacement, by the loss of the held-out rows, as are the epochs.

    Parameters
    ----------
    preset : str or Preset
        One with a ``space``.
    n_configs : int
        Number of configurations.
    size : int
        Number of rounds of the selection.

    References
    ----------
    Erickson et al. 2025, "TabArena: A Living Benchmark for Machine Learning on Tabular Data":
    "tuned and ensembled".
    """

    kind: ClassVar[str] = "tuned"
    selection: ClassVar[str] = "greedy"
    replacement: ClassVar[bool] = True

    preset: Preset | str = "realmlp"
    n_configs: int = number(50, least=1)
    size: int = number(40, least=1)
    folds: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not hasattr(get_preset(self.preset), "space"):
            known = ", ".join(name for name, kind in PRESETS.items() if hasattr(kind, "space"))
            message = f"preset must be one whose options can be drawn, {known}, got {self.preset!r}"
            raise InvalidArgumentError(message)

    @property
    def encoding(self) -> Any:
        """How the columns become inputs: as in the preset that is tuned."""
        return get_preset(self.preset).encoding

    def plan(self, problem: Problem) -> Plan:
        """Return the networks for a problem."""
        base: Any = get_preset(self.preset)
        points = [{}, *random_points(base.space, self.n_configs - 1, problem.seed)]
        plans = [
            replace(base, **point).plan(problem._replace(seed=problem.seed + at))
            for at, point in enumerate(points)
        ]
        first = plans[0]
        common = {
            name: value
            for name, value in first.options.items()
            if all(name in plan.options and plan.options[name] == value for plan in plans)
        }
        members = [
            {
                "network": plan.network,
                **{name: each for name, each in plan.options.items() if name not in common},
                **one,
            }
            for plan in plans
            for one in plan.members
        ]
        return Plan(first.network, common | {"scoring": "loss"}, members)
