"""Hints for unknown options: the names that other programs use, and abbreviations."""

from collections.abc import Iterable

from anynet.checks import did_you_mean

#: The names that options have in other programs, without leading dashes.
_OTHER_NAMES = {
    "learning-rate": "lr eta eta0 rate step-size learning-rate-init",
    "batch-size": "bs b batch batchsize minibatch mini-batch",
    "weight-decay": "wd l2 alpha decay-weight",
    "layers": "hidden hidden-layers hidden-sizes hidden-size hidden-layer-sizes hidden-units units "
    "width",
    "device cuda": "gpu gpus use-gpu cuda use-cuda",
    "device cpu": "cpu no-cuda no-gpu",
    "out": "output output-dir outdir outfile o save dest",
    "epochs": "e n-epochs num-epochs max-epochs max-iter",
    "optimizer": "optim opt solver",
    "activation": "act nonlinearity",
    "validation": "val val-split validation-split validation-fraction",
    "target": "label labels y target-column",
    "test": "test-size test-split test-data",
    "patience": "early-stopping n-iter-no-change",
    "schedule": "scheduler lr-schedule lr-scheduler",
    "clip-norm": "clip grad-clip clip-grad-norm max-grad-norm",
    "seed": "random-state random-seed rng",
    "data-dir": "data data-path data-folder root",
    "threads": "n-threads num-threads",
    "jobs": "workers num-workers n-jobs j",
    "initializer": "init weight-init",
    "layer-norm": "layernorm",
    "batch-norm": "batchnorm",
    "precision": "amp fp16 half bf16 mixed-precision",
    "average": "ema swa",
    "log": "logger tensorboard mlflow csv jsonl log-file",
    "quiet": "q silent",
    "config": "cfg conf config-file",
    "checkpoint-every": "checkpoint save-every",
    "label-smoothing": "smoothing label-smooth",
    "top": "topk top-k k",
    "seeds": "n-seeds repeats",
}

SYNONYMS = {other: name for name, others in _OTHER_NAMES.items() for other in others.split()}


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
