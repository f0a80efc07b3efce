"""Files of the pipeline: inside an installed package, or in the checkout around it."""

from __future__ import annotations

from pathlib import Path

_HOME = Path(__file__).resolve().parents[1]


def shipped_file(name: str) -> Path | None:
    """Return a file that belongs to the pipeline; None where it is not at hand.

    Args:
        name: path below the pipeline's folder, such as envs/requirements.lock.
    """
    places = (_HOME / "pipeline" / name, _HOME.parents[1] / name)
    return next((path for path in places if path.is_file()), None)
