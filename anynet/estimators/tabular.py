"""``TabularClassifier`` and ``TabularRegressor``: estimators for data frames as they are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from anynet import export
from anynet.backends import get_backend
from anynet.data.dataset import TABLE
from anynet.data.tables.encodings import Encoding
from anynet.data.tables.preprocessing import Preprocessing, notes_on_rare
from anynet.data.tables.supervised import Supervised, free_name, table_of
from anynet.data.tables.table import Table
from anynet.data.tables.target import Classes, Target, measure_values
from anynet.errors import ModelFileError
from anynet.estimators.bridges import KEY
from anynet.estimators.columns import (
    check_labels,
    check_table,
    check_values,
    column_names,
    names_of,
    positions_of,
)
from anynet.estimators.parameters import CALLBACKS, SCORES, Such
from anynet.estimators.samples import check_class_weight, check_weights, has_validation
from anynet.estimators.storing import decode, decode_classes, encode, encode_classes
from anynet.tabular import Problem, get_preset, train_preset
from anynet.training.ensemble import Ensemble, load

LEAST_ROWS = 2

PRESET = Such(
    "the name of a preset, or an object such as anynet.tabular.Fast()",
    lambda value: isinstance(value, str) or hasattr(value, "plan"),
)


class BaseTabular(BaseEstimator):
    """Common code of both estimators.

    Parameters
    ----------
    preset : str or Preset
        Which networks are trained: ``"auto"``, which depends on the table, or see
        ``anynet.tabular.PRESETS``.
    columns : mapping of str to str, optional
        Kinds of columns by name, which override detection: "number", "boolean", "date",
        "category" or "ignored". Columns without names are x0, x1, …, or their positions.
    eval_metric : str or callable, optional
        Score of the validation rows that selects the epoch of each network: ``"loss"`` (log loss,
        or squared error), the name of a scorer of scikit-learn, or a function
        ``(y, predicted) -> float``. By default that of the preset: ``"loss"``, except for RealMLP.
    validation_fraction : float
        Share of the rows that each network is validated on. With presets whose networks hold out
        different rows, all rows are trained on by some networks.
    refit : bool
        Whether the networks are trained again on all rows, for the number of epochs that was best.
    time_limit : float, optional
        Seconds after which training stops, at the end of an epoch.
    random_state : int, RandomState instance or None
    callbacks : sequence of callable or None
        Each takes every ``EpochRecord`` of every network, see ``anynet.fit_population``. They are
        not saved with the estimator.
    progress_bar : bool
        Whether to show the epochs with tqdm.
    backend : {"auto", "numpy", "cupy", "torch", "jax"}
        Where to compute, see ``get_backend``.
    device : str, optional
        ``cpu``, ``cuda``, …

    Attributes
    ----------
    ensemble_ : Ensemble
        The networks, with the preprocessing in ``metadata``.
    preprocessing_ : Preprocessing
        How columns become inputs.
    notes_ : tuple of str
        What was done about columns: which are not used, and how numbers in text were read.
    n_features_in_, feature_names_in_ : int, ndarray of str
        Number and names of the columns of ``X``.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "preset": [PRESET],
        "columns": [Mapping, None],
        "eval_metric": [SCORES, callable, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "refit": ["boolean"],
        "time_limit": [Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
        "callbacks": [CALLBACKS, None],
        "progress_bar": ["boolean"],
        "backend": [str],
        "device": [str, None],
    }

    def __init__(
        self,
        preset: Any = "auto",
        *,
        columns: Any = None,
        eval_metric: Any = None,
        validation_fraction: float = 0.2,
        refit: bool = False,
        time_limit: float | None = None,
        random_state: Any = None,
        callbacks: Any = None,
        progress_bar: bool = False,
        backend: str = "auto",
        device: str | None = None,
    ) -> None:
        self.preset = preset
        self.columns = columns
        self.eval_metric = eval_metric
        self.validation_fraction = validation_fraction
        self.refit = refit
        self.time_limit = time_limit
        self.random_state = random_state
        self.callbacks = callbacks
        self.progress_bar = progress_bar
        self.backend = backend
        self.device = device

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        checkpoint: Any = None,
    ) -> Self:
        """Train on the rows of a table.

        Parameters
        ----------
        X : data frame or array of shape (n_samples, n_features)
            Numbers, categories, booleans, dates, text and missing values, as they are.
        y : array of shape (n_samples,)
        sample_weight : array of shape (n_samples,), optional
        X_val, y_val, sample_weight_val : optional
            Rows that all networks are validated on, instead of ``validation_fraction``.
        checkpoint : path-like or Checkpoints, optional
            Folder of checkpoints, from which the same call continues, see ``fit_population``.

        Returns
        -------
        TabularClassifier or TabularRegressor
            The estimator itself.
        """
        preset = get_preset(self.preset)
        read = self._read(X)
        table = read.table
        check_consistent_length(X, y)
        if table.n_rows < LEAST_ROWS:
            message = f"at least {LEAST_ROWS} rows are needed, got n_samples={table.n_rows}"
            raise ValueError(message)
        target = self._fit_target(y, free_name(getattr(y, "name", None), table))
        self.preprocessing_ = Preprocessing.fit(table, read.found, target, preset.encoding)
        self.notes_ = (*read.notes, *notes_on_rare(self.preprocessing_.encoders))
        data = self._rows(table, y, sample_weight)
        validation: Any = float(self.validation_fraction)
        if has_validation(X_val, y_val, sample_weight_val):
            rows = check_table(self, X_val, reset=False)
            validation = self._rows(rows, y_val, sample_weight_val, "_val")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.ensemble_ = train_preset(
            preset,
            data,
            Problem.of(self.preprocessing_, len(data[1]), seed),
            validation=validation,
            scoring=self.eval_metric,
            class_weight=self._class_weight(),
            time_limit=self.time_limit,
            refit=self.refit,
            metadata={TABLE: self.preprocessing_.to_config()},
            checkpoint=checkpoint,
            callbacks=self.callbacks or (),
            progress=self.progress_bar,
            backend=self.backend,
            device=self.device,
        )
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator as one safetensors file, whole or not at all.

        ``anynet.load`` and ``anynet predict`` read it too.

        Raises
        ------
        InvalidArgumentError
            If a parameter is code, such as a scorer of your own, which a pickle holds.
        OSError
            If it cannot be written; an earlier file is then unchanged.
        """
        check_is_fitted(self)
        parameters = {}
        for name, value in self.get_params(deep=False).items():
            if name != "callbacks":
                parameters[name] = encode(dict(value) if isinstance(value, Mapping) else value)
        about: dict[str, Any] = {
            "name": type(self).__name__,
            "parameters": parameters,
            "n_features": self.n_features_in_,
            "notes": list(self.notes_),
        }
        if hasattr(self, "feature_names_in_"):
            about["feature_names"] = self.feature_names_in_.tolist()
        if hasattr(self, "classes_"):
            about |= encode_classes(self.classes_)
        ensemble = self.ensemble_
        Ensemble(ensemble.models, ensemble.metadata | {KEY: about}, ensemble.weights).save(path)

    def to_onnx(self, path: str | os.PathLike[str] | None = None, **options: Any) -> Any:
        """Convert preprocessing and networks to one ONNX graph.

        Its inputs are the columns that are used, and it computes the mean of the networks: see
        ``columns`` of ``anynet.export.to_onnx``. ``label`` is one of ``classes_``.

        Parameters
        ----------
        path : path-like, optional
            Written if it is given.
        **options
            See ``anynet.export.to_onnx``.

        Returns
        -------
        onnx.ModelProto
        """
        check_is_fitted(self)
        chosen: dict[str, Any] = {"columns": True}
        if hasattr(self, "classes_"):
            chosen["classes"] = self.classes_.tolist()
        return export.to_onnx(self.ensemble_, path, **chosen | options)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], backend: str = "auto", device: str | None = None
    ) -> Self:
        """Read an estimator that ``save`` wrote.

        Parameters
        ----------
        path : path-like
        backend, device : str, optional
            Where to compute, see ``anynet.get_backend``.

        Returns
        -------
        TabularClassifier or TabularRegressor

        Raises
        ------
        ModelFileError
            If the file is absent, damaged, or holds something else.
        """
        loaded = load(path, backend, device)
        about = loaded.metadata.get(KEY, {})
        if about.get("name") != cls.__name__ or not isinstance(loaded, Ensemble):
            message = (
                f"{path} holds {about.get('name', 'a model that no estimator saved')}, not a "
                f"{cls.__name__}: anynet.load reads it"
            )
            raise ModelFileError(message)
        made = cls(**{name: decode(one) for name, one in about["parameters"].items()})
        made.ensemble_ = loaded
        made.preprocessing_ = Preprocessing.of(loaded)
        made.n_features_in_ = about["n_features"]
        made.notes_ = tuple(about.get("notes", ()))
        if "feature_names" in about:
            made.feature_names_in_ = np.asarray(about["feature_names"], dtype=object)
        if "classes" in about:
            made.classes_ = decode_classes(about)
        return made

    def _predict_mean(self, X: Any) -> np.ndarray:
        """Return the mean of the networks' outputs (N, O), on the host."""
        check_is_fitted(self)
        x = self.preprocessing_.transform(check_table(self, X, reset=False))
        ensemble = self.ensemble_
        if ensemble.models[0].backend.name == "numpy":
            # A row's float32 result depends on the number of rows, in its last digits.
            exact = get_backend("numpy", dtype="float64")
            models = [model.to(exact) for model in ensemble.models]
            ensemble = Ensemble(models, weights=ensemble.weights)
        mean: np.ndarray = np.asarray(ensemble.predict_mean(x), dtype=np.float64)
        return mean

    def _read(self, X: Any) -> Supervised:
        """Return the columns of training rows and their kinds."""
        table = check_table(self, X, reset=True)
        given = column_names(X, self.n_features_in_)
        names = dict(zip(given, names_of(self), strict=True))
        kinds = {names.get(name, name): kind for name, kind in (self.columns or {}).items()}
        return table_of(table, columns=kinds)

    def _rows(self, table: Table, y: Any, sample_weight: Any, part: str = "") -> tuple[Any, ...]:
        """Return encoded rows, targets and weights; ``part`` ends the names of the arguments."""
        y = self._encode_target(y, f"y{part}")
        if len(y) != table.n_rows or not table.n_rows:
            message = (
                f"X{part} and y{part} must have the same number of rows, at least one, got "
                f"{table.n_rows} and {len(y)}"
            )
            raise ValueError(message)
        x = self.preprocessing_.transform(table)
        if sample_weight is None:
            return x, y
        weight = check_weights(sample_weight, x, "float32")
        if weight is not None and np.any(weight < 0):
            message = f"sample_weight{part} must not be negative, got {np.min(weight):g}"
            raise ValueError(message)
        return x, y, weight

    def _class_weight(self) -> Any:
        return None

    def _fit_target(self, y: Any, name: str) -> Target:
        raise NotImplementedError

    def _encode_target(self, y: Any, name: str) -> np.ndarray:
        raise NotImplementedError


class TabularRegressor(RegressorMixin, BaseTabular):
    """Predict a number from the columns of a table.

    Examples
    --------
    >>> import numpy as np
    >>> import anynet
    >>> rows = np.array([["Ulm", 30], ["Bonn", 40], ["Jena", 70], ["Ulm", 80]] * 15, dtype=object)
    >>> rent = 10.0 * rows[:, 1].astype(float)
    >>> model = anynet.TabularRegressor("fast", random_state=0).fit(rows, rent)
    >>> model.score(rows, rent) > 0.9
    True
    """

    def predict(self, X: Any) -> np.ndarray:
        """Predict values (n_samples,)."""
        mean = self._predict_mean(X)
        return self.preprocessing_.decode(mean[:, 0])

    def _fit_target(self, y: Any, name: str) -> Target:
        clamped = Encoding.of(get_preset(self.preset).encoding).clamped
        return measure_values(name, check_values(y, name), clamp=clamped, constant=True)

    def _encode_target(self, y: Any, name: str) -> np.ndarray:
        encoded, _ = self.preprocessing_.target.encode(check_values(y, name))
        return encoded


class TabularClassifier(ClassifierMixin, BaseTabular):
    """Predict a class from the columns of a table.

    Examples
    --------
    >>> import numpy as np
    >>> import anynet
    >>> rows = np.array([["Ulm", 30], ["Bonn", 40], ["Jena", 70], ["Ulm", 80]] * 15, dtype=object)
    >>> costly = ["no", "no", "yes", "yes"] * 15
    >>> model = anynet.TabularClassifier("fast", random_state=0).fit(rows, costly)
    >>> list(map(str, model.predict([["Ulm", 35], ["Bonn", 75]])))
    ['no', 'yes']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseTabular._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    def __init__(
        self,
        preset: Any = "auto",
        *,
        columns: Any = None,
        eval_metric: Any = None,
        class_weight: Any = None,
        validation_fraction: float = 0.2,
        refit: bool = False,
        time_limit: float | None = None,
        random_state: Any = None,
        callbacks: Any = None,
        progress_bar: bool = False,
        backend: str = "auto",
        device: str | None = None,
    ) -> None:
        super().__init__(
            preset,
            columns=columns,
            eval_metric=eval_metric,
            validation_fraction=validation_fraction,
            refit=refit,
            time_limit=time_limit,
            random_state=random_state,
            callbacks=callbacks,
            progress_bar=progress_bar,
            backend=backend,
            device=device,
        )
        self.class_weight = class_weight

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes (n_samples,)."""
        mean = self._predict_mean(X)
        classes: np.ndarray = self.classes_[np.argmax(mean, axis=1)]
        return classes

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict probabilities (n_samples, n_classes), in the order of ``classes_``."""
        mean = self._predict_mean(X)
        probabilities: np.ndarray = mean / mean.sum(axis=1, keepdims=True)
        return probabilities

    def _fit_target(self, y: Any, name: str) -> Target:
        self.classes_ = np.unique(check_labels(y))
        if len(self.classes_) < 2:
            message = f"y must have at least two classes, got one class: {self.classes_.tolist()}"
            raise ValueError(message)
        return Classes(name, tuple(map(str, self.classes_)), numeric=False)

    def _encode_target(self, y: Any, name: str) -> np.ndarray:
        return positions_of(check_labels(y, name), self.classes_, name)

    def _class_weight(self) -> Any:
        if not isinstance(self.class_weight, Mapping):
            return self.class_weight
        check_class_weight(self.class_weight, several=False)
        known = self.classes_.tolist()
        factors = dict(self.class_weight)
        if set(known) <= factors.keys():  # as scikit-learn: folds may lack a class
            factors = {label: factors[label] for label in known}
        places = positions_of(list(factors), self.classes_, "class_weight")
        return dict(zip(places.tolist(), factors.values(), strict=True))
