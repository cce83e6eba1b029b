"""What an unknown option may mean: the names that other programs use, and abbreviations."""

import difflib
from collections.abc import Iterable

#: What other programs call the options of this one; the names have no dashes at their front.
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


def near_option(word: str, options: Iterable[str]) -> str:
    """Return the option that a word which is none may mean, or an empty string.

    A synonym comes before an abbreviation, and that before similar spelling.

    Parameters
    ----------
    word : str
        Without dashes in front; underscores count as dashes.
    options : iterable of str
        The names that there are, alike.
    """
    known = list(options)
    word = word.lower().replace("_", "-")
    meant = SYNONYMS.get(word, word)
    if meant.partition(" ")[0] in known:
        return meant
    begun = [name for name in known if len(word) > 1 and name.startswith(word)]
    near = begun or difflib.get_close_matches(word, known, n=1)
    return min(near, key=len, default="")
