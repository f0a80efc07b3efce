"""Files that are written once, whole, and never replaced."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_once(path: Path, content: bytes, *, mode: int = 0o600) -> bool:
    """Write a file unless there is one; return whether it was this process that did.

    A link to a finished file appears at once and whole, and fails where somebody was faster: theirs is the file then.

    Args:
        path: the file, in a folder that exists.
        content: its bytes; they are on the disk when it appears.
        mode: its permissions.

    Raises:
        OSError: nothing can be written there.
    """
    partial = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(8)}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(partial, path)  # unlike a rename, it replaces nothing
    except FileExistsError:
        return False
    finally:
        partial.unlink(missing_ok=True)
    return True
