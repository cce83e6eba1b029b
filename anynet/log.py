"""The logger of the package: what training reports, for Python's ``logging``.

There is one logger, ``anynet``. It is silent until a program configures ``logging``:

- INFO: the backend and the data of a run, each epoch of a single network or of a population, and
  decisions, such as a reduced learning rate, why training stopped and which weights are kept.
- DEBUG: the epochs of each member of a population, and checkpoints that were written.
- WARNING: results that need attention and raise no exception, such as a member that diverged.

Python's warnings stay with ``warnings``; ``logging.captureWarnings(True)`` adds them to the log.
"""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("anynet")
LOGGER.addHandler(logging.NullHandler())
