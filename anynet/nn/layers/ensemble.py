"""Networks with k members that share weights (BatchEnsemble, TabM).

The members are part of one network: each row of a batch belongs to one of them. A batch of k · B
rows has the B rows of the first member, then those of the second, and so on. So layers that treat
all rows alike, such as ``Dense`` and ``Activation``, are shared by the members, and the mean loss
over all rows is the mean of the losses of the members.

While training, the trainer makes such batches, with own samples for each member. At inference,
``EnsembleInput`` repeats the samples for each member, and ``EnsembleMean`` returns one row for each
sample, whose prediction is the mean of those of the members.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from anynet.backends import Backend
from anynet.checks import check_choice, check_whole
from anynet.config import register
from anynet.errors import InvalidArgumentError
from anynet.nn.layers.dense import ProductGradient
from anynet.nn.layers.initializers import get_bias_initializer, get_initializer
from anynet.nn.layers.layer import ParameterFree, Pullback, Shapes, without_params
from anynet.typing import Array, Key, LayerGrads, LayerParams, Namespace

GAINS = ("ones", "normal", "signs")
LINKS = ("softmax", "logistic", "identity", "exp")


class _Members:
    """Base of layers that know the number of members."""

    kind: ClassVar[str]
    members: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", check_whole(f"{self.kind}: members", self.members))

    def split(self, x: Array, xp: Namespace) -> Array:
        """Return rows (*P, k · B, I) as (*P, k, B, I).

        Raises
        ------
        InvalidArgumentError
            If the number of rows is not a multiple of k.
        """
        lead, n_rows, width = x.shape[:-2], x.shape[-2], x.shape[-1]
        if n_rows % self.members:
            message = (
                f"{self.kind}: expected a batch of the same number of rows for each of "
                f"{self.members} members, got {n_rows} rows"
            )
            raise InvalidArgumentError(message)
        split: Array = xp.reshape(x, (*lead, self.members, n_rows // self.members, width))
        return split


def joined(x: Array, xp: Namespace) -> Array:
    """Return (*P, k, B, I) as rows (*P, k · B, I)."""
    rows: Array = xp.reshape(x, (*x.shape[:-3], x.shape[-3] * x.shape[-2], x.shape[-1]))
    return rows


@register("layer")
@dataclass(frozen=True)
class EnsembleInput(_Members, ParameterFree):
    """Repeat the samples for each member at inference; while training, return x.

    Parameters
    ----------
    members : int
        The number of members, k.
    """

    kind: ClassVar[str] = "ensemble_input"
    changes_rows: ClassVar[bool] = True

    members: int

    def apply(
        self,
        params: LayerParams,  # noqa: ARG002
        x: Array,
        *,
        backend: Backend,
        key: Key | None,
    ) -> tuple[Array, Pullback]:
        """Return rows for all members, and the pullback."""
        if key is not None:
            return x, without_params(lambda dy: dy)
        xp = backend.xp
        shape = (*x.shape[:-2], self.members, *x.shape[-2:])
        repeated = joined(xp.broadcast_to(x[..., None, :, :], shape), xp)
        return repeated, without_params(lambda dy: xp.sum(self.split(dy, xp), axis=-3))


@register("layer")
@dataclass(frozen=True)
class EnsembleMean(_Members, ParameterFree):
    """Return the logits of the members' mean prediction at inference; while training, return x.

    Parameters
    ----------
    members : int
        The number of members, k.
    link : {"softmax", "logistic", "identity", "exp"}
        The function from logits to predictions, as the loss has it (``Loss.link_name``).
    """

    kind: ClassVar[str] = "ensemble_mean"
    changes_rows: ClassVar[bool] = True

    members: int
    link: str = "softmax"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("ensemble_mean: link", self.link, LINKS)

    def apply(
        self,
        params: LayerParams,  # noqa: ARG002
        x: Array,
        *,
        backend: Backend,
        key: Key | None,
    ) -> tuple[Array, Pullback]:
        """Return the logits, (*P, B, O) at inference, and the pullback."""
        if key is not None:
            return x, without_params(lambda dy: dy)
        xp = backend.xp
        y, derivative = _MEANS[self.link](self.split(x, xp), xp)
        return y, without_params(lambda dy: joined(derivative(dy[..., None, :, :]), xp))


def _log_mean(logs: Array, xp: Namespace) -> tuple[Array, Array]:
    """Return the logarithm of the mean of exp over the members, and each member's share of it."""
    largest = xp.max(logs, axis=-3, keepdims=True)
    exponentials = xp.exp(logs - largest)
    total = xp.sum(exponentials, axis=-3, keepdims=True)
    mean = xp.log(total / logs.shape[-3]) + largest
    return mean[..., 0, :, :], exponentials / total


def _softmax_mean(z: Array, xp: Namespace) -> tuple[Array, Any]:
    """Return log p, where p is the mean of softmax(z)."""
    shifted = z - xp.max(z, axis=-1, keepdims=True)
    logs = shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))
    y, shares = _log_mean(logs, xp)

    def derivative(dy: Array) -> Array:
        slope = shares * dy
        dz: Array = slope - xp.exp(logs) * xp.sum(slope, axis=-1, keepdims=True)
        return dz

    return y, derivative


def _logistic_mean(z: Array, xp: Namespace) -> tuple[Array, Any]:
    """Return log p − log(1 − p), where p is the mean of σ(z)."""
    zero = xp.zeros_like(z)
    yes, no = -xp.logaddexp(-z, zero), -xp.logaddexp(z, zero)  # log σ(z), log(1 − σ(z))
    (of_yes, shares), (of_no, other_shares) = _log_mean(yes, xp), _log_mean(no, xp)
    return of_yes - of_no, lambda dy: dy * (shares * xp.exp(no) + other_shares * xp.exp(yes))


def _identity_mean(z: Array, xp: Namespace) -> tuple[Array, Any]:
    return xp.mean(z, axis=-3), lambda dy: xp.broadcast_to(dy / z.shape[-3], z.shape)


def _exp_mean(z: Array, xp: Namespace) -> tuple[Array, Any]:
    y, shares = _log_mean(z, xp)
    return y, lambda dy: shares * dy


_MEANS = {
    "softmax": _softmax_mean,
    "logistic": _logistic_mean,
    "identity": _identity_mean,
    "exp": _exp_mean,
}


class _Gains(_Members):
    """Base of layers that multiply the inputs of each member by gains of its own."""

    gain_initializer: str
    chunks: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(f"{self.kind}: gain_initializer", self.gain_initializer, GAINS)
        given: Any = self.chunks
        if not isinstance(given, (tuple, list)):
            message = f"{self.kind}: chunks must be a tuple such as (16, 16), got {given!r}"
            raise InvalidArgumentError(message)
        chunks = tuple(check_whole(f"{self.kind}: a chunk", chunk) for chunk in given)
        object.__setattr__(self, "chunks", chunks)

    def draw_gains(self, rng: np.random.Generator, n_in: int) -> np.ndarray:
        """Draw the gains (k, I).

        Raises
        ------
        InvalidArgumentError
            If the chunks do not make up the inputs.
        """
        chunks = self.chunks or (1,) * n_in
        if sum(chunks) != n_in:
            message = f"{self.kind}: chunks must make up {n_in} inputs, got a sum of {sum(chunks)}"
            raise InvalidArgumentError(message)
        shape = (self.members, len(chunks))
        gains: np.ndarray = np.ones(shape)
        if self.gain_initializer == "normal":
            gains = rng.standard_normal(shape)
        elif self.gain_initializer == "signs":
            gains = 2.0 * rng.integers(0, 2, shape) - 1
        return np.repeat(gains, chunks, axis=1)


@register("layer")
@dataclass(frozen=True)
class EnsembleScale(_Gains):
    """Multiply the inputs of each member by learned gains of its own.

    As the first of the layers after ``EnsembleInput``, with shared layers behind it, it makes the
    members of TabM-mini differ. ``gain`` has shape (*P, k, I).

    Parameters
    ----------
    members : int
        The number of members, k.
    gain_initializer : {"ones", "normal", "signs"}
        Initial gains: 1, from N(0, 1), or 1 and −1 with equal probability.
    chunks : tuple of int, optional
        The numbers of consecutive inputs that share one draw, such as the width of an embedding;
        by default each input has its own.

    References
    ----------
    Gorishniy, Kotelnikov and Babenko 2025, "TabM", section 3.
    """

    kind: ClassVar[str] = "ensemble_scale"

    members: int
    gain_initializer: str = "signs"
    chunks: tuple[int, ...] = ()

    def shapes(self, n_in: int) -> tuple[Shapes, int]:
        """Return the shape of ``gain``, and the number of inputs."""
        return {"gain": (self.members, n_in)}, n_in

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:
        """Draw the gains, and return them with the number of inputs."""
        return {"gain": self.draw_gains(rng, n_in)}, n_in

    def apply(
        self,
        params: LayerParams,
        x: Array,
        *,
        backend: Backend,
        key: Key | None,  # noqa: ARG002
    ) -> tuple[Array, Pullback]:
        """Return the scaled inputs, and the pullback."""
        xp, gain = backend.xp, params["gain"][..., None, :]
        inputs = self.split(x, xp)

        def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
            slope = self.split(dy, xp)
            grads = {"gain": xp.sum(slope * inputs, axis=-2)}
            return grads, joined(slope * gain, xp) if need_dx else None

        return joined(inputs * gain, xp), pullback


@register("layer")
@dataclass(frozen=True)
class BatchEnsembleDense(_Gains):
    """Compute s ⊙ ((r ⊙ x) W) + b with a shared W, and r, s and b of each member.

    Parameters: ``weight`` W (*P, I, O), ``input_gain`` r (*P, k, I), ``output_gain`` s (*P, k, O),
    1 at the start, and ``bias`` b (*P, k, O), equal for all members at the start.

    Parameters
    ----------
    units : int
        The number of outputs, O.
    members : int
        The number of members, k.
    gain_initializer : {"ones", "normal", "signs"}
        Initial r, see ``EnsembleScale``; of the first layer, one that makes the members differ.
    chunks : tuple of int, optional
        See ``EnsembleScale``.
    initializer, bias_initializer : str
        See ``Dense``.

    References
    ----------
    Wen, Tran and Ba 2020, "BatchEnsemble", equation 5; Gorishniy, Kotelnikov and Babenko 2025,
    "TabM", section 3.
    """

    kind: ClassVar[str] = "batch_ensemble_dense"

    units: int
    members: int
    gain_initializer: str = "ones"
    chunks: tuple[int, ...] = ()
    initializer: str = "torch_uniform"
    bias_initializer: str = "torch_uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_units(self)

    def shapes(self, n_in: int) -> tuple[Shapes, int]:
        """Return the shapes of the parameters, and the number of units."""
        k, units = self.members, self.units
        shapes: Shapes = {
            "weight": (n_in, units),
            "input_gain": (k, n_in),
            "output_gain": (k, units),
            "bias": (k, units),
        }
        return shapes, units

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:
        """Draw the parameters, and return them with the number of units."""
        bias = get_bias_initializer(self.bias_initializer)
        params = {
            "weight": get_initializer(self.initializer)(rng, n_in, self.units),
            "input_gain": self.draw_gains(rng, n_in),
            "output_gain": np.ones((self.members, self.units)),
            "bias": np.tile(bias(rng, n_in, self.units), (self.members, 1)),
        }
        return params, self.units

    def apply(
        self,
        params: LayerParams,
        x: Array,
        *,
        backend: Backend,
        key: Key | None,  # noqa: ARG002
    ) -> tuple[Array, Pullback]:
        """Return the outputs, and the pullback."""
        xp, weight = backend.xp, params["weight"]
        input_gain, output_gain, bias = (
            params[name][..., None, :] for name in ("input_gain", "output_gain", "bias")
        )
        inputs = self.split(x, xp)
        scaled = joined(inputs * input_gain, xp)
        products = self.split(backend.gemm(scaled, weight), xp)

        def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
            slope = self.split(dy, xp)
            of_product = joined(slope * output_gain, xp)
            of_scaled = self.split(backend.gemm(of_product, weight, transpose_b=True), xp)
            grads: LayerGrads = {
                "weight": ProductGradient(scaled, of_product),
                "input_gain": xp.sum(of_scaled * inputs, axis=-2),
                "output_gain": xp.sum(slope * products, axis=-2),
                "bias": xp.sum(slope, axis=-2),
            }
            return grads, joined(of_scaled * input_gain, xp) if need_dx else None

        return joined(products * output_gain + bias, xp), pullback


@register("layer")
@dataclass(frozen=True)
class EnsembleDense(_Members):
    """Compute x W + b with W and b of each member: separate heads.

    ``weight`` has shape (*P, k, I, O), ``bias`` (*P, k, O).

    Parameters
    ----------
    units : int
        The number of outputs, O.
    members : int
        The number of members, k.
    initializer, bias_initializer : str
        See ``Dense``; each member has its own draw.
    """

    kind: ClassVar[str] = "ensemble_dense"

    units: int
    members: int
    initializer: str = "torch_uniform"
    bias_initializer: str = "torch_uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_units(self)

    def shapes(self, n_in: int) -> tuple[Shapes, int]:
        """Return the shapes of ``weight`` and ``bias``, and the number of units."""
        k, units = self.members, self.units
        return {"weight": (k, n_in, units), "bias": (k, units)}, units

    def init(self, rng: np.random.Generator, n_in: int) -> tuple[dict[str, np.ndarray], int]:
        """Draw the parameters of each member, and return them with the number of units."""
        drawing = {
            "weight": get_initializer(self.initializer),
            "bias": get_bias_initializer(self.bias_initializer),
        }
        params = {
            name: np.stack([draw(rng, n_in, self.units) for _ in range(self.members)])
            for name, draw in drawing.items()
        }
        return params, self.units

    def apply(
        self,
        params: LayerParams,
        x: Array,
        *,
        backend: Backend,
        key: Key | None,  # noqa: ARG002
    ) -> tuple[Array, Pullback]:
        """Return the outputs, and the pullback."""
        xp, weight = backend.xp, params["weight"]
        inputs = self.split(x, xp)
        inputs = xp.broadcast_to(inputs, (*weight.shape[:-2], *inputs.shape[-2:]))
        y = backend.gemm(inputs, weight) + params["bias"][..., None, :]

        def pullback(dy: Array, need_dx: bool = True) -> tuple[LayerGrads, Array | None]:
            slope = self.split(dy, xp)
            grads: LayerGrads = {
                "weight": ProductGradient(inputs, slope),
                "bias": xp.sum(slope, axis=-2),
            }
            dx = joined(backend.gemm(slope, weight, transpose_b=True), xp) if need_dx else None
            return grads, dx

        return joined(y, xp), pullback


def _check_units(layer: Any) -> None:
    object.__setattr__(layer, "units", check_whole(f"{layer.kind}: units", layer.units))
    get_initializer(layer.initializer)
    get_bias_initializer(layer.bias_initializer)


def check_members(layers: tuple[Any, ...]) -> int:
    """Return the number of members of a network's layers, 1 without such layers.

    Raises
    ------
    InvalidArgumentError
        If layers differ in it, or are not between ``EnsembleInput`` and ``EnsembleMean``.
    """
    own = [layer for layer in layers if isinstance(layer, _Members)]
    if not own:
        return 1
    counts = sorted({layer.members for layer in own})
    if len(counts) > 1:
        message = f"layers must have the same number of members, got {counts}"
        raise InvalidArgumentError(message)
    ends = [type(layer) for layer in own if layer.kind in ("ensemble_input", "ensemble_mean")]
    outer = [type(own[0]), type(own[-1])]
    if ends != [EnsembleInput, EnsembleMean] or outer != ends:
        message = (
            f"layers with members must begin with EnsembleInput and end with EnsembleMean, got "
            f"{', '.join(layer.kind for layer in own)}"
        )
        raise InvalidArgumentError(message)
    return counts[0]
