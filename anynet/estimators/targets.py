"""Targets: class labels, their encoding, and the losses with scikit-learn's conventions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from anynet.backends import Backend
from anynet.nn.losses import BinaryCrossEntropy, CrossEntropy, Loss
from anynet.nn.metrics import SUBSET_ACCURACY, Metric
from anynet.typing import Array, Namespace

BINARY, MULTICLASS = "binary", "multiclass"
MULTILABEL, MULTIOUTPUT = "multilabel-indicator", "multiclass-multioutput"


@dataclass(frozen=True, eq=False)
class Labels:
    """The classes of a target.

    Attributes
    ----------
    kind : str
        ``binary`` (one logit; at most two classes), ``multiclass``, ``multilabel-indicator`` (a
        0/1 matrix) or ``multiclass-multioutput`` (several classifications at once).
    classes : ndarray or list of ndarray
        Sorted classes; column numbers for an indicator; one array per output for multioutput.
    sparse : bool
        Whether the indicator was given as a sparse matrix; predictions then are sparse too.
    """

    kind: str
    classes: Any
    sparse: bool = False

    @classmethod
    def of(cls, y: Any) -> Labels:
        """Determine the classes of a target.

        Raises
        ------
        ValueError
            If the target is not a set of classes, for example if it has continuous values.
        """
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == MULTIOUTPUT:
            columns = np.asarray(y)
            return cls(kind, [np.unique(columns[:, i]) for i in range(columns.shape[1])])
        classes = unique_labels(y)
        if kind == MULTILABEL:
            return cls(kind, classes, sp.issparse(y))
        return cls(BINARY if len(classes) <= 2 else MULTICLASS, classes)

    @property
    def n_outputs(self) -> int:
        """The number of logits."""
        if self.kind == BINARY:
            return 1
        if self.kind == MULTIOUTPUT:
            return sum(len(classes) for classes in self.classes)
        return len(self.classes)

    def loss(self, label_smoothing: float) -> Any:
        """Return the loss for this kind of target.

        Raises
        ------
        ValueError
            If ``label_smoothing`` is given for a target without softmax.
        """
        if self.kind == MULTICLASS:
            return CrossEntropy(label_smoothing)
        if self.kind == MULTIOUTPUT:
            return GroupedCrossEntropy(tuple(len(c) for c in self.classes), label_smoothing)
        if label_smoothing:
            message = f"label_smoothing needs three classes or more, y is {self.kind}: set it to 0"
            raise ValueError(message)
        return BinaryCrossEntropy()

    def check(self, y: Any, *, warm_start: bool) -> None:
        """Check later targets against the classes; the messages are scikit-learn's.

        Raises
        ------
        ValueError
            If there are new classes; for ``warm_start`` also if some are missing.
        """
        if self.kind == MULTIOUTPUT:
            found = Labels.of(y)
            known = (
                found.kind == MULTIOUTPUT
                and len(found.classes) == len(self.classes)
                and all(
                    np.isin(new, old).all()
                    for new, old in zip(found.classes, self.classes, strict=True)
                )
            )
            if not known:
                message = f"`y` has classes not in `self.classes_`, which has {self.classes}"
                raise ValueError(message)
            return
        classes = unique_labels(y)
        if warm_start:
            if set(classes) != set(self.classes):
                message = (
                    "warm_start can only be used where `y` has the same classes as in the previous "
                    f"call to fit. Previously got {self.classes}, `y` has {classes}"
                )
                raise ValueError(message)
        elif len(np.setdiff1d(classes, self.classes, assume_unique=True)):
            message = (
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes}. 'y' has {classes}."
            )
            raise ValueError(message)

    def encode(self, y: Any, dtype: str) -> np.ndarray:
        """Return the target as the loss takes it: int32 classes, or a matrix of 0 and 1."""
        if self.kind == MULTILABEL:
            indicator: np.ndarray = (y.toarray() if sp.issparse(y) else np.asarray(y)).astype(dtype)
            return indicator
        if self.kind == MULTIOUTPUT:
            columns = np.asarray(y)
            codes = [np.searchsorted(c, columns[:, i]) for i, c in enumerate(self.classes)]
            return np.stack(codes, axis=1).astype(np.int32)
        code = np.searchsorted(self.classes, np.asarray(y))
        if self.kind == BINARY:
            return code.astype(dtype)[:, None]
        return code.astype(np.int32)

    def decide(self, outputs: Array, backend: Backend, border: float = 0.0) -> Array:
        """Return the predicted codes on the device: (B,), or (B, labels or outputs).

        Parameters
        ----------
        outputs : Array
            Logits; or probabilities, with ``border`` ½.
        backend : Backend
        border : float
            A label is predicted if its output is larger.
        """
        xp = backend.xp
        if self.kind == MULTICLASS:
            return xp.argmax(outputs, axis=-1)  # type: ignore[no-any-return]
        if self.kind == MULTIOUTPUT:
            groups = GroupedCrossEntropy(tuple(len(c) for c in self.classes)).split(outputs)
            return xp.stack([xp.argmax(group, axis=-1) for group in groups], axis=-1)  # type: ignore[no-any-return]
        positive = outputs > border
        return positive[:, 0] if self.kind == BINARY else positive

    def decode(self, codes: np.ndarray) -> Any:
        """Turn codes on the host into labels."""
        codes = codes.astype(np.int64)
        if self.kind == MULTILABEL:
            return sp.csr_matrix(codes) if self.sparse else codes
        if self.kind == MULTIOUTPUT:
            columns = [classes[codes[:, i]] for i, classes in enumerate(self.classes)]
            return np.stack(columns, axis=1)
        if len(self.classes) == 1:
            return np.repeat(self.classes, len(codes))
        return self.classes[codes]


@dataclass(frozen=True)
class SummedOverOutputs:
    """A loss of values whose gradient is that of the sum over the outputs, not of the mean.

    scikit-learn reports the squared error as the mean over the outputs, but its gradient is that
    of the sum; its Poisson loss sums both. With one output there is no difference.

    Parameters
    ----------
    loss : Loss
        One of ``task`` ``"values"``.
    n_outputs : int
    value_is_mean : bool
        Whether the reported value is the mean.
    """

    loss: Loss
    n_outputs: int
    value_is_mean: bool

    def __call__(
        self, logits: Array, target: Array, weight: Array | None, *, backend: Backend
    ) -> tuple[Array, Array]:
        """Return the loss and its gradient."""
        value, dlogits = self.loss(logits, target, weight, backend=backend)
        return value if self.value_is_mean else value * self.n_outputs, dlogits * self.n_outputs

    def link(self, logits: Array, xp: Namespace) -> Array:
        """Return the link of the inner loss."""
        return self.loss.link(logits, xp)


@dataclass(frozen=True)
class ClippedCrossEntropy(CrossEntropy):
    """Cross-entropy of probabilities clipped to [ε, 1 − ε], as in scikit-learn.

    ε is that of the dtype. The gradient is that of the unclipped probabilities.
    """

    def _losses(self, shifted: Array, total: Array, wanted: Array, xp: Namespace) -> Array:
        epsilon = float(xp.finfo(shifted.dtype).eps)
        logs = xp.clip(shifted - xp.log(total), math.log(epsilon), math.log1p(-epsilon))
        losses: Array = -xp.sum(wanted * logs, axis=-1)
        return losses


@dataclass(frozen=True)
class ClippedBinaryCrossEntropy(BinaryCrossEntropy):
    """Binary cross-entropy of probabilities clipped to [ε, 1 − ε], see ``ClippedCrossEntropy``.

    The probability of 0 is computed as 1 minus that of 1, with the rounding of scikit-learn.
    """

    def link(self, logits: Array, xp: Namespace) -> Array:
        """Return the logistic function, accurate for small values.

        Adam divides gradients by their magnitude: those of small probabilities must not be 0.
        """
        largest = math.log(float(xp.finfo(logits.dtype).max)) - 1  # beyond, exp overflows
        share: Array = 1 / (1 + xp.exp(xp.clip(-logits, -largest, largest)))
        return share

    def _losses(self, logits: Array, target: Array, xp: Namespace) -> Array:
        epsilon = float(xp.finfo(logits.dtype).eps)
        share = xp.clip(self.link(logits, xp), epsilon, 1 - epsilon)
        losses: Array = -(target * xp.log(share) + (1 - target) * xp.log(1 - share))
        return losses


def as_scikit_learn_has_it(loss: Loss) -> Loss:
    """Return the loss of classes that equals scikit-learn's also at probabilities of 0 and 1."""
    if isinstance(loss, CrossEntropy):
        return ClippedCrossEntropy(loss.label_smoothing)
    return ClippedBinaryCrossEntropy() if isinstance(loss, BinaryCrossEntropy) else loss


@dataclass(frozen=True)
class GroupedCrossEntropy:
    """The sum of the losses of several classifications, a softmax over each group of logits.

    Targets are classes (B, groups), counted from 0 within each group.

    Parameters
    ----------
    sizes : tuple of int
        The number of classes of each group; the logits are the concatenated groups.
    label_smoothing : float
        See ``CrossEntropy``.
    """

    kind: ClassVar[str] = "grouped_cross_entropy"
    task: ClassVar[str] = "classes"
    metric: ClassVar[Metric] = SUBSET_ACCURACY

    sizes: tuple[int, ...]
    label_smoothing: float = 0.0

    def __call__(
        self, logits: Array, target: Array, weight: Array | None, *, backend: Backend
    ) -> tuple[Array, Array]:
        """Return the summed loss and its gradient."""
        loss = CrossEntropy(self.label_smoothing)
        pairs = [
            loss(group, target[..., index], weight, backend=backend)
            for index, group in enumerate(self.split(logits))
        ]
        values = [value for value, _ in pairs]
        total = sum(values[1:], start=values[0])
        return total, backend.xp.concat([dlogits for _, dlogits in pairs], axis=-1)

    def link(self, logits: Array, xp: Namespace) -> Array:
        """Softmax over each group."""
        groups = [CrossEntropy().link(group, xp) for group in self.split(logits)]
        joined: Array = xp.concat(groups, axis=-1)
        return joined

    def split(self, logits: Array) -> list[Array]:
        """Cut the last axis into the groups."""
        starts = [sum(self.sizes[:index]) for index in range(len(self.sizes))]
        return [
            logits[..., start : start + size]
            for start, size in zip(starts, self.sizes, strict=True)
        ]
