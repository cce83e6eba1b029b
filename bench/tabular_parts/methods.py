"""The methods: estimators with scikit-learn's interface, each in one thread.

Each receives a data frame of numbers and categories, and what its documentation asks for: trees
take categories as such; pytabkit's networks and scikit-learn's MLP take no missing numbers.
Everything else is the default. Libraries are imported when a method is made.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bench.tabular_parts.tables import Table


class Method(NamedTuple):
    """How to make an estimator for a table, and the package whose version counts."""

    package: str
    make: Callable[..., Any]  # (table, seed, **params)


def kind_of(table: Table) -> str:
    """Return the ending of the names of estimators."""
    return "Classifier" if table.n_classes else "Regressor"


def hist_gradient_boosting(table: Table, seed: int, **params: Any) -> Any:
    """Make scikit-learn's boosted trees."""
    from sklearn import ensemble

    make = getattr(ensemble, f"HistGradientBoosting{kind_of(table)}")
    return make(categorical_features="from_dtype", random_state=seed, **params)


def lightgbm(table: Table, seed: int, **params: Any) -> Any:
    """Make LightGBM, which detects pandas' categories."""
    import lightgbm as library

    make = getattr(library, f"LGBM{kind_of(table)}")
    return make(n_jobs=1, random_state=seed, verbose=-1, **params)


def xgboost(table: Table, seed: int, **params: Any) -> Any:
    """Make XGBoost, which detects pandas' categories."""
    import xgboost as library

    make = getattr(library, f"XGB{kind_of(table)}")
    return make(n_jobs=1, random_state=seed, enable_categorical=True, **params)


def catboost(table: Table, seed: int, **params: Any) -> Any:
    """Make CatBoost, whose categories are text without missing values."""
    import catboost as library

    make = getattr(library, f"CatBoost{kind_of(table)}")
    model = make(
        thread_count=1,
        random_seed=seed,
        verbose=False,
        allow_writing_files=False,
        cat_features=table.categories,
        **params,
    )
    return after(text_categories(table), model)


def pytabkit(name: str, table: Table, seed: int, **params: Any) -> Any:
    """Make a network of pytabkit, which takes no missing numbers."""
    import pytabkit as library

    make = getattr(library, f"{name}_{kind_of(table)}")
    model = make(device="cpu", n_threads=1, random_state=seed, verbosity=0, **params)
    return after(without_missing(table), model)


def scikit_learn_mlp(table: Table, seed: int, **params: Any) -> Any:
    """Make scikit-learn's MLP behind one-hot and standard scaling, the target standardised."""
    from sklearn import neural_network
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    model = getattr(neural_network, f"MLP{kind_of(table)}")(random_state=seed, **params)
    if not table.n_classes:
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    return after(encoded(table), model)


def anynet_mlp(table: Table, seed: int, **params: Any) -> Any:
    """Make anynet's MLP estimator behind the same inputs, the target as it is."""
    import anynet

    model = getattr(anynet, f"MLP{kind_of(table)}")(random_state=seed, **params)
    return after(encoded(table), model)


def anynet_tabular(table: Table, seed: int, *, preset: Any, **params: Any) -> Any:
    """Make anynet's estimator for tables; a preset is a name, or a kind and fields."""
    import anynet
    from anynet.tabular import PRESETS

    if isinstance(preset, dict):
        fields = dict(preset)
        preset = PRESETS[fields.pop("kind")](**fields)
    make = getattr(anynet, f"Tabular{kind_of(table)}")
    return make(preset, **{"random_state": seed, "backend": "numpy"} | params)


def after(preparation: Any, model: Any) -> Any:
    """Return a pipeline of a preparation and a model."""
    from sklearn.pipeline import make_pipeline

    return make_pipeline(preparation, model)


def columnwise(table: Table, of_numbers: Any, of_categories: Any) -> Any:
    """Return a transformer of the columns of numbers and of categories, which keeps data frames."""
    from sklearn.compose import ColumnTransformer

    numbers = [name for name in table.X.columns if name not in table.categories]
    parts = [("numbers", of_numbers, numbers), ("categories", of_categories, table.categories)]
    preparation = ColumnTransformer(parts, verbose_feature_names_out=False)
    return preparation.set_output(transform="pandas")


def without_missing(table: Table) -> Any:
    """Return a transformer that replaces missing numbers by the median."""
    from sklearn.impute import SimpleImputer

    return columnwise(table, SimpleImputer(strategy="median"), "passthrough")


def text_categories(table: Table) -> Any:
    """Return a transformer that turns categories into text, also the missing ones."""
    from sklearn.preprocessing import FunctionTransformer

    def to_text(X: Any) -> Any:
        return X.astype(object).where(X.notna(), "missing").astype(str).astype(object)

    categories = FunctionTransformer(to_text, feature_names_out="one-to-one")
    return columnwise(table, "passthrough", categories)


def encoded(table: Table) -> Any:
    """Return a transformer to numbers of mean 0 and variance 1, and one-hot categories."""
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = after(SimpleImputer(strategy="median"), StandardScaler())
    return columnwise(table, numbers, OneHotEncoder(handle_unknown="ignore", sparse_output=False))


PRESETS = ("auto", "fast", "pack", "realmlp-s", "realmlp", "tabm", "tabm-mini")
METHODS = {
    "HistGradientBoosting": Method("scikit-learn", hist_gradient_boosting),
    "LightGBM": Method("lightgbm", lightgbm),
    "XGBoost": Method("xgboost", xgboost),
    "scikit-learn MLP": Method("scikit-learn", scikit_learn_mlp),
    "CatBoost": Method("catboost", catboost),
    "RealMLP-TD-S": Method("pytabkit", functools.partial(pytabkit, "RealMLP_TD_S")),
    "RealMLP-TD": Method("pytabkit", functools.partial(pytabkit, "RealMLP_TD")),
    "TabM": Method("pytabkit", functools.partial(pytabkit, "TabM_D")),
    "anynet MLP": Method("anynet", anynet_mlp),
} | {
    f"anynet {preset}": Method("anynet", functools.partial(anynet_tabular, preset=preset))
    for preset in PRESETS
}


@functools.cache
def version_of(method: str) -> str | None:
    """Return the version of a method's package, or None if it is not installed."""
    package = METHODS[method].package
    if package == "anynet":
        return source_version()
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def source_version() -> str:
    """Return anynet's version with a hash of its source."""
    import anynet

    digest = hashlib.sha256()
    for path in sorted(Path(anynet.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return f"{anynet.__version__}+{digest.hexdigest()[:8]}"
