"""``anynet export RUN``: write a trained model as a file for other programs."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from anynet.cli import kinds
from anynet.cli.options import add_model, add_value
from anynet.cli.terminal import complain, say
from anynet.data.files import replacing
from anynet.errors import InvalidArgumentError

FORMATS = ("onnx", "html", "torch", "sklearn")

#: Options of one format, and their defaults.
OF_FORMAT = {"input_dtype": "onnx", "weights": "html", "samples": "html"}

#: Number of test images in a page by default. Rows of a table may be private: by default none.
SAMPLES = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Write a trained model as a file that needs no anynet: an ONNX graph, a web page to draw "
        "on or with a form, or the state dict of a torch.nn.Sequential as safetensors."
    )
    add_model(parser)
    what = "format of the file: onnx, html or torch; sklearn prints the way in Python"
    add_value(parser, "--format", kinds.choice(lambda: FORMATS), required=True, help=what)
    what = "path of the file to write; existing files are not overwritten"
    add_value(parser, "--out", kinds.FILE, metavar="FILE", required=True, help=what)
    what = "onnx: data type of the input, such as uint8 (default: that of the model)"
    kind = kinds.text("the name of a dtype")
    add_value(parser, "--input-dtype", kind, metavar="DTYPE", help=what)
    what = "html: data type of the weights, float32 or float16 (default: float16 above 256 KiB)"
    kind = kinds.choice(lambda: ("float32", "float16"))
    add_value(parser, "--weights", kind, metavar="DTYPE", help=what)
    what = (
        f"html: number of test samples to include, 0 for none (default: {SAMPLES} images, but no "
        f"rows of tables, which may be private)"
    )
    add_value(parser, "--samples", kinds.whole(0), metavar="N", help=what)


def run(arguments: argparse.Namespace) -> int:
    """Write the file, and print what it holds."""
    from anynet.cli.models import knows_tables
    from anynet.cli.runs import model_file, refuse_existing, refuse_swapped
    from anynet.export import save_torch
    from anynet.training import Ensemble, load

    refuse_swapped(arguments.model, arguments.out)
    path = model_file(arguments.model)
    if arguments.format == "sklearn":
        message = (
            "scikit-learn's own files are pickles, which run code when they are opened, so none "
            f"is written: in Python, anynet.export.to_sklearn(anynet.load({str(path)!r})) "
            "returns the estimator"
        )
        raise InvalidArgumentError(message)
    for name, owner in OF_FORMAT.items():
        if getattr(arguments, name) is not None and arguments.format != owner:
            flag = name.replace("_", "-")
            message = f"--{flag} is an option of --format {owner}, not of {arguments.format}"
            raise InvalidArgumentError(message)
    out = arguments.out
    refuse_existing(out)
    model = load(path, "numpy")
    if arguments.format == "html":
        return _write_page(model, arguments)
    if isinstance(model, Ensemble) and arguments.format == "torch":
        message = (
            f"{path} is an ensemble of {len(model.models)} networks, which is no "
            f"torch.nn.Sequential: --format onnx writes it as one graph"
        )
        raise InvalidArgumentError(message)
    if knows_tables(model):
        complain(
            "the file takes columns as they are encoded, not a table's rows: encode them by "
            "anynet.Preprocessing.of(model).transform, or write both as one graph in Python: "
            "anynet.export.to_onnx(model, path, columns=True)",
            "anynet: note: ",
        )
    if arguments.format == "torch" and not isinstance(model, Ensemble):
        save_torch(model, out)
        say(f"{out}: the state dict of a torch.nn.Sequential, whose logits are its outputs")
        return 0
    return _write_onnx(model, arguments)


def _write_onnx(model: Any, arguments: argparse.Namespace) -> int:
    """Write the graph, and print its inputs and outputs."""
    from anynet.cli.models import first_of
    from anynet.export import to_onnx

    graph = to_onnx(model, arguments.out, input_dtype=arguments.input_dtype).graph
    first = first_of(model)
    x = f"{graph.input[0].name} ({arguments.input_dtype or first.backend.dtype}, any number of "
    outputs = ", ".join(output.name for output in graph.output)
    say(f"{arguments.out}: {x}rows of {first.network.n_inputs}) to {outputs}")
    return 0


def _write_page(model: Any, arguments: argparse.Namespace) -> int:
    """Write the web page, and print what it holds."""
    from anynet.cli.models import image_format, knows_tables
    from anynet.export import to_html

    count = arguments.samples
    if count is None:
        count = 0 if knows_tables(model) else SAMPLES
    samples, count = _test_samples(model, arguments.model, count) if count else (None, 0)
    page = to_html(model, weights=arguments.weights, samples=samples)
    with replacing(arguments.out, new=True) as file:
        file.write(page.encode())
    what = "a canvas to draw on" if image_format(model) else "a form"
    held = f" and {count} test samples" if count else ""
    say(f"{arguments.out}: a web page with {what}{held}, {len(page) / 1000:,.0f} kB")
    return 0


def _test_samples(model: Any, run: Path, count: int) -> tuple[Any, int]:
    """Return random test samples of the data set of a run, at most `count`, and their number.

    If the data set is not on this machine, a note is printed and there are none.
    """
    from anynet.cli.job import load_samples
    from anynet.cli.models import check_fit, knows_tables, preprocessing_in
    from anynet.cli.recipe import preprocessed
    from anynet.cli.runs import config_of
    from anynet.data import dataset_names, load_dataset
    from anynet.data.tables.load import rows_to_score
    from anynet.errors import AnynetError

    options = config_of(run)
    name = options.get("dataset")
    rng = np.random.default_rng(0)
    try:
        if name is None:
            message = f"there is no config.toml with a data set beside {run}"
            raise InvalidArgumentError(message)
        if knows_tables(model):
            rows, _ = rows_to_score(model, name, header=options.get("header", True))
            chosen = rng.permutation(rows.n_rows)[:count]
            return rows.take(chosen), len(chosen)
        if name in dataset_names():
            dataset = load_dataset(name, options.get("data_dir"), download=False)
        else:
            dataset = load_samples(name, None)
        check_fit(model, dataset)
        x, y = preprocessed(dataset, preprocessing_in(model)).test
        chosen = rng.permutation(len(y))[:count]
        return (x[chosen], y[chosen]), len(chosen)
    except (AnynetError, OSError) as error:
        complain(f"the page has no test samples: {error}", "anynet: note: ")
        return None, 0
