"""Check of a result against its signed crate: signature, every file, and the inputs that are still there."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from palpate.content_digest import NOTES, digest
from palpate.errors import InputError
from palpate.run_crate.graph import InputFact
from palpate.run_crate.names import CRATE, SIGNATURE
from palpate.run_crate.seal import files_of
from palpate.run_crate.signing_key import LENGTH, SIGNATURE_LENGTH, holds
from palpate.service.provenance.finding import PartFinding, PartState
from palpate.service.provenance.places import input_place
from palpate.service.provenance.read_crate import ReadCrate, read_crate

_NO_KEY = "no key is named with --key, and this machine has none of its own"


@dataclass(slots=True)
class ProvenanceCheck:
    """Check of results and of the results that they were made from.

    Attributes:
        trusted: public keys whose signatures count.
        places: places of inputs that the user names, by role.
        seen: folders that were checked.
        known: places of inputs that were found, by their content.
    """

    trusted: Sequence[Ed25519PublicKey]
    places: Mapping[str, Path] = field(default_factory=dict)
    seen: set[Path] = field(default_factory=set)
    known: dict[str, Path] = field(default_factory=dict)

    def of(self, folder: Path, name: str) -> Iterator[PartFinding]:
        """Yield what is found of a result and, after it, of its inputs.

        Args:
            folder: folder of the result.
            name: the result, as the report names it.
        """
        self.seen.add(folder.resolve())
        yield self._signature(folder, name)
        try:
            crate = read_crate(folder)
        except (OSError, ValueError, InputError):
            yield PartFinding(name, "record", PartState.CHANGED, f"{CRATE} cannot be read")
            return
        yield from _files(folder, name, crate)
        for one in crate.inputs:
            yield from self._input(folder, name, one)

    def _signature(self, folder: Path, name: str) -> PartFinding:
        part = "signature"
        try:
            signature, content = (folder / SIGNATURE).read_bytes(), (folder / CRATE).read_bytes()
        except OSError:
            return PartFinding(
                name, part, PartState.MISSING, "nothing shows who made this, or that its record is whole"
            )
        signer = None
        if len(signature) == SIGNATURE_LENGTH:
            signer = next((key for key in self.trusted if holds(key, signature, content)), None)
        if signer is not None:
            return PartFinding(name, part, PartState.WHOLE, f"key {fingerprint(signer)}")
        stated = _stated_key(folder)
        if stated is not None and len(signature) == SIGNATURE_LENGTH and holds(stated, signature, content):
            why = f"key {fingerprint(stated)}, which is none of those that you trust" if self.trusted else _NO_KEY
            return PartFinding(name, part, PartState.UNTRUSTED, why)
        return PartFinding(name, part, PartState.CHANGED, "it does not belong to the record")

    def _input(self, folder: Path, name: str, one: InputFact) -> Iterator[PartFinding]:
        part = f"input {one.role}"
        path = input_place(folder, one, self.places) or self.known.get(one.content)
        if path is None:
            advice = f"name it with --input {one.role.replace(' ', '-')}=PATH"
            yield PartFinding(name, part, PartState.NOT_FOUND, advice)
            return
        if digest(path) != one.content:
            yield PartFinding(name, part, PartState.CHANGED, f"{path.name} is not what this was made from")
        else:
            self.known[one.content] = path
            yield PartFinding(name, part, PartState.WHOLE, _of_another_run(path, one))
        if (path / CRATE).is_file() and path.resolve() not in self.seen:
            yield from self.of(path, f"{name} > {one.role}")


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a public key, by which people compare keys.

    Args:
        key: public key.
    """
    return sha256(key.public_bytes_raw()).hexdigest()[:16]


def _stated_key(folder: Path) -> Ed25519PublicKey | None:
    """Return the key that a crate names itself."""
    try:
        stated = read_crate(folder).public_key
        raw = b"" if stated is None else b64decode(stated, validate=True)
    except (OSError, ValueError, InputError):
        return None
    return Ed25519PublicKey.from_public_bytes(raw) if len(raw) == LENGTH else None


def _files(folder: Path, name: str, crate: ReadCrate) -> Iterator[PartFinding]:
    """Yield the state of every file that the crate lists, and of those that it does not."""
    for file, fact in sorted(crate.outputs.items()):
        path = folder / file
        part = f"file {file}"
        if not path.is_file():
            yield PartFinding(name, part, PartState.MISSING)
        elif path.stat().st_size != fact.size or digest(path) != fact.content:
            yield PartFinding(name, part, PartState.CHANGED)
        else:
            yield PartFinding(name, part, PartState.WHOLE)
    for file, path in files_of(folder):
        if file not in crate.outputs and path.name not in NOTES:
            yield PartFinding(name, f"file {file}", PartState.ADDED, "it is none of this run's")


def _of_another_run(path: Path, one: InputFact) -> str:
    """Return a remark where an input has the same content, and the record of another run."""
    if one.crate is None:
        return ""
    record = path / CRATE
    same = record.is_file() and digest(record) == one.crate
    return "" if same else "the same content, with the record of another run or none"
