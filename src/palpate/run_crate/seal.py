"""Crate and signature of a finished output folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from palpate.content_digest import digest, folder_digest
from palpate.errors import InputError
from palpate.folder_walk import walk_folder
from palpate.progress import say
from palpate.run_crate.command import RunningCommand, command_for
from palpate.run_crate.names import CRATE, OPERATOR, SIGNATURE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from palpate.run_crate.graph import InputFact, OutputFact


def seal(partial: Path, output: Path) -> None:
    """Write the crate of a finished folder and sign it, if the command under way writes this folder.

    Where an input changed meanwhile there is no crate, and where no key can be used no signature: the result of hours
    is not lost for them.

    Args:
        partial: the folder under its temporary name; it is full.
        output: its final name.
    """
    running = command_for(output)
    if running is None:
        return
    from palpate.run_crate.signing_key import key_text

    inputs = _inputs(running)
    if inputs is None:
        say("an input changed while it was read, so that the result has no record of its provenance")
        return
    key = _key(output)
    text = _text(running, partial, inputs, None if key is None else key_text(key.public_key()))
    (partial / CRATE).write_bytes(text)
    if key is not None:
        (partial / SIGNATURE).write_bytes(key.sign(text))


def files_of(folder: Path) -> Iterable[tuple[str, Path]]:
    """Yield relative names and paths of the files of a result, but for hidden ones, the crate and its signature.

    Args:
        folder: folder of the result.
    """
    for one in walk_folder(folder):
        if not one.left_out and one.name.as_posix() not in {CRATE, SIGNATURE}:
            yield one.name.as_posix(), one.path


def _text(running: RunningCommand, partial: Path, inputs: list[InputFact], public_key: str | None) -> bytes:
    from palpate.run_crate.graph import RunFacts, crate_text
    from palpate.run_crate.surroundings import surroundings

    outputs = list(_outputs(partial))
    facts = RunFacts(
        command=running.name,
        ended=datetime.now(UTC).isoformat(timespec="seconds"),
        content=folder_digest({one.name: one.content for one in outputs}),
        outputs=outputs,
        inputs=inputs,
        parameters=[one for one in running.given if not one.paths],
        settings=running.settings,
        around=surroundings(running.name),
        operator=os.environ.get(OPERATOR) or None,
        public_key=public_key,
    )
    return crate_text(facts).encode()


def _outputs(partial: Path) -> Iterable[OutputFact]:
    from palpate.run_crate.graph import OutputFact

    for name, path in files_of(partial):
        yield OutputFact(name, digest(path), path.stat().st_size)


def _inputs(running: RunningCommand) -> list[InputFact] | None:
    """Return what the command read; None where something changed since it began."""
    from palpate.run_crate.graph import InputFact

    found = []
    for one in running.inputs.values():
        content = one.content()
        if content is None:
            return None
        crate = one.path / CRATE
        of_crate = sha256(crate.read_bytes()).hexdigest() if crate.is_file() else None
        found.append(InputFact(one.role, content, one.path.is_dir(), one.option, of_crate))
    return found


def _key(output: Path) -> Ed25519PrivateKey | None:
    """Return the signing key; None, with a sentence, where it cannot be used."""
    from palpate.run_crate.signing_key import open_signing_key

    try:
        return open_signing_key(output)
    except InputError as error:
        say(f"the record of provenance is not signed: {error}")
        return None
