"""anynet: fully connected networks on NumPy, CuPy, torch or JAX arrays.

Public names are imported when they are first used, so that ``import anynet`` loads no array
library, no scikit-learn and no plotting.
"""

TYPE_CHECKING = False  # type checkers treat it as true; importing typing would take time

if TYPE_CHECKING:
    from anynet import augment, callbacks, export, inspect, nn, optim, tabular
    from anynet.backends import Backend, BackendStatus, available_backends, get_backend, set_threads
    from anynet.config import register
    from anynet.data import (
        Dataset,
        Preprocessing,
        Source,
        Table,
        load_dataset,
        load_tabular_dataset,
        open_source,
        read_table,
    )
    from anynet.errors import (
        AnynetError,
        BackendError,
        CheckpointError,
        DataError,
        DivergedError,
        GroupError,
        InvalidArgumentError,
        ModelFileError,
        TrainingInterrupted,
    )
    from anynet.estimators import (
        MLPClassifier,
        MLPRegressor,
        PopulationSearchCV,
        TabularClassifier,
        TabularRegressor,
        tune,
    )
    from anynet.nn import Network, mlp
    from anynet.training import (
        Checkpoints,
        CrossValidation,
        Ensemble,
        EpochRecord,
        FitOptions,
        History,
        Model,
        PopulationProgress,
        Progress,
        RateSearch,
        StopReason,
        calibrate,
        cross_validate,
        find_learning_rate,
        fit_population,
        load,
        predict_augmented,
    )
    from anynet.training.checkpoint.resume import resume
    from anynet.training.fit import fit  # mypy takes anynet.training.fit for the module

__version__ = "0.1.0"

__all__ = [
    "AnynetError",
    "Backend",
    "BackendError",
    "BackendStatus",
    "CheckpointError",
    "Checkpoints",
    "CrossValidation",
    "DataError",
    "Dataset",
    "DivergedError",
    "Ensemble",
    "EpochRecord",
    "FitOptions",
    "GroupError",
    "History",
    "InvalidArgumentError",
    "MLPClassifier",
    "MLPRegressor",
    "Model",
    "ModelFileError",
    "Network",
    "PopulationProgress",
    "PopulationSearchCV",
    "Preprocessing",
    "Progress",
    "RateSearch",
    "Source",
    "StopReason",
    "Table",
    "TabularClassifier",
    "TabularRegressor",
    "TrainingInterrupted",
    "augment",
    "available_backends",
    "calibrate",
    "callbacks",
    "cross_validate",
    "export",
    "find_learning_rate",
    "fit",
    "fit_population",
    "get_backend",
    "inspect",
    "load",
    "load_dataset",
    "load_tabular_dataset",
    "mlp",
    "nn",
    "open_source",
    "optim",
    "predict_augmented",
    "read_table",
    "register",
    "resume",
    "set_threads",
    "tabular",
    "tune",
]

#: The subpackages, lowest floor first: names are looked up in this order, so that only floors below
#: the one with the name are imported.
_SUBPACKAGES = (
    "errors",
    "config",
    "backends",
    "nn",
    "optim",
    "augment",
    "data",
    "training",
    "callbacks",
    "tabular",
    "inspect",
    "export",
    "estimators",
    "study",
)


if not TYPE_CHECKING:  # type checkers report names that are not imported above

    def __getattr__(name: str) -> object:
        """Import a subpackage, or a public name from the subpackage that has it, on first use."""
        from importlib import import_module

        if name in _SUBPACKAGES:
            return import_module(f"{__name__}.{name}")
        if name in __all__:
            for subpackage in _SUBPACKAGES:
                module = import_module(f"{__name__}.{subpackage}")
                if hasattr(module, name):
                    globals()[name] = getattr(module, name)
                    return globals()[name]
        if name in ("load_table", "open_data"):  # names of the previous version
            return import_module(f"{__name__}.data").renamed(name)
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted([*__all__, "__doc__", "__version__"])
