"""Files of secrets: made once, whole, readable by their owner only, and refused where others may read them."""

from __future__ import annotations

import os
from pathlib import Path

from palpate.errors import InputError
from palpate.file_once import write_once


def own_secret(name: str) -> Path | None:
    """Return the place of a user's own secret: palpate/<name> in $XDG_CONFIG_HOME, or in ~/.config where it is not set.

    Args:
        name: name of the file, such as "key".

    Returns:
        The path; None where nobody says where the user's home is.
    """
    stated = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    # A relative path there is to be ignored (XDG Base Directory Specification).
    if stated.is_absolute():
        return stated / "palpate" / name
    try:
        return Path.home() / ".config" / "palpate" / name
    except RuntimeError:
        return None


def make_secret(path: Path, secret: bytes) -> bool:
    """Make the file of a secret; return whether it was this process that did: where another was faster, theirs counts.

    Args:
        path: the file; missing folders are made, for the user alone.
        secret: its bytes.

    Raises:
        OSError: nothing can be written there.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return write_once(path, secret)


def results_around(out: Path) -> Path:
    """Return the folder of results that an output folder belongs to: the folder around its sub-<label>, or itself.

    Results are handed on as a whole, so that no secret may lie in it.

    Args:
        out: the output folder.
    """
    out = out.resolve()
    subject = next((folder for folder in (out, *out.parents) if folder.name.startswith("sub-")), None)
    return out if subject is None else subject.parent


def read_secret(where: str, path: Path, length: int, advice: str) -> bytes:
    """Read a secret.

    Args:
        where: the secret in messages.
        path: its file.
        length: its length, bytes.
        advice: advice where it cannot be used.

    Raises:
        InputError: it is no file of that length, cannot be read, or others may read it.
    """
    expected = f"a file of {length} bytes"
    try:
        mode = path.stat().st_mode & 0o077
        secret = path.read_bytes() if path.is_file() else b""
    except OSError as error:
        raise unusable_secret(where, error, length, advice) from error
    if len(secret) != length:
        found = f"{len(secret)} bytes" if path.is_file() else "no file"
        raise InputError(where, found=found, expected=expected, advice=advice)
    if mode:
        found = "a file that others may read"
        raise InputError(where, found=found, expected="mode 0600", advice="Run chmod 600 on it.")
    return secret


def unusable_secret(where: str, error: OSError, length: int, advice: str) -> InputError:
    """Return the error for a secret whose place cannot be used.

    Args:
        where: the secret in messages.
        error: error of the system.
        length: length of the secret, bytes.
        advice: advice to the user.
    """
    found = f"a place that cannot be read or written ({error.strerror})"
    return InputError(where, found=found, expected=f"a file of {length} bytes", advice=advice)
