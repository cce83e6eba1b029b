"""The ``anynet`` command, which ``python -m anynet`` runs too."""

import signal
import sys


def main() -> int:
    """Run the command; until its modules are imported, Ctrl-C ends the process at once.

    An exception from a signal can leave an import half done, which some packages report as a
    broken installation. ``anynet.cli.main`` restores Python's handler before a command runs.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from anynet.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
