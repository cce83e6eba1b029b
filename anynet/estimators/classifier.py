"""``MLPClassifier``."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn import get_config
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target
from sklearn.utils.validation import check_is_fitted

from anynet.backends import Backend
from anynet.data.batches import Rows
from anynet.errors import InvalidArgumentError
from anynet.estimators.arrays import deliver_labels, to_host
from anynet.estimators.base import BaseMLP, documented
from anynet.estimators.parameters import CONSTRAINTS
from anynet.estimators.samples import check_class_weight, check_weights, exact_types
from anynet.estimators.storing import decode_classes, encode, encode_classes
from anynet.estimators.targets import (
    BINARY,
    MULTICLASS,
    MULTILABEL,
    MULTIOUTPUT,
    GroupedCrossEntropy,
    Labels,
    as_scikit_learn_has_it,
)
from anynet.typing import Array


@documented
class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multi-layer perceptron classifier with scikit-learn's interface, on arrays of any library.

    With scikit-learn's parameters, a fit equals that of scikit-learn to rounding.

    Parameters
    ----------
    {parameters}
    class_weight : dict, list of dict, "balanced" or None
        Factors of the samples of each class, multiplied by ``sample_weight``.
    label_smoothing : float
        See ``anynet.nn.CrossEntropy``; for three classes or more.

    Attributes
    ----------
    classes_ : ndarray, or list of ndarray
        The classes: on the host, or where X lives under scikit-learn's ``array_api_dispatch``; a
        list for several classifications at once.
    {attributes}

    Examples
    --------
    >>> from anynet import MLPClassifier
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier(early_stopping=True, random_state=0).fit(X[:1500], y[:1500])
    >>> model.score(X[1500:], y[1500:]) > 0.85
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    }
    _numeric = False
    classes_: Any

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        class_weight: Any = None,
        label_smoothing: float = 0.0,
        dropout: float = 0.0,
        layer_norm: bool = False,
        scoring: Any = None,
        callbacks: Any = None,
        progress_bar: bool = False,
        n_ensemble: int = 1,
        backend: str | None = None,
        device: str | None = None,
    ) -> None:
        given = locals()
        for name in MLPClassifier._get_param_names():
            setattr(self, name, given[name])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @available_if(lambda estimator: estimator._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> MLPClassifier:
        """Train for one epoch on the given samples.

        Parameters
        ----------
        X, y, sample_weight
            As in ``fit``.
        classes : array of shape (n_classes,)
            All classes of all calls; required in the first call.

        Returns
        -------
        MLPClassifier
            The estimator itself.
        """
        y = to_host(y)
        if hasattr(self, "classes_"):
            self.classes_ = self._class_labels().classes
        if _check_partial_fit_first_call(self, to_host(classes)):
            known = Labels.of(y if type_of_target(y).startswith("multilabel") else self.classes_)
            self._labels = known
            self.classes_ = known.classes
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Any:
        """Predict classes.

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_outputs)
            Where X lives; classes that are strings are NumPy arrays.
        """
        check_is_fitted(self)
        labels = self._class_labels()

        def function(logits: Array, backend: Backend) -> Array:
            if not self._is_ensemble:
                return labels.decide(logits, backend)
            return labels.decide(self._mean_share(logits, backend), backend, border=0.5)

        codes, home = self._forward(X, "predict", function)
        if home is None:
            return labels.decode(codes)
        decoded = labels.decode(home.to_host(codes))
        if isinstance(labels.classes, list):
            return home.to_device(decoded) if decoded.dtype.kind in "buif" else decoded
        return deliver_labels(decoded, labels.classes, home)

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of each class.

        Returns
        -------
        array of shape (n_samples, n_classes)
            In the order of ``classes_``; for several labels, the probability of each label. A list
            with one array per output for several classifications.
        """
        return self._probabilities(X, "predict_proba", logarithm=False)

    def predict_log_proba(self, X: Any) -> Any:
        """Predict the logarithm of the probability of each class.

        Returns
        -------
        array of shape (n_samples, n_classes)
            As in ``predict_proba``.
        """
        return self._probabilities(X, "predict_log_proba", logarithm=True)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy; for several outputs, a row counts if all of them are right.

        Parameters
        ----------
        X, y, sample_weight
            As in ``fit``.
        """
        y = exact_types(to_host(y))
        return self._accuracy(y, to_host(self.predict(X)), to_host(sample_weight))

    def _accuracy(self, y: Any, predicted: Any, sample_weight: Any) -> float:
        if self._class_labels().kind == MULTIOUTPUT:
            right = np.all(np.asarray(y) == predicted, axis=1)
            return float(np.average(right, weights=sample_weight))
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    def _probabilities(self, X: Any, method: str, *, logarithm: bool) -> Any:
        check_is_fitted(self)
        labels = self._class_labels()
        loss = labels.loss(0.0)

        def function(logits: Array, backend: Backend) -> Array:
            xp = backend.xp
            share = self._mean_share(logits, backend)
            if labels.kind == BINARY:
                share = xp.concat([1 - share, share], axis=-1)
            return xp.log(share) if logarithm else share

        joined, _ = self._forward(X, method, function)
        return loss.split(joined) if isinstance(loss, GroupedCrossEntropy) else joined

    def _mean_share(self, logits: Array, backend: Backend) -> Array:
        """Return the probabilities of logits; for an ensemble the mean over its networks."""
        share = self._class_labels().loss(0.0).link(logits, backend.xp)
        return backend.xp.mean(share, axis=0) if self._is_ensemble else share  # type: ignore[no-any-return]

    def _class_labels(self) -> Labels:
        """Return the classes; those in ``classes_`` if that was set by hand."""
        known: Labels | None = getattr(self, "_labels", None)
        return Labels.of(to_host(self.classes_)) if known is None else known

    def _place_classes(self, home: Backend | None) -> None:
        """Set ``classes_``: where X lives under scikit-learn's array API dispatch, else NumPy's.

        Its meta-estimators then compare them with predictions, in one namespace.
        """
        classes = self._class_labels().classes
        if get_config()["array_api_dispatch"] and not isinstance(classes, list):
            classes = deliver_labels(classes, classes, home)
        self.classes_ = classes

    def _read_target(self, y: Any, *, incremental: bool) -> None:
        """Determine the classes, or check that they are the known ones."""
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._labels = Labels.of(y)
            self.classes_ = self._labels.classes
        else:
            self._class_labels().check(y, warm_start=self.warm_start)
        labels = self._class_labels()
        softmax = labels.kind in (MULTICLASS, MULTIOUTPUT)
        self.n_outputs_ = len(labels.classes) if labels.kind == MULTIOUTPUT else labels.n_outputs
        self.out_activation_ = "softmax" if softmax else "logistic"

    def _rows(self, X: Any, y: Any, sample_weight: Any, dtype: str, *, incremental: bool) -> Rows:
        weight = check_weights(sample_weight, y, dtype)
        if self.class_weight is not None:
            factor = self._class_factors(y, incremental=incremental).astype(dtype)
            weight = factor if weight is None else weight * factor
            if not weight.any():
                message = f"class_weight={self.class_weight!r} makes the weight of every sample 0"
                raise ValueError(message)
        return Rows(X, self._class_labels().encode(y, dtype), weight)

    def _class_factors(self, y: Any, *, incremental: bool) -> np.ndarray:
        """Return the factor of each sample, given by ``class_weight``."""
        labels = self._class_labels()
        if incremental and self.class_weight == "balanced":
            message = (
                "class_weight 'balanced' is not supported for partial_fit, which sees a part of "
                "the samples: pass a dict of weights, such as those of "
                "sklearn.utils.class_weight.compute_class_weight"
            )
            raise ValueError(message)
        single = labels.kind in (BINARY, MULTICLASS)
        check_class_weight(self.class_weight, several=not single)
        if single:
            of_class = compute_class_weight(self.class_weight, classes=labels.classes, y=y)
            factors: np.ndarray = of_class[np.searchsorted(labels.classes, y)]
            return factors
        return np.asarray(compute_sample_weight(self.class_weight, y))

    def _model_loss(self) -> Any:
        if self._class_labels().kind == MULTIOUTPUT:
            message = (
                "a model file or another library holds one classification, not several at once: "
                "pickle the estimator, or train one for each column of y"
            )
            raise InvalidArgumentError(message)
        return self._class_labels().loss(float(self.label_smoothing))

    def _describe_labels(self) -> dict[str, Any]:
        """Return the argument of ``_restore_labels``, JSON-able."""
        labels = self._class_labels()
        if labels.kind == MULTIOUTPUT:  # one array of classes for each output
            return {"classes": encode(labels.classes), "several": False}
        return encode_classes(labels.classes) | {"several": labels.kind == MULTILABEL}

    def _onnx_options(self) -> dict[str, Any]:
        labels = self._class_labels()
        return {"classes": labels.classes} if labels.kind in (BINARY, MULTICLASS) else {}

    def _restore_labels(self, about: dict[str, Any]) -> None:
        classes = decode_classes(about)
        kind = BINARY if len(classes) <= 2 else MULTICLASS
        self._labels = Labels(MULTILABEL if about["several"] else kind, classes)
        self.classes_ = classes

    def _n_logits(self, y: Any) -> int:  # noqa: ARG002  (the regressor looks at y)
        return self._class_labels().n_outputs

    def _loss(self) -> Any:
        return as_scikit_learn_has_it(self._class_labels().loss(float(self.label_smoothing)))

    def _strata(self, target: np.ndarray) -> np.ndarray | None:
        """Return the classes if each is large enough to be in both parts of a split, else None."""
        kind = self._class_labels().kind
        if kind == BINARY:
            return target > 0
        if kind != MULTICLASS:
            return None
        present, counts = np.unique(target, return_counts=True)
        held_out = int(np.ceil(self.validation_fraction * len(target)))
        splits = counts.min() >= 2 and len(present) <= min(held_out, len(target) - held_out)
        return target if splits else None

    def _score_logits(
        self, logits: np.ndarray, target: np.ndarray, weight: np.ndarray | None
    ) -> float:
        """Return the accuracy of logits on the host."""
        from anynet.backends import get_backend

        kind = self._class_labels().kind
        if kind == BINARY and len(self._class_labels().classes) == 1:
            return 1.0  # a single class is predicted for any logit
        codes = self._class_labels().decide(logits, get_backend("numpy"))
        right = codes == (target[:, 0] if kind == BINARY else target)
        if kind in (MULTILABEL, MULTIOUTPUT):
            right = np.all(right, axis=1)
        return float(np.average(right, weights=weight))
