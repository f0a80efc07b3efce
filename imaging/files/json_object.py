"""JSON objects from files: sidecars and records of steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from palpate.bounded_read import OversizeError, read_bounded
from palpate.errors import InputError
from palpate.machine_failures import machine_fault
from palpate.renamed import with_current_keys


def read_json(
    path: Path,
    *,
    what: str = "the record of a step",
    advice: str = "Run the step that writes it again.",
    record: str | None = None,
) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: JSON file.
        what: description of the file, for the error if it is missing or too large.
        advice: advice for the error if the file is missing, too large or holds no JSON object.
        record: kind of record, whose keys are returned under their new names (palpate.renamed); None for none.

    Raises:
        InputError: the file is missing, too large or holds something else.
    """
    try:
        content = json.loads(read_bounded(path).decode("utf-8"))
    except FileNotFoundError as error:
        raise InputError(path, found="no such file", expected=what, advice=advice) from error
    except OversizeError as error:
        raise InputError(path, found=str(error), expected=what, advice=advice) from error
    except (OSError, ValueError, RecursionError) as error:
        refusal = InputError(path, found="text that is not JSON", expected="a JSON object", advice=advice)
        raise (machine_fault(error, path) or refusal) from error
    if not isinstance(content, dict):
        raise InputError(path, found=f"a {type(content).__name__}", expected="a JSON object", advice=advice)
    if record is None:
        return content
    try:
        return with_current_keys(record, content)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(path, found=f"a value that cannot be used ({error})", expected=what, advice=advice) from error
