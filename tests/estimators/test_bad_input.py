"""Invalid input raises the errors of scikit-learn, where it has them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import make_scorer, r2_score

import anynet
from anynet import nn, optim

X, Y = [[3.0, 2.0], [1.0, 6.0], [5.0, 6.0], [-2.0, -4.0]], [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layer_sizes": -1}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes must be > 0"),
        ({"activation": "ghost"}, "activation"),
        ({"activation": ["relu", "tanh"]}, "one for each of the 1 hidden layers"),
        ({"activation": ["ghost"]}, "activation must be one of"),
        ({"solver": "ghost"}, "solver"),
        ({"alpha": -1}, "alpha"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": "ghost"}, "learning_rate"),
        ({"learning_rate_init": 0}, "learning_rate_init"),
        ({"max_iter": 0}, "max_iter"),
        ({"momentum": 2}, "momentum"),
        ({"beta_1": 1}, "beta_1"),
        ({"epsilon": 0}, "epsilon"),
        ({"n_iter_no_change": 0}, "n_iter_no_change"),
        ({"validation_fraction": 1}, "validation_fraction"),
        ({"dropout": 1}, "dropout"),
        ({"dropout": 0.1, "solver": "lbfgs"}, "dropout needs a stochastic solver"),
        ({"callbacks": [print], "solver": "lbfgs"}, "callbacks needs a stochastic solver"),
        ({"progress_bar": True, "solver": "lbfgs"}, "progress_bar needs a stochastic solver"),
        ({"scoring": "f1", "solver": "lbfgs"}, "scoring needs a stochastic solver"),
        ({"learning_rate": optim.Cosine(0.1), "solver": "lbfgs"}, "a schedule as learning_rate"),
        ({"label_smoothing": 0.1}, "label_smoothing needs three classes"),
        ({"scoring": "ghost"}, "scoring"),
        ({"backend": "ghost"}, "backend"),
        ({"device": "ghost"}, "device"),
        ({"class_weight": "ghost"}, "class_weight"),
        ({"early_stopping": True, "validation_fraction": 0.1}, "The test_size = 1"),
    ],
)
def test_invalid_parameters_raise(parameters, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        anynet.MLPClassifier(**parameters).fit(X, Y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"learning_rate": optim.Cosine}, "'learning_rate' .* or a schedule such as"),
        ({"learning_rate": lambda _: 0.1}, "'learning_rate' .* or a schedule such as"),
        ({"learning_rate": 0.1}, "'learning_rate' .* or a schedule such as"),
        ({"solver": optim.Adam}, "'solver' .* or an optimizer such as"),
        ({"loss": nn.Huber}, "'loss' .* or a loss of values such as"),
        ({"loss": nn.CrossEntropy()}, "'loss' .* or a loss of values such as"),
        ({"callbacks": ["a"]}, "'callbacks' .* functions that take an EpochRecord"),
        ({"callbacks": [lambda: None]}, "'callbacks' .* functions that take an EpochRecord"),
        ({"scoring": r2_score}, "'scoring' .* a scorer .*make_scorer"),
    ],
)
def test_objects_of_the_wrong_kind_raise(parameters, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        anynet.MLPRegressor(**parameters).fit(X, Y)


def test_a_made_scorer_and_a_function_as_schedule_are_accepted() -> None:
    def halving(step, steps_per_epoch, *, backend) -> float:  # noqa: ARG001
        return 0.01 * 0.5 ** (step // steps_per_epoch)

    options = {"max_iter": 3, "n_iter_no_change": 3, "scoring": make_scorer(r2_score)}
    model = anynet.MLPRegressor(learning_rate=halving, callbacks=[[].append], **options)
    with pytest.warns(ConvergenceWarning):
        assert model.fit(X, Y).n_iter_ == 3


def test_unfitted_estimators_raise() -> None:
    for method in ("predict", "predict_proba", "predict_log_proba"):
        with pytest.raises(NotFittedError):
            getattr(anynet.MLPClassifier(), method)(X)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[1.0, np.nan]], [0], "NaN"),
        ([[1.0, np.inf]], [0], "infinity"),
        (np.zeros((0, 2)), [], "0 sample"),
        (np.zeros((2, 0)), [0, 1], "0 feature"),
        ([1.0, 2.0], [0, 1], "Expected 2D array"),
        ([[1.0], [2.0]], [0], "inconsistent numbers of samples"),
        ([[1.0], [2.0]], [0.5, 1.5], "Unknown label type: continuous"),
    ],
)
def test_invalid_samples_raise(X, y, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        anynet.MLPClassifier().fit(X, y)


def test_invalid_arrays_on_a_device_raise() -> None:
    torch = pytest.importorskip("torch")
    for X, message in [
        ([[1.0, np.nan]], "Input X contains NaN"),
        ([[1.0, np.inf]], "Input X contains infinity"),
        (np.zeros((0, 2)), "0 sample"),
        ([1.0], "Expected 2D array"),
    ]:
        with pytest.raises(ValueError, match=message):
            anynet.MLPClassifier().fit(torch.asarray(np.asarray(X)), [0] * len(X))
    model = anynet.MLPRegressor(max_iter=2, tol=1e9, n_iter_no_change=1)
    model.partial_fit(torch.zeros((3, 2)), [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="X has 3 features, but MLPRegressor is expecting 2"):
        model.predict(torch.zeros((3, 3)))


def test_invalid_sample_weights_raise() -> None:
    with pytest.raises(ValueError, match="at least one non-zero"):
        anynet.MLPClassifier().fit(X, Y, np.zeros(4))
    with pytest.raises(ValueError, match="Sample weights must be 1D"):
        anynet.MLPClassifier().fit(X, Y, np.ones((4, 2)))


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: -1.0}, "finite numbers of at least 0, got -1.0 for the class 0"),
        ({0: np.nan}, "finite numbers of at least 0, got nan"),
        ({1: np.inf}, "finite numbers of at least 0, got inf"),
        ({1: "heavy"}, "finite numbers of at least 0, got 'heavy'"),
        ({0: 0, 1: 0.0}, "makes the weight of every sample 0"),
        ([1.0, 2.0], "must be a dict .* got a list"),
        ([{0: 1.0}, {0: 1.0}], "must be a dict .* got a list"),
    ],
)
def test_invalid_class_weights_raise(class_weight, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        anynet.MLPClassifier(class_weight=class_weight).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        anynet.MLPClassifier(class_weight=class_weight).partial_fit(X, Y, classes=[0, 1])


def test_invalid_class_weights_for_several_columns_raise() -> None:
    several = np.stack([Y, Y], axis=1)
    with pytest.raises(ValueError, match="dict for each column of y, got 2"):
        anynet.MLPClassifier(class_weight=[{0: 1.0}, 2]).fit(X, several)
    model = anynet.MLPClassifier(class_weight=[{0: 1.0}, {1: 0.0}], max_iter=2, tol=1e9)
    model.set_params(n_iter_no_change=1)
    with pytest.warns(ConvergenceWarning):
        assert np.isfinite(model.fit(X, several).loss_)


def test_partial_fit_with_unknown_classes_raises() -> None:
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        anynet.MLPClassifier().partial_fit(X, Y)
    model = anynet.MLPClassifier().partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="is not the same as on last call"):
        model.partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(ValueError, match="`y` has classes not in"):
        model.partial_fit(X, [1, 1, 1, 3])
    model.partial_fit(X, [2, 2, 2, 2])


def test_partial_fit_requires_a_stochastic_solver() -> None:
    assert not hasattr(anynet.MLPClassifier(solver="lbfgs"), "partial_fit")
    assert not hasattr(anynet.MLPRegressor(solver="lbfgs"), "partial_fit")
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        anynet.MLPRegressor(early_stopping=True).partial_fit(X, Y)
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        anynet.MLPClassifier(class_weight="balanced").partial_fit(X, Y, classes=[0, 1])


def test_warm_start_with_other_classes_raises() -> None:
    model = anynet.MLPClassifier(warm_start=True, tol=1e9, n_iter_no_change=1).fit(X, Y)
    with pytest.raises(ValueError, match=r"Previously got \[0 1\], `y` has \[0 1 2\]"):
        model.fit(X, [0, 1, 2, 2])


def test_invalid_validation_sets_raise() -> None:
    model = anynet.MLPRegressor(early_stopping=True)
    with pytest.raises(ValueError, match="The validation set is too small"):
        model.fit(X, Y)
    with pytest.raises(ValueError, match="X_val and y_val belong together"):
        model.fit(X, Y, X_val=X)
    with pytest.raises(ValueError, match="X_val needs a stochastic solver"):
        anynet.MLPRegressor(solver="lbfgs").fit(X, Y, X_val=X, y_val=Y)
    with pytest.raises(ValueError, match="without X_val and y_val"):
        model.fit(X, Y, sample_weight_val=[1.0])
    with pytest.raises(ValueError, match="X has 1 features"):
        model.fit(X, Y, X_val=[[1.0], [2.0]], y_val=[1, 0])


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("wide", ["y", "y_val"])
def test_a_validation_target_of_another_width_raises(name: str, wide: str) -> None:
    targets = {"y": Y, "y_val": Y} | {wide: np.stack([Y, Y], axis=1)}
    with pytest.raises(ValueError, match=r"y_val must .*of shape \("):
        getattr(anynet, name)().fit(X, **targets, X_val=X)


def test_negative_poisson_targets_raise_and_a_too_large_batch_warns() -> None:
    with pytest.raises(ValueError, match="poisson needs y >= 0"):
        anynet.MLPRegressor("poisson").fit(X, [-1.0, 0.0, 1.0, 2.0])
    with pytest.warns(UserWarning, match="It is going to be clipped"):
        anynet.MLPRegressor(batch_size=99).partial_fit(X, Y)


def test_a_sparse_matrix_with_nan_raises() -> None:
    with pytest.raises(ValueError, match="NaN"):
        anynet.MLPRegressor().fit(sp.csr_matrix([[np.nan, 1.0], [0.0, 1.0]]), [0.0, 1.0])


@pytest.mark.parametrize("dtype", ["Int64", "int64[pyarrow]"])
def test_nullable_integers_beyond_float64_are_distinct_classes(dtype: str) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    X = np.linspace(-1, 1, 60)[:, None]
    labels = 2**60 + (X[:, 0] > 0).astype(np.int64)
    y = pd.Series(labels, dtype=dtype)
    model = anynet.MLPClassifier(max_iter=300, learning_rate_init=0.05, random_state=0).fit(X, y)
    assert model.classes_.tolist() == [2**60, 2**60 + 1]
    assert model.score(X, y) == np.mean(model.predict(X) == labels) > 0.9
    assert model.score(X, pd.Series(labels[::-1].copy(), dtype=dtype)) < 0.1


def test_lazy_frames_raise() -> None:
    pl = pytest.importorskip("polars")
    with pytest.raises(anynet.AnynetError, match=r"X is a lazy frame.*collect"):
        anynet.MLPClassifier().fit(pl.DataFrame(np.zeros((4, 2))).lazy(), [0, 1, 0, 1])


def test_text_is_not_a_target_of_a_regressor() -> None:
    with pytest.raises(ValueError, match="y must hold numbers, got dtype <U1"):
        anynet.MLPRegressor(max_iter=2).fit(np.eye(4), np.array(["a", "b", "c", "d"]))
