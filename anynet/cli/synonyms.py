"""Hints for unknown options: the names that other programs use, and abbreviations."""

from collections.abc import Iterable

from anynet.checks import did_you_mean

#: Options by the names that they have in other programs, without leading dashes.
SYNONYMS = {
    **dict.fromkeys(("lr", "eta", "eta0", "rate", "step-size"), "learning-rate"),
    "learning-rate-init": "learning-rate",
    **dict.fromkeys(("bs", "b", "batch", "batchsize", "minibatch", "mini-batch"), "batch-size"),
    **dict.fromkeys(("wd", "l2", "alpha", "decay-weight"), "weight-decay"),
    **dict.fromkeys(("hidden", "hidden-layers", "hidden-sizes", "hidden-size"), "layers"),
    **dict.fromkeys(("hidden-layer-sizes", "hidden-units", "units", "width"), "layers"),
    **dict.fromkeys(("gpu", "gpus", "use-gpu", "cuda", "use-cuda"), "device cuda"),
    **dict.fromkeys(("cpu", "no-cuda", "no-gpu"), "device cpu"),
    **dict.fromkeys(("output", "output-dir", "outdir", "outfile", "o", "save", "dest"), "out"),
    **dict.fromkeys(("e", "n-epochs", "num-epochs", "max-epochs", "max-iter"), "epochs"),
    **dict.fromkeys(("optim", "opt", "solver"), "optimizer"),
    **dict.fromkeys(("act", "nonlinearity"), "activation"),
    **dict.fromkeys(("val", "val-split", "validation-split"), "validation"),
    "validation-fraction": "validation",
    **dict.fromkeys(("label", "labels", "y", "target-column"), "target"),
    **dict.fromkeys(("test-size", "test-split", "test-data"), "test"),
    **dict.fromkeys(("early-stopping", "n-iter-no-change"), "patience"),
    **dict.fromkeys(("scheduler", "lr-schedule", "lr-scheduler"), "schedule"),
    **dict.fromkeys(("clip", "grad-clip", "clip-grad-norm", "max-grad-norm"), "clip-norm"),
    **dict.fromkeys(("random-state", "random-seed", "rng"), "seed"),
    **dict.fromkeys(("data", "data-path", "data-folder", "root"), "data-dir"),
    **dict.fromkeys(("n-threads", "num-threads"), "threads"),
    **dict.fromkeys(("workers", "num-workers", "n-jobs", "j"), "jobs"),
    **dict.fromkeys(("init", "weight-init"), "initializer"),
    "layernorm": "layer-norm",
    "batchnorm": "batch-norm",
    **dict.fromkeys(("amp", "fp16", "half", "bf16", "mixed-precision"), "precision"),
    **dict.fromkeys(("ema", "swa"), "average"),
    **dict.fromkeys(("q", "silent"), "quiet"),
    **dict.fromkeys(("cfg", "conf", "config-file"), "config"),
    **dict.fromkeys(("checkpoint", "save-every"), "checkpoint-every"),
    **dict.fromkeys(("smoothing", "label-smooth"), "label-smoothing"),
    **dict.fromkeys(("topk", "top-k", "k"), "top"),
    **dict.fromkeys(("n-seeds", "repeats"), "seeds"),
}


def option_hint(word: str, options: Iterable[str], prefix: str = "") -> str:
    """Return the end of a message about an unknown option: the option that it may mean, if any.

    A synonym takes precedence over an abbreviation, and that over similar spelling.

    Parameters
    ----------
    word : str
        The unknown option, without leading dashes; underscores count as dashes.
    options : iterable of str
        The known ones, written with dashes.
    prefix : str
        Put before the options in the message: ``"--"`` for flags, which may then have a value.
    """
    known = list(options)
    word = word.lower().replace("_", "-")
    name, _, value = SYNONYMS.get(word, word).partition(" ")
    begun = [each for each in known if len(word) > 1 and each.startswith(word)]
    if name in known:
        meant = f"{name} {value}" if value and prefix else name
    elif begun:
        meant = min(begun, key=len)
    else:
        return did_you_mean(prefix + word, [prefix + each for each in known])
    return f"; did you mean {prefix + meant!r}?"
