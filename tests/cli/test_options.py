"""The table of options: shell and TOML accept and reject the same values."""

import tomllib
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anynet.augment import AUGMENTATIONS
from anynet.augment.common import LARGEST_DISPLACEMENT
from anynet.augment.preprocess import PREPROCESSINGS
from anynet.cli import build_parser
from anynet.cli.artifacts import to_toml
from anynet.cli.config import options_from, read_config
from anynet.cli.options import (
    OF_PRESETS,
    OPTIMIZERS,
    WITH_PRESETS,
    TrainOptions,
    schedule_names,
)
from anynet.cli.train import options_of
from anynet.data.tables.kinds import KINDS
from anynet.data.tables.marks import DECIMALS, THOUSANDS
from anynet.data.tables.target import TASKS
from anynet.errors import InvalidArgumentError
from anynet.nn import ACTIVATIONS, INITIALIZERS

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1).filter(
    lambda word: not word.startswith(("-", "~"))
)
SHARES = st.floats(0, 1, exclude_max=True)
AMOUNTS = st.floats(0, 1e6)
RATES = st.floats(0, 1, exclude_min=True)
COUNTS = st.integers(1, 10**6)
KWARGS: dict[str, st.SearchStrategy[Any]] = {
    "dataset": WORDS,
    "target": st.none() | WORDS,
    "task": st.none() | st.sampled_from(TASKS),
    "columns": st.lists(
        st.builds("{}={}".format, WORDS.filter(lambda w: "," not in w), st.sampled_from(KINDS)),
        max_size=3,
    ).map(tuple),
    "decimal": st.sampled_from([None, *DECIMALS]),
    "thousands": st.sampled_from([None, *THOUSANDS]),
    "header": st.booleans(),
    "preset": st.none() | st.sampled_from(["auto", "fast"]),
    "members": st.none() | COUNTS,
    "time_limit": st.none() | RATES,
    "test": st.none() | SHARES | st.just(Path("test.csv")),
    "layers": st.lists(COUNTS, max_size=4).map(tuple),
    "activation": st.sampled_from([*ACTIVATIONS, "scaled_tanh"]),
    "initializer": st.none() | st.sampled_from(list(INITIALIZERS)),
    "signed_inputs": st.booleans(),
    "dropout": SHARES,
    "input_dropout": SHARES,
    "layer_norm": st.booleans(),
    "batch_norm": st.booleans(),
    "optimizer": st.sampled_from(list(OPTIMIZERS)),
    "learning_rate": st.none() | RATES,
    "momentum": SHARES,
    "nesterov": st.booleans(),
    "weight_decay": st.none() | AMOUNTS,
    "schedule": st.sampled_from(schedule_names()),
    "decay": RATES,
    "decay_epochs": COUNTS,
    "warmup": AMOUNTS,
    "clip_norm": st.none() | RATES,
    "max_norm": st.none() | RATES,
    "adversarial": st.none() | RATES,
    "average": st.none() | SHARES,
    "class_weight": st.none()
    | st.just("balanced")
    | st.lists(
        st.builds("{}={}".format, WORDS.filter(lambda w: "," not in w), AMOUNTS),
        min_size=1,
        max_size=3,
    ).map(tuple),
    "scoring": st.none() | WORDS,
    "calibrate": st.none() | st.just("temperature"),
    "ties": st.sampled_from(["first", "last"]),
    "drop_last": st.booleans(),
    "label_smoothing": SHARES,
    "preprocess": st.lists(st.sampled_from(sorted(PREPROCESSINGS)), unique=True).map(tuple),
    "preprocess_width": st.none() | COUNTS,
    "augment": st.lists(st.sampled_from(sorted(AUGMENTATIONS)), unique=True).map(tuple),
    "augment_rotation": st.none() | st.floats(0, 90),
    "augment_shear": st.none() | st.floats(0, 90),
    "augment_scale": st.none() | SHARES,
    "augment_shift": st.none() | st.floats(0, LARGEST_DISPLACEMENT),
    "augment_halved": st.lists(st.integers(0, 9), max_size=3).map(tuple),
    "augment_either": st.booleans(),
    "augment_alpha": st.none() | st.floats(0, LARGEST_DISPLACEMENT),
    "augment_sigma": st.none() | st.floats(0.5, 1e6),
    "augment_flip": st.none() | SHARES,
    "augment_erase": st.none() | SHARES,
    "augment_noise": st.none() | AMOUNTS,
    "augment_mixup": st.none() | RATES,
    "epochs": COUNTS,
    "batch_size": COUNTS,
    "validation": st.none() | st.integers(0, 10**6) | st.floats(0.001, 0.999),
    "patience": COUNTS,
    "min_delta": AMOUNTS,
    "target_accuracy": RATES,
    "checkpoint_every": st.none()
    | COUNTS
    | st.floats(0.001, 1e6).map(lambda minutes: f"{minutes:f}min"),
    "stream": st.booleans(),
    "threads": st.none() | COUNTS,
    "seed": st.integers(0, 2**62),
    "backend": WORDS,
    "device": st.none() | WORDS,
    "dtype": st.sampled_from(["float32", "float64"]),
    "precision": st.none() | st.sampled_from(["tf32", "bfloat16", "float16"]),
    "data_dir": st.none() | WORDS.map(Path),
}
SINGLE = st.builds(
    TrainOptions, **{name: one for name, one in KWARGS.items() if name not in OF_PRESETS}
)
OF_A_PRESET = st.builds(
    TrainOptions,
    **{name: KWARGS[name] for name in WITH_PRESETS if name in KWARGS},
    preset=st.sampled_from(["auto", "fast"]),
    members=KWARGS["members"],
)
OPTIONS = SINGLE | OF_A_PRESET


def as_arguments(options: TrainOptions) -> list[str]:
    """Format options as command line arguments."""
    arguments = ["train", options.dataset]
    for name, value in asdict(options).items():
        flag = "--" + name.replace("_", "-")
        if name == "dataset" or value is None:
            continue
        if options.preset is not None and name not in (*WITH_PRESETS, *OF_PRESETS):
            continue
        if isinstance(value, bool):
            arguments.append(flag if value else "--no-" + flag[2:])
        elif isinstance(value, tuple):
            arguments += [flag, ",".join(map(str, value))]
        else:
            arguments += [flag, repr(value) if isinstance(value, float) else str(value)]
    return arguments


@given(options=OPTIONS)
def test_options_round_trip_through_the_shell(options: TrainOptions) -> None:
    assert options_of(build_parser().parse_args(as_arguments(options))) == options


@given(options=OPTIONS)
def test_options_round_trip_through_toml(options: TrainOptions) -> None:
    table = tomllib.loads(to_toml(options, {"anynet": "0"}))
    assert table.pop("about") == {"anynet": "0"}
    assert TrainOptions(**options_from(table, "test")) == options


def test_options_have_other_names() -> None:
    assert parsed("digits", "--eval-metric", "f1") == parsed("digits", "--scoring", "f1")
    assert options_from({"eval-metric": "f1"}, "") == {"scoring": "f1"}
    with pytest.raises(InvalidArgumentError, match="given twice"):
        options_from({"eval-metric": "f1", "scoring": "f1"}, "")


def test_a_table_is_trained_by_a_preset_unless_an_option_is_of_a_single_network() -> None:
    for flags in ([], ["--seed", "3"], ["--class-weight", "balanced"], ["--time-limit", "9"]):
        assert parsed("t.csv", "--target", "y", *flags).preset == "auto"
    assert parsed("t.csv", "--target", "y", "--members", "3").preset == "fast"
    for flags in (["--layers", "8"], ["--epochs", "3"], ["--label-smoothing", "0.1"]):
        assert parsed("t.csv", "--target", "y", *flags).preset is None
    assert parsed("digits").preset is None


def test_the_config_of_a_preset_and_of_a_single_network_keep_their_kind(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    for flags in ([], ["--epochs", "3"]):
        options = parsed("t.csv", "--target", "y", *flags)
        path.write_text(to_toml(options, {"anynet": "0"}))
        assert parsed("--config", str(path)) == options


def test_every_field_has_a_strategy() -> None:
    not_recorded = {"parallel", "out", "log", "json", "quiet"}
    assert {each.name for each in fields(TrainOptions)} == not_recorded | set(KWARGS)


def test_command_line_overrides_file_and_file_overrides_defaults(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('dataset = "mnist"\nepochs = 3\nbatch_size = 7\nnesterov = true\n')
    arguments = ["train", "--config", str(config), "--epochs", "4", "--no-nesterov"]
    options = options_of(build_parser().parse_args(arguments))
    expected = TrainOptions(dataset="mnist", epochs=4, batch_size=7, nesterov=False)
    assert options == expected


def parsed(*arguments: str) -> TrainOptions:
    return options_of(build_parser().parse_args(["train", *arguments]))


def test_the_digits_have_their_own_defaults() -> None:
    options = parsed("digits")
    assert (options.optimizer, options.learning_rate, options.augment) == (
        "adam",
        0.003,
        ("affine",),
    )
    assert parsed("digits", "--epochs", "3") == replace(options, epochs=3)
    assert parsed("mnist") == TrainOptions(dataset="mnist")


@pytest.mark.parametrize(
    ("flags", "optimizer"),
    [
        (["--optimizer", "rmsprop"], "rmsprop"),
        (["--momentum", "0.9"], "sgd"),
        (["--nesterov"], "sgd"),
    ],
)
def test_the_default_learning_rate_applies_to_the_default_optimizer_only(
    flags: list[str], optimizer: str
) -> None:
    for options in (parsed("digits", *flags), parsed("t.csv", "--target", "t", *flags)):
        assert (options.optimizer, options.learning_rate) == (optimizer, None)


def test_default_strengths_apply_to_the_default_augmentations_only() -> None:
    for augment in ("", "elastic", "affine"):
        assert parsed("digits", "--augment", augment).augment_rotation is None


def test_the_config_of_a_run_contains_all_options(tmp_path: Path) -> None:
    options = TrainOptions(dataset="digits", epochs=3)
    path = tmp_path / "config.toml"
    path.write_text(to_toml(options, {"anynet": "0"}))
    assert parsed("--config", str(path)) == options


def test_dashes_and_underscores_are_equivalent() -> None:
    assert options_from({"batch-size": 8}, "") == options_from({"batch_size": 8}, "")
    with pytest.raises(InvalidArgumentError, match="given twice"):
        options_from({"batch-size": 8, "batch_size": 8}, "")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("lerning-rate", 0.1, "no option 'lerning-rate'; did you mean 'learning-rate'"),
        ("config", "x", "no option 'config'"),
        ("epochs", "3", "expected a whole number of at least 1, not '3'"),
        ("epochs", 3.0, "expected a whole number"),
        ("epochs", True, "expected a whole number"),
        ("epochs", 0, "at least 1, not 0"),
        ("validation", -1, "a whole number of rows, or a share of them"),
        ("max-norm", 0, "above 0"),
        ("initializer", "he_norm", "did you mean 'he_normal'"),
        ("dropout", 1, "from 0 to below 1"),
        ("dropout", float("nan"), "from 0 to below 1"),
        ("learning-rate", 0, "above 0"),
        ("learning-rate", float("inf"), "above 0"),
        ("target-accuracy", 99, "above 0 and at most 1"),
        ("layers", "128,64", "such as 128,64"),
        ("layers", [128, -1], "such as 128,64"),
        ("nesterov", "yes", "true or false"),
        ("optimizer", "sdg", "one of sgd, rmsprop, adam, adamw"),
        ("optimizer", ["sgd"], "one of sgd"),
        ("augment", "elastic", "some of affine, elastic, flip, erase, noise, mixup, each once"),
        ("augment", ["elastic", "elastic"], "each once"),
        ("augment-scale", 1.5, "at least 0 and at most 1"),
        ("device", "", "a device"),
        ("data-dir", 3, "the path of a folder"),
        ("columns", ["zip"], "such as name=number"),
        ("columns", ["zip=word"], "one of number, boolean, date, category, ignored each"),
        ("columns", "zip=category", "such as name=number"),
        ("test", 1, "from 0 to below 1, or the path of a file"),
        ("test", True, "from 0 to below 1"),
        ("preset", "fats", "one of fast, "),
        ("members", 0, "at least 1"),
        ("task", "clustering", "one of classification, regression"),
    ],
)
def test_invalid_toml_values_raise_with_their_key(key: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        options_from({key: value}, "my.toml")
    assert str(caught.value).startswith("my.toml: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"epochs = ", b"\xff\xfe", b"about = 3"])
def test_a_file_with_invalid_toml_raises(tmp_path: Path, content: bytes) -> None:
    config = tmp_path / "config.toml"
    config.write_bytes(content)
    with pytest.raises(InvalidArgumentError, match=r"config\.toml"):
        read_config(config)


def test_a_missing_config_raises(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="No such file"):
        read_config(tmp_path / "none.toml")
