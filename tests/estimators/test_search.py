"""``PopulationSearchCV``: the results of ``GridSearchCV``, computed by populations."""

from __future__ import annotations

import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import anynet
from anynet import optim

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
QUICK = {"hidden_layer_sizes": (9,), "max_iter": 4, "batch_size": 50, "random_state": 0}
RATES = {"learning_rate_init": [1e-5, 0.01, 0.1]}
COSINE = optim.Cosine(0.1, epochs=4)
SMALL = {"hidden_layer_sizes": (10,), "max_iter": 40, "learning_rate_init": 0.02}
SEARCHES = [
    anynet.PopulationSearchCV(kind(random_state=0, **SMALL), {"alpha": [1e-4, 1e-2]}, cv=2)
    for kind in (anynet.MLPClassifier, anynet.MLPRegressor)
]


def network(table, **parameters):
    return getattr(anynet, table.estimator)(**QUICK | parameters)


def both(table, grid, *args, estimator=None, fit=None, **options):
    """Search with populations and with scikit-learn, and compare all results."""
    estimator = network(table) if estimator is None else estimator
    options = {"cv": 3} | options
    pair = [
        kind(clone(estimator), grid, *args, **options).fit(table.X, table.y, **fit or {})
        for kind in (anynet.PopulationSearchCV, GridSearchCV)
    ]
    assert_same(*pair)
    return pair


def assert_same(ours, theirs) -> None:
    assert vars(ours).keys() - {"parallel"} == vars(theirs).keys()
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    for name, expected in theirs.cv_results_.items():
        found = ours.cv_results_[name]
        if "time" in name:
            assert np.shape(found) == np.shape(expected)
            assert (found >= 0).all()
        elif name == "params":
            assert found == expected
        elif name.startswith("param_"):
            assert repr(found.tolist()) == repr(expected.tolist())
        else:
            np.testing.assert_allclose(found, expected, rtol=1e-9, err_msg=name)
    for name in ("best_params_", "best_index_", "n_splits_", "multimetric_"):
        assert getattr(ours, name, None) == getattr(theirs, name, None)
    if ours.refit:
        assert type(ours.best_estimator_) is type(theirs.best_estimator_)
        for one, other in zip(weights_of(ours), weights_of(theirs), strict=True):
            np.testing.assert_array_equal(one, other)


def weights_of(search):
    best = search.best_estimator_
    best = best[-1] if isinstance(best, Pipeline) else best
    if isinstance(best, LogisticRegression):
        return [best.coef_]
    return [one.coefs_[0] for one in getattr(best, "estimators_", [best])]


@parametrize_with_checks(SEARCHES)
@pytest.mark.filterwarnings("ignore")
def test_all_estimator_checks_of_scikit_learn_pass(estimator, check) -> None:
    check(estimator)


@pytest.mark.parametrize(
    "grid",
    [
        RATES | {"alpha": [0.0, 1.0]},
        {"solver": ["sgd"], "momentum": [0.0, 0.5, 0.9], "nesterovs_momentum": [True, False]},
        {"dropout": [0.0, 0.1, 0.4], "random_state": [0, 1], "layer_norm": [True]},
        [{"hidden_layer_sizes": [(8,), (4, 4)]}, {"batch_size": [20, 500]}, {}],
        {"early_stopping": [True, False], "max_iter": [3, 9], "n_iter_no_change": [1, 10]},
        {
            "solver": ["sgd"],
            "learning_rate": ["adaptive", "invscaling", optim.Cosine(0.1, epochs=4)],
        },
        {"solver": ["lbfgs", "adamw", optim.SGD(momentum=0.5)], "n_ensemble": [1, 2]},
    ],
)
@pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1")
def test_results_match_grid_search(classes, grid) -> None:
    both(classes, grid)


def test_results_match_for_every_kind_of_target(table) -> None:
    both(table, RATES | {"alpha": [0.0, 1.0]})


def test_class_weights_are_computed_per_fold(classes) -> None:
    both(classes, {"class_weight": [None, "balanced", {3: 2.0}], "alpha": [1e-4, 1.0]})


def test_results_match_for_label_smoothing_and_losses(classes, values) -> None:
    both(classes, {"label_smoothing": [0.0, 0.1, 0.3]})
    both(values, {"loss": ["squared_error", "huber"], "alpha": [1e-4, 1.0]})


def test_candidates_and_folds_are_trained_in_one_population(classes, capsys) -> None:
    grid = RATES | {"alpha": [0.0, 1.0], "random_state": [0, 1]}
    search = anynet.PopulationSearchCV(network(classes), grid, cv=KFold(4), verbose=2)
    search.fit(classes.X, classes.y)
    assert "totalling 48 fits: 1 populations, and 0 fits alone" in capsys.readouterr().out
    search.set_params(cv=KFold(3)).fit(classes.X, classes.y)  # 200 samples: folds of 67, 67, 66
    printed = capsys.readouterr().out
    assert "2 populations" in printed
    assert "[2/2] 12 fits at once" in printed


def test_results_match_for_metrics_and_refits(classes) -> None:
    probability = {"scoring": ["accuracy", "neg_log_loss"], "return_train_score": True}
    ours, _ = both(classes, RATES, **probability, refit="neg_log_loss")
    assert ours.score(classes.X, classes.y) == pytest.approx(
        -log_loss(classes.y, ours.predict_proba(classes.X))
    )
    ours, _ = both(classes, RATES, **probability, refit=False)
    assert not hasattr(ours, "predict")
    ours, _ = both(classes, RATES, refit=lambda found: int(found["mean_test_score"].argmin()))
    assert ours.best_params_ == {"learning_rate_init": 1e-5}
    assert ours.refit_time_ > 0

    def scorer(estimator, X, y):
        assert type(estimator) is anynet.MLPClassifier
        return {"right": accuracy_score(y, estimator.predict(X)), "epochs": estimator.n_iter_}

    both(classes, {"max_iter": [1, 3]}, scoring=scorer, refit="epochs")


def test_invalid_combinations_of_scoring_and_refit_raise_before_training(
    classes, monkeypatch
) -> None:
    monkeypatch.setattr("anynet.estimators.search.fit_all", None)
    search = anynet.PopulationSearchCV(network(classes), RATES, scoring=["accuracy", "f1_macro"])
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        search.fit(classes.X, classes.y)
    with pytest.raises(ValueError, match="The 'scoring' parameter of PopulationSearchCV"):
        search.set_params(scoring="acuracy").fit(classes.X, classes.y)


def test_results_match_for_splitters(classes) -> None:
    groups = np.arange(len(classes.y)) % 5
    both(classes, RATES, cv=GroupKFold(4), fit={"groups": groups})
    both(classes, RATES, cv=[(np.arange(100), np.arange(100, 200)), (np.arange(0, 200, 3), [1, 2])])
    order = np.argsort(classes.y, kind="stable")  # some folds lack a class
    both(classes._replace(X=classes.X[order], y=classes.y[order]), RATES, cv=KFold(4))
    pair = [
        kind(network(classes), RATES, cv=ShuffleSplit(2, random_state=np.random.RandomState(1)))
        for kind in (anynet.PopulationSearchCV, GridSearchCV)
    ]
    assert_same(*(one.fit(classes.X, classes.y) for one in pair))


def test_results_match_with_sample_weights_and_a_validation_set(classes, rng) -> None:
    weight = rng.uniform(size=len(classes.y))
    both(classes, RATES, fit={"sample_weight": weight})
    held = {"X_val": classes.X[:40], "y_val": classes.y[:40], "sample_weight_val": weight[:40]}
    early = network(classes, early_stopping=True, scoring="f1_macro", max_iter=9)
    both(classes, RATES, estimator=early, fit=held)
    with config_context(enable_metadata_routing=True):
        routed = network(classes).set_fit_request(sample_weight=True)
        routed = routed.set_score_request(sample_weight=False)
        both(classes, RATES, estimator=routed, fit={"sample_weight": weight})


def test_results_match_for_frames_sparse_matrices_and_lists(classes) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(classes.X).rename(columns="pixel {}".format)
    ours, _ = both(classes._replace(X=frame, y=pandas.Series(classes.y)), RATES)
    np.testing.assert_array_equal(ours.feature_names_in_, frame.columns)
    both(classes._replace(X=sp.csr_matrix(classes.X)), RATES)
    both(classes._replace(X=classes.X.tolist(), y=classes.y.astype(str).tolist()), RATES)


def test_results_match_for_arrays_of_other_libraries(classes) -> None:
    pytest.importorskip("torch")
    backend = anynet.get_backend("torch", "cpu")
    table = classes._replace(X=backend.to_device(classes.X.astype(np.float32)))
    options = {"estimator": network(table, early_stopping=True, validation_fraction=0.2)}
    options |= {"param_grid": RATES, "cv": KFold(2)}
    ours = anynet.PopulationSearchCV(**options).fit(table.X, table.y)
    expected = GridSearchCV(**options).fit(classes.X.astype(np.float32), table.y)
    scores = [one.cv_results_["mean_test_score"] for one in (ours, expected)]
    np.testing.assert_allclose(*scores, atol=0.011)  # one or two samples of 200
    assert type(ours.best_estimator_.coefs_[0]) is type(table.X)


def test_backends_can_be_searched(classes) -> None:
    pytest.importorskip("torch")
    both(classes, {"backend": ["torch", None], "alpha": [1e-4, 1.0]})


def test_candidates_outside_populations_use_joblib(classes) -> None:
    grid = {"solver": ["lbfgs"], "alpha": [1e-4, 1.0]}
    with joblib.parallel_config(backend="threading"):  # processes take seconds to start
        ours, _ = both(classes, grid, n_jobs=2)
    assert (ours.cv_results_["mean_fit_time"] > 0).all()


def test_results_match_for_networks_at_the_end_of_pipelines(classes, capsys) -> None:
    pipeline = Pipeline([("scale", StandardScaler()), ("network", network(classes))])
    grid = {"network__alpha": [1e-4, 1.0], "network__dropout": [0.1, 0.3]}
    ours, _ = both(classes, grid, estimator=pipeline, cv=KFold(3), verbose=1)
    assert "totalling 12 fits: 3 populations, and 0 fits alone" in capsys.readouterr().out
    assert "[CV]" not in capsys.readouterr().out
    scaled = ours.best_estimator_["scale"].transform(classes.X)
    expected = ours.best_estimator_["network"].predict(scaled)
    np.testing.assert_array_equal(ours.predict(classes.X), expected)


def test_results_match_for_pipelines_with_other_steps(classes, rng, tmp_path: Path) -> None:
    steps = [("scale", StandardScaler()), ("less", "passthrough"), ("network", network(classes))]
    grid = [
        {"scale": ["passthrough", MaxAbsScaler()], "network__alpha": [1e-4, 1.0]},
        {"less": [PCA(5, random_state=0)], "network__early_stopping": [True, False]},
        {"network": [LogisticRegression(max_iter=5)], "network__C": [1.0, 2.0]},
        {"network__solver": ["lbfgs"]},
    ]
    both(classes, grid, estimator=Pipeline(steps))
    sparse = classes._replace(X=sp.csr_matrix(classes.X))
    steps[0] = ("scale", MaxAbsScaler())
    both(sparse, {"network__alpha": [1e-4, 1.0]}, estimator=Pipeline(steps))
    weight = {"network__sample_weight": rng.uniform(size=len(classes.y))}
    both(classes, {"network__alpha": [1e-4, 1.0]}, estimator=Pipeline(steps), fit=weight)
    stored = Pipeline(steps, memory=str(tmp_path))
    both(classes, {"network__alpha": [1e-4, 1.0]}, estimator=stored)


def test_results_match_for_frames_in_pipelines(classes) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(classes.X).rename(columns="pixel {}".format)
    pipeline = Pipeline([("scale", StandardScaler()), ("network", network(classes))])
    pipeline = pipeline.set_output(transform="pandas")
    both(classes._replace(X=frame), {"network__alpha": [1e-4, 1.0]}, estimator=pipeline)


def test_failing_pipeline_steps_are_reported(classes) -> None:
    pipeline = Pipeline([("scale", StandardScaler()), ("network", network(classes))])
    grid = {"scale__with_mean": [True, "maybe"], "network__alpha": [1e-4, -1.0]}
    with pytest.warns(FitFailedWarning, match="9 fits failed out of a total of 12"):
        both(classes, grid, estimator=pipeline, error_score=0.0)
    search = anynet.PopulationSearchCV(pipeline, {"network__alfa": [1.0]})
    with pytest.raises(ValueError, match=r"did you mean 'network__alpha'\?"):
        search.fit(classes.X, classes.y)


class Derived(anynet.MLPClassifier):
    """A subclass with its own ``fit``."""

    def fit(self, X, y):
        return super().fit(X[::2], y[::2])


def test_other_estimators_are_searched_like_in_scikit_learn(classes) -> None:
    derived = Derived(**QUICK)
    both(classes, {"alpha": [1e-4, 1.0]}, estimator=derived)
    both(classes, {"C": [0.1, 1.0]}, estimator=LogisticRegression(max_iter=5))


def test_the_search_is_itself_an_estimator(classes) -> None:
    search = anynet.PopulationSearchCV(network(classes), RATES, cv=2)
    assert search.get_params()["estimator__max_iter"] == 4
    assert cross_val_score(search, classes.X, classes.y, cv=2, error_score="raise").shape == (2,)
    search.fit(classes.X, classes.y)
    back = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(back.predict(classes.X), search.predict(classes.X))
    assert back.score(classes.X, classes.y) == search.score(classes.X, classes.y)
    assert type(search.estimator) is anynet.MLPClassifier
    assert not hasattr(clone(search), "cv_results_")


def test_failing_fits_are_reported(classes) -> None:
    grid = {"alpha": [1e-4, -1.0]}
    with pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 6"):
        both(classes, grid, error_score=-1.0)
    search = anynet.PopulationSearchCV(network(classes), grid, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="'alpha' parameter of MLPClassifier must be"):
        search.fit(classes.X, classes.y)
    with pytest.raises(ValueError, match=r"All the 2 fits failed.*(?s:.)*must be a float"):
        anynet.PopulationSearchCV(network(classes), {"alpha": [-1.0]}, cv=2).fit(
            classes.X, classes.y
        )

    def fails(record) -> None:
        message = f"no more after {record.epoch}"
        raise RuntimeError(message)

    with pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 6"):
        both(classes, {"callbacks": [None, [fails]]}, error_score=0.0)


def test_invalid_samples_and_fit_arguments_are_reported(classes) -> None:
    X = classes.X.copy()
    X[-1, 0] = np.nan
    folds = [(np.arange(100), np.arange(100, 150)), (np.arange(50, 200), np.arange(50))]
    with pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 6"):
        both(classes._replace(X=X), RATES, cv=folds, error_score=0.0, refit=False)
    search = anynet.PopulationSearchCV(network(classes), RATES, cv=2)
    with pytest.raises(ValueError, match="missing 1 required positional argument: 'y'"):
        search.fit(classes.X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        search.fit(classes.X, classes.y[:-1])
    with pytest.raises(ValueError, match=r"unexpected keyword argument 'wieght'"):
        search.fit(classes.X, classes.y, wieght=3)


def test_invalid_and_empty_grids(classes) -> None:
    search = anynet.PopulationSearchCV(network(classes), {"alfa": [1.0]}, cv=2)
    with pytest.raises(ValueError, match=r"(?s)Invalid parameter 'alfa'.*did you mean 'alpha'"):
        search.fit(classes.X, classes.y)
    for grid, message in (({"alpha": []}, "non-empty sequence"), ([], "no candidates")):
        with pytest.raises(ValueError, match=message):
            search.set_params(param_grid=grid).fit(classes.X, classes.y)
    both(classes, {})


def test_an_interrupt_ends_the_search(classes) -> None:
    def interrupt(_) -> None:
        raise KeyboardInterrupt

    search = anynet.PopulationSearchCV(network(classes, callbacks=[interrupt]), RATES, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(classes.X, classes.y)
    assert not hasattr(search, "cv_results_")
