"""``anynet export RUN``: write a trained model as a file for other programs."""

import argparse

from anynet.cli import kinds
from anynet.cli.options import add_model, add_value
from anynet.cli.terminal import complain, say
from anynet.errors import InvalidArgumentError

FORMATS = ("onnx", "torch", "sklearn")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Write a trained model as a file that needs no anynet: an ONNX graph, or the state dict "
        "of a torch.nn.Sequential as safetensors."
    )
    add_model(parser)
    what = "format of the file: onnx or torch; sklearn prints the way in Python"
    add_value(parser, "--format", kinds.choice(lambda: FORMATS), required=True, help=what)
    what = "path of the file to write; existing files are not overwritten"
    add_value(parser, "--out", kinds.FILE, metavar="FILE", required=True, help=what)
    what = "onnx: data type of the input, such as uint8 (default: that of the model)"
    kind = kinds.text("the name of a dtype")
    add_value(parser, "--input-dtype", kind, metavar="DTYPE", help=what)


def run(arguments: argparse.Namespace) -> int:
    """Write the file, and print what it holds."""
    from anynet.cli.models import first_of, knows_tables
    from anynet.cli.runs import model_file, refuse_existing, refuse_swapped
    from anynet.export import save_torch, to_onnx
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
    if arguments.input_dtype is not None and arguments.format != "onnx":
        message = f"--input-dtype is an option of --format onnx, not of {arguments.format}"
        raise InvalidArgumentError(message)
    out = arguments.out
    refuse_existing(out)
    model = load(path, "numpy")
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
    graph = to_onnx(model, out, input_dtype=arguments.input_dtype).graph
    first = first_of(model)
    x = f"{graph.input[0].name} ({arguments.input_dtype or first.backend.dtype}, any number of "
    outputs = ", ".join(output.name for output in graph.output)
    say(f"{out}: {x}rows of {first.network.n_inputs}) to {outputs}")
    return 0
