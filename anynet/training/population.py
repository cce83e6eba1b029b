"""``fit_population``: many networks trained as one."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from anynet.backends import Backend
from anynet.data.batches import Rows
from anynet.errors import InvalidArgumentError, TrainingInterrupted
from anynet.nn.layers import Activation, Dropout, Layer
from anynet.nn.losses import Loss
from anynet.nn.network import Network
from anynet.optim import Optimizer, Schedule, as_optimizer
from anynet.seeds import device_seed
from anynet.training.class_weight import ClassWeight
from anynet.training.fit import (
    check_progress,
    choose_backend,
    prepare,
    warn_of_own_parts,
)
from anynet.training.history import Callback
from anynet.training.inputs import check_network, check_rows, choose_loss, with_targets
from anynet.training.model import Model
from anynet.training.population_memory import split_by_memory
from anynet.training.population_run import common_step, train_together
from anynet.training.run import Run
from anynet.training.saving import foreign_parts

OWN = (
    "seed",
    "samples",
    "momentum",
    "weight_decay",
    "dropout",
    "label_smoothing",
    "network",
    "metadata",
)


class PopulationProgress(NamedTuple):
    """Where a population stands, after an epoch of one of its groups."""

    group: int  # counted from 1
    groups: int  # computations that the population was split into
    members: int  # networks in this group
    active: int  # of which so many have not stopped
    epoch: int  # counted from 1
    epochs: int  # at most so many


PopulationCallback: TypeAlias = Callable[[PopulationProgress], None]


def fit_population(
    network: Network,
    data: Any,
    configs: Sequence[Mapping[str, Any]],
    *,
    validation: Any = None,
    epochs: int = 15,
    batch_size: int = 64,
    optimizer: Optimizer | str | None = None,
    learning_rate: float | Schedule = 0.1,
    loss: Loss | str | None = None,
    patience: int | None = 5,
    target_accuracy: float | None = 0.99,
    min_delta: float = 0.0,
    clip_norm: float | None = None,
    average: float | None = None,
    max_norm: float | None = None,
    adversarial: float | None = None,
    augment: Any = None,
    image_shape: tuple[int, int] | None = None,
    class_weight: ClassWeight = None,
    scoring: str | None = None,
    shuffle: bool = True,
    shared_order: bool = False,
    backend: Backend | str | None = None,
    resident: bool | None = None,
    callbacks: Callback | Sequence[Callback] = (),
    progress: PopulationCallback | None = None,
    memory_limit: int | None = None,
) -> list[Model]:
    """Train many networks at once; each as ``fit`` would train it, to rounding.

    Members whose configurations differ in nothing but seeds, numbers (rates, decays, momentum,
    smoothing, dropout) and stopping rules are trained as one computation on a population axis.
    Others, of another shape, batch size, or kind of optimizer or schedule, make groups of their
    own, which are trained one after another.

    Parameters
    ----------
    network, data
        See ``fit``.
    configs : sequence of mapping
        One a member: options of its own in place of those below (``validation`` to ``shuffle``,
        and ``callbacks``), and ``seed`` (0 if not given), ``network``, ``metadata``, ``samples``,
        the indices of those it trains on and holds out from (all if not given), ``momentum``
        and ``weight_decay`` of its optimizer, ``label_smoothing`` of its loss, and ``dropout``,
        the rate of all its dropout layers, which a network without any gets after its activations.
    validation, epochs, batch_size, optimizer, learning_rate, loss, patience, target_accuracy, \
min_delta, clip_norm, average, max_norm, adversarial, augment, image_shape, \
class_weight, scoring, shuffle, backend, resident
        See ``fit``.
    shared_order : bool
        Whether all members hold out the same samples and see the others in the same order, that
        of the first member's seed. Rows are then gathered, and augmented, once for all: quicker,
        and their differences come from weights alone.
    callbacks : callable or sequence of callable
        Each takes every ``EpochRecord`` of every member, and may return True to stop that member.
    progress : callable, optional
        Takes a ``PopulationProgress`` after every epoch of a group.
    memory_limit : int, optional
        Bytes that a group may take on the device; by default most of what is free there. Groups
        that would take more are split.

    Returns
    -------
    list of Model
        In the order of ``configs``, each with a history of its own; ``seconds`` of a record are
        the member's share of the time of all. A member whose loss is no longer finite stops there:
        its ``history.stopped`` and ``warning`` say so, and its model is the best of the epochs
        before (its initial weights and an empty history if it was the first).

    Raises
    ------
    InvalidArgumentError
        If an argument or an option is not as documented; the message names the member.
    TrainingInterrupted
        On Ctrl-C; its ``model`` is the list of the best models so far, None where there is none.

    Examples
    --------
    >>> import anynet
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=digits.scale)
    >>> configs = [{"learning_rate": rate, "seed": seed} for rate in (0.05, 0.2) for seed in (0, 1)]
    >>> models = anynet.fit_population(
    ...     network, digits.train, configs, validation=0.1, epochs=3, backend="numpy"
    ... )
    >>> [model.history.best.learning_rate for model in models]
    [0.05, 0.05, 0.2, 0.2]
    """
    check_network(network)
    chosen = choose_backend(backend, data)
    common = {
        "network": network,
        "validation": validation,
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "loss": loss,
        "patience": patience,
        "target_accuracy": target_accuracy,
        "min_delta": min_delta,
        "clip_norm": clip_norm,
        "average": average,
        "max_norm": max_norm,
        "adversarial": adversarial,
        "augment": augment,
        "image_shape": image_shape,
        "class_weight": class_weight,
        "scoring": scoring,
        "shuffle": shuffle,
        "callbacks": callbacks,
    }
    _check_configs(configs, {*common, *OWN})
    if memory_limit is not None and not memory_limit > 0:
        message = f"memory_limit must be above 0 bytes or None, got {memory_limit!r}"
        raise InvalidArgumentError(message)
    check_progress(progress)
    check = _Remembered()
    common_seed = configs[0].get("seed", 0) if shared_order else None
    runs = []
    for member, config in enumerate(configs):
        try:
            options = _member_options(data, common | dict(config))
            runs.append(
                prepare(
                    data=data,
                    backend=chosen,
                    resident=resident,
                    progress=None,
                    split_seed=common_seed,
                    check=check,
                    **options,
                )
            )
        except InvalidArgumentError as error:
            message = f"configs[{member}]: {error}"
            raise InvalidArgumentError(message) from error
    steps = [run.step for run in runs]
    own = next((step for step in steps if foreign_parts(step.network, step.loss)), steps[0])
    warn_of_own_parts(own.network, own.loss)
    groups = [
        part
        for group in _group(runs, shared_order)
        for part in split_by_memory(group, chosen, memory_limit)
    ]
    try:
        with chosen.context():
            for index, group in enumerate(groups):
                train_together(group, common_seed, _told(progress, index + 1, groups))
    except KeyboardInterrupt as interrupt:
        raise TrainingInterrupted([_interrupted(run) for run in runs]) from interrupt
    return [_model(run) for run in runs]


def _model(run: Run) -> Model:
    model = run.model()
    assert model is not None  # its group was trained
    return model


def _interrupted(run: Run) -> Model | None:
    if run.best is None or not run.history.records:
        return None
    run.history.stopped = run.history.stopped or "interrupted"
    return run.model()


def _told(
    progress: PopulationCallback | None, index: int, groups: list[list[Run]]
) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    group = groups[index - 1]
    epochs = max(run.epochs for run in group)

    def told(epoch: int, active: int) -> None:
        progress(PopulationProgress(index, len(groups), len(group), active, epoch, epochs))

    return told


class _Remembered:
    """``check_rows`` that checks the same data only once, for all members that share them."""

    def __init__(self) -> None:
        self.known: dict[Any, Rows] = {}

    def __call__(
        self,
        data: Any,
        network: Network,
        loss: Loss,
        backend: Backend,
        name: str = "data",
        class_weight: Any = None,
    ) -> Rows:
        factors = repr(class_weight)
        key = (id(data), network.n_inputs, network.n_outputs, loss.task, loss.kind, factors)
        if key not in self.known:
            self.known[key] = check_rows(data, network, loss, backend, name, class_weight)
        return self.known[key]


def _check_configs(configs: Any, known: set[str]) -> None:
    listed = isinstance(configs, Sequence) and not isinstance(configs, (str, bytes))
    if not listed or not all(isinstance(config, Mapping) for config in configs):
        message = f"configs must be a sequence of mappings, one a member, got {configs!r}"
        raise InvalidArgumentError(message)
    if not configs:
        message = "configs is empty: give one mapping a member, {} for the common options alone"
        raise InvalidArgumentError(message)
    for member, config in enumerate(configs):
        for name in config:
            if name not in known:
                near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.0)
                message = (
                    f"configs[{member}] has no option {name!r}: did you mean {near[0]!r}? There "
                    f"are {', '.join(sorted(known))}"
                )
                raise InvalidArgumentError(message)


def _member_options(data: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Bring the options of a member into the form of those of ``fit``."""
    options = {"seed": 0, "metadata": None} | options
    data = with_targets(data)
    y = data[1] if isinstance(data, (tuple, list)) and len(data) > 1 else ()
    network = options["network"]
    check_network(network)
    device_seed(options["seed"])  # refused here, where it is known whose it is
    options["optimizer"] = as_optimizer(options["optimizer"])
    options["loss"] = choose_loss(options["loss"], y, network.n_outputs)
    for part, name in (
        ("optimizer", "momentum"),
        ("optimizer", "weight_decay"),
        ("loss", "label_smoothing"),
    ):
        if name in options:
            options[part] = _with_field(options[part], name, options.pop(name))
    if "dropout" in options:
        options["network"] = with_dropout(network, options.pop("dropout"))
    return options


def _with_field(part: Any, name: str, value: Any) -> Any:
    if name not in {field.name for field in dataclasses.fields(part)}:
        message = f"{part.kind} has no {name}: leave it out, or choose another"
        raise InvalidArgumentError(message)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        message = f"{name} must be a number, got {value!r}"
        raise InvalidArgumentError(message)
    return dataclasses.replace(part, **{name: value})


def with_dropout(network: Network, rate: float) -> Network:
    """Return the network with this rate in its dropout layers.

    One without any gets them after its activations, where ``mlp`` puts them, even at rate 0: so
    networks of different rates have the same layers.
    """
    dropout = Dropout(rate)
    has_some = any(isinstance(layer, Dropout) for layer in network.layers)
    layers: list[Layer] = []
    for layer in network.layers:
        layers.append(dropout if isinstance(layer, Dropout) else layer)
        if isinstance(layer, Activation) and not has_some:
            layers.append(dropout)
    return dataclasses.replace(network, layers=tuple(layers))


def _group(runs: list[Run], shared_order: bool) -> list[list[Run]]:
    """Put together what can be one computation, in the order of first appearance.

    Members that share an order must train on the same samples.
    """
    groups: dict[Any, list[Run]] = {}
    for run in runs:
        held_out = run.held_out
        key = (
            common_step(run.step),
            run.batch_size,
            run.shuffle,
            id(run.training.rows),
            run.training.n_samples,
            _samples_of(run) if shared_order else None,
            None if held_out is None else (id(held_out.rows), held_out.n_samples),
        )
        try:
            groups.setdefault(key, []).append(run)
        except TypeError:  # a part of the user's own that cannot be compared
            groups[id(run)] = [run]
    return list(groups.values())


def _samples_of(run: Run) -> bytes | None:
    index = run.training.index
    return None if index is None else index.tobytes()
