"""Class labels, and their encoding as the numbers that losses take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from anynet.backends import Backend
from anynet.estimators.losses import GroupedCrossEntropy
from anynet.nn.losses import BinaryCrossEntropy, CrossEntropy
from anynet.typing import Array

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
