"""Command line: one command for each step, each a thin shell around a public function.

This module stays small: a signal that arrives before the supervisor waits meets Python's start and not palpate.
"""

from __future__ import annotations

from typing import NoReturn

COMMANDS = (
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
    "tumour",
    "calibrate",
    "forecast",
    "outlook",
    "study",
    "verify",
    "config",
)
"""Names of the commands, in the order of a study; each is the function or group of its own name in
palpate.cli.<name>."""


def main() -> NoReturn:
    """Run the command line: the step in a worker, and a supervisor that can stop it at any moment."""
    from palpate.cli.supervisor import divide

    divide()
    from palpate.cli.door import run

    run()
