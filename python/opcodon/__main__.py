"""The command line: ``opcodon`` and ``python -m opcodon``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from opcodon import _core


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        The arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        The exit code.
    """
    # Python would only take note of Ctrl-C until the native command returns.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return _core.command_line(["opcodon", *(sys.argv[1:] if arguments is None else arguments)])
    finally:
        signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    sys.exit(main())
