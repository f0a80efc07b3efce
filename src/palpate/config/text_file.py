"""Text files that people write by hand or save from a spreadsheet."""

from __future__ import annotations

import codecs
from pathlib import Path

from palpate.bounded_read import OversizeError, read_bounded
from palpate.errors import InputError

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text_file(path: Path, *, expected: str, advice: str) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 where its first two bytes say so, as spreadsheets save it.

    Args:
        path: the file.
        expected: noun phrase for its content, such as "a table of sessions".
        advice: remedy, one sentence.

    Raises:
        InputError: the file is missing, a folder, unreadable, too large, empty or not text.
    """

    def refused(found: str) -> InputError:
        return InputError(path, found=found, expected=expected, advice=advice)

    try:
        content = read_bounded(path)
    except OversizeError as error:
        raise refused(str(error)) from error
    except FileNotFoundError as error:
        raise refused("no such file") from error
    except OSError as error:
        found = "a folder" if path.is_dir() else "a file"
        raise refused(f"{found} that cannot be read as text ({error.strerror})") from error
    try:
        text = content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise refused("bytes that are no text in UTF-8 or UTF-16") from error
    if "\0" in text:
        raise refused("bytes that are no text in UTF-8 or UTF-16")
    if not text.strip():
        raise refused("an empty file")
    return text
