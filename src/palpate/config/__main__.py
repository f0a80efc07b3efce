"""`python -m palpate.config CONFIG SECTION` prints a section as the JSON a command's --settings takes.

`python -m palpate.config schema` prints the JSON schema of the whole configuration.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from palpate.config.listing import schema_text
from palpate.config.settings import read_settings
from palpate.errors import InputError


def main(arguments: list[str]) -> str:
    """Return the text to print for these arguments.

    Raises:
        InputError: the arguments are not `schema` or CONFIG SECTION, or the configuration is unusable.
    """
    if arguments == ["schema"]:
        return schema_text()
    if len(arguments) != 2:
        advice = "Call it with config.yaml and the name of a section."
        raise InputError("arguments", found=str(len(arguments)), expected="CONFIG SECTION, or schema", advice=advice)
    sections = read_settings(Path(arguments[0])).model_dump(mode="json")
    if arguments[1] not in sections:
        raise InputError("SECTION", found=arguments[1], expected=f"one of {', '.join(sections)}", advice="Choose one.")
    return json.dumps(sections[arguments[1]])


if __name__ == "__main__":
    try:
        print(main(sys.argv[1:]))  # noqa: T201
    except InputError as error:
        print(f"palpate: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
