"""``find_learning_rate``: one short run in which the learning rate rises."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np

from anynet.backends import Backend
from anynet.checks import check_whole, require, warn_caller
from anynet.data.display import Described
from anynet.errors import DivergedError, InvalidArgumentError
from anynet.log import LOGGER
from anynet.nn.network import Network
from anynet.optim import Exponential
from anynet.training import inputs
from anynet.training.fit import prepare
from anynet.training.history import EpochRecord
from anynet.training.model import Model
from anynet.training.options import FitArguments, FitOptions, takes_options
from anynet.training.trainer import train

SMOOTHING = 0.9  # decay of the moving average of the loss
MULTIPLE = 4.0  # of the lowest smoothed loss, at which the run stops, as in fastai and Lightning
SKIPPED = 10  # first steps, whose average is of few losses, as in Lightning
SHARE = 0.1  # of the rate with the lowest smoothed loss

#: Options that have no effect on the training loss of a run without epochs.
WITHOUT_EFFECT = (
    *("epochs", "learning_rate", "patience", "target_accuracy", "time_limit"),
    *("min_delta", "scoring", "ties"),
)


@dataclass(frozen=True, repr=False)
class RateSearch(Described):
    """The losses of a run with a rising learning rate, and the rate that they suggest.

    Attributes
    ----------
    rates : ndarray of shape (N,)
        The learning rate of each step; the run may end before the highest.
    losses : ndarray of shape (N,)
        The loss of the batch of each step, before its update.
    smoothed : ndarray of shape (N,)
        Exponential moving average of the losses, with a correction for its start.
    suggestion : float
        A tenth of the rate with the lowest smoothed loss.
    warning : str
        A sentence if the suggestion is not reliable, otherwise empty.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggestion: float
    warning: str = ""

    def describe(self) -> tuple[str, dict[str, str]]:
        """Return the suggestion and the range of the rates."""
        facts = {
            "suggestion": f"{self.suggestion:.3g}",
            "rates": f"{self.rates[0]:.3g} to {self.rates[-1]:.3g}",
            "lowest smoothed loss": f"{self.smoothed.min():.4g}",
        }
        return "RateSearch", facts | ({"warning": self.warning} if self.warning else {})

    def plot(self, ax: Any = None) -> Any:
        """Plot the loss over the learning rate, with the suggestion.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            By default new ones.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        InvalidArgumentError
            If Matplotlib is not installed.
        """
        if ax is None:
            _, ax = require("matplotlib.pyplot", "plot", "matplotlib").subplots()
            ax.set_title("learning rate range test")
        ax.plot(self.rates, self.losses, color="0.75", linewidth=0.8, label="loss of each batch")
        ax.plot(self.rates, self.smoothed, color="C0", linewidth=2, label="smoothed")
        height = float(np.interp(self.suggestion, self.rates, self.smoothed))
        label = f"suggestion: {self.suggestion:.2g}"
        ax.axvline(self.suggestion, color="C3", linestyle=":", linewidth=1)
        ax.plot([self.suggestion], [height], "o", color="C3", label=label)
        lowest = int(np.argmin(self.smoothed))
        low, top = float(self.smoothed[lowest]), float(self.smoothed[: lowest + 1].max())
        margin = max(top - low, abs(top) * 0.1, 1e-12)
        ax.set_ylim(low - 0.2 * margin, top + 0.5 * margin)  # the last losses are far above
        ax.set_xscale("log")
        ax.set(xlabel="learning rate", ylabel="training loss")
        ax.legend()
        return ax


@takes_options
def find_learning_rate(
    network: Network,
    data: Any,
    *,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 200,
    start: Model | None = None,
    backend: Backend | str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    resident: bool | None = None,
    **options: Unpack[FitArguments],
) -> RateSearch:
    """Suggest a learning rate by a short run in which it rises exponentially.

    The run is one of ``fit``, with a batch drawn at random in each step. It stops when the smoothed
    loss exceeds four times its minimum. The suggestion is a tenth of the rate with the lowest
    smoothed loss. It depends on the network, the optimizer and the batch size, and on ``seed`` by a
    factor of about two; a schedule that falls can begin at two to three times this rate.

    Parameters
    ----------
    network, data
        See ``fit``.
    low, high : float
        The learning rate of the first and of the last step.
    steps : int
        Number of steps.
    start, backend, device, dtype, resident
        See ``fit``.
    **options

    Returns
    -------
    RateSearch

    Raises
    ------
    InvalidArgumentError
        If an argument is not as documented, or an option has no effect here, such as ``epochs``.

    References
    ----------
    The run: Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3, with
    the exponential rise, smoothing and end of fastai's ``lr_find`` and Lightning's ``lr_find``. The
    rule: "a tenth of the minimum" of fastai's ``lr_find``. The point of steepest descent, which
    Lightning suggests, varies more between seeds where batches are noisy.

    Examples
    --------
    >>> import anynet
    >>> digits = anynet.load_dataset("digits")
    >>> network = anynet.mlp([64, 32, 10], scale=digits.scale)
    >>> found = anynet.find_learning_rate(network, digits.train, optimizer="adam", backend="numpy")
    >>> 0.001 < found.suggestion < 0.1
    True
    """
    if given := [name for name in options if name in WITHOUT_EFFECT]:
        message = f"{given[0]} has no effect on the search for a learning rate: leave it out"
        raise InvalidArgumentError(message)
    for name, value in (("low", low), ("high", high)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e30:
            message = f"{name} must be a learning rate above 0, got {value!r}"
            raise InvalidArgumentError(message)
    if not low < high:
        message = f"low must be below high, got {low:g} and {high:g}"
        raise InvalidArgumentError(message)
    check_whole("steps", steps, 2 * SKIPPED)
    losses, rising = Losses(), Exponential(float(low), (high / low) ** (1 / (steps - 1)))
    run = prepare(
        network,
        data,
        replace(FitOptions(**options), epochs=steps, learning_rate=rising),
        validation=None,
        start=start,
        backend=inputs.choose_backend(backend, device, dtype, data),
        resident=resident,
        callbacks=losses,
    )
    # Each epoch is one step, whose loss is that of its record.
    run = replace(run, step=replace(run.step, steps_per_epoch=1), name="find_learning_rate")
    with run.step.backend.context(), suppress(DivergedError):
        train([run], alone=True)
    if len(losses.smoothed) <= SKIPPED:
        message = (
            f"the loss diverges at a learning rate of {low:g}, after {len(losses.smoothed)} steps: "
            f"choose a smaller low, or inputs scaled to about [0, 1]"
        )
        raise InvalidArgumentError(message)
    return losses.search(high)


class Losses:
    """A callback that smooths the losses, and stops when they are too high."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self.sum = 0.0

    def __call__(self, record: EpochRecord) -> bool:
        """Add the loss of a step, and return whether it is too high."""
        self.rates.append(record.learning_rate)
        self.losses.append(record.train_loss)
        self.sum = SMOOTHING * self.sum + (1 - SMOOTHING) * record.train_loss
        smooth = self.sum / (1 - SMOOTHING ** len(self.losses))  # as the moments of Adam
        self.smoothed.append(smooth)
        lowest = min(self.smoothed)  # below 0 for some losses
        past = len(self.smoothed) > SKIPPED
        return past and smooth > lowest + (MULTIPLE - 1) * abs(lowest)

    def search(self, high: float) -> RateSearch:
        """Return the losses with the suggestion."""
        smoothed = np.array(self.smoothed)
        at = SKIPPED + int(np.argmin(smoothed[SKIPPED:]))
        warning = ""
        if at == len(smoothed) - 1:
            warning = f"the loss still falls at the highest learning rate, {high:g}: raise high"
        elif smoothed[at] > 0.99 * smoothed[:SKIPPED].max() or at == SKIPPED:
            warning = "the loss hardly falls in this run: the suggestion is not reliable"
        if warning:
            warn_caller(warning, UserWarning)
        suggestion = SHARE * self.rates[at]
        digits = 1 - math.floor(math.log10(suggestion))  # two significant ones
        suggestion = round(suggestion, digits)
        LOGGER.info("suggested learning rate: %g", suggestion)
        rates, losses = np.array(self.rates), np.array(self.losses)
        return RateSearch(rates, losses, smoothed, suggestion, warning)
