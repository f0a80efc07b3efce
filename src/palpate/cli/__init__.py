"""Command line: one command for each step, each a thin shell around a public function.

This module stays small: a signal that arrives before the supervisor waits meets Python's start and not palpate.
"""

from __future__ import annotations

import sys
from typing import NoReturn

COMMANDS = (
    "run",
    "phantom",
    "fetch",
    "deidentify",
    "ingest",
    "mesh",
    "invert",
    "maps",
    "overlay",
    "report",
    "regions",
    "change",
    "query",
    "serve",
    "override",
    "tumour",
    "calibrate",
    "assimilate",
    "forecast",
    "outlook",
    "trial",
    "causes",
    "plan",
    "prior",
    "status",
    "verify",
    "check",
    "config",
)
"""Names of the commands, in the order of a study; each is the function or group of its own name in
palpate.cli.<name>."""
BECOMES_ANOTHER = "run"
"""Command whose process becomes another program, which answers signals itself."""

ON_RANKS = ("phantom", "invert", "calibrate", "forecast", "trial")
"""Commands whose work several MPI ranks share; the others run as one process."""


def main() -> NoReturn:
    """Run the command line: the step in a worker, and a supervisor that can stop it at any moment."""
    if next((word for word in sys.argv[1:] if not word.startswith("-")), None) != BECOMES_ANOTHER:
        from palpate.cli.supervisor import divide

        divide()
    from palpate.cli.door import run

    run()
