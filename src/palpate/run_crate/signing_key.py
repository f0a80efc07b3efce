"""Key that signs crates: one that a study names, or the user's own, made on first use and readable by nobody else.

The file holds the 32 bytes of an Ed25519 private key (RFC 8032). The public key lies beside it as PEM, under the name
of the file and `.pub`; it is what others are given.
"""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from palpate.errors import InputError
from palpate.machine_failures import on_this_machine
from palpate.progress import say
from palpate.run_crate.names import SIGNING_KEY
from palpate.secret_file import make_secret, own_secret, read_secret, results_around, unusable_secret

LENGTH: Final = 32
"""Length of a private and of a public key, bytes."""
SIGNATURE_LENGTH: Final = 64
"""Length of a signature, bytes."""
_OWN: Final = "your own signing key ($XDG_CONFIG_HOME/palpate/signing-key, by default ~/.config/palpate/signing-key)"
_ADVICE: Final = f"Name a file of your own outside the results in {SIGNING_KEY} (setting provenance.signing_key)."
_MOST_PEM: Final = 10_000


def signing_key_place() -> Path | None:
    """Return the file of the signing key: the one that PALPATE_SIGNING_KEY names, or the user's own.

    Returns:
        The path; None where no file is named and the user has no home.
    """
    stated = os.environ.get(SIGNING_KEY)
    return Path(stated).expanduser() if stated else own_secret("signing-key")


def demand_usable_key() -> None:
    """Refuse a signing key that is there and cannot be used, before hours of work. None is made here.

    Raises:
        InputError: others may read it, or it is no key.
    """
    path = signing_key_place()
    if path is not None and path.exists():
        _read(path)


def open_signing_key(out: Path) -> Ed25519PrivateKey:
    """Read the signing key, or make one where there is none, readable by its owner only.

    Args:
        out: the output folder; the key may not lie in it or in its study's results, since these are handed on.

    Raises:
        InputError: it cannot be read or made, others may read it, or it lies among the results.
    """
    path = signing_key_place()
    if path is None:
        raise InputError(_OWN, found="no home folder", expected="a place for it", advice=_ADVICE)
    if path.resolve().is_relative_to(results_around(out)):
        found = "a place inside the folder of results"
        raise InputError(_name(), found=found, expected="a file outside what is handed on", advice=_ADVICE)
    try:
        made = not path.exists() and make_secret(path, Ed25519PrivateKey.generate().private_bytes_raw())
    except OSError as error:
        raise unusable_secret(_name(), error, LENGTH, _ADVICE) from error
    key = _read(path)
    if made:
        _write_public(path, key.public_key())
        say(f"made {_name()}: it signs what you compute, so keep it, and keep it secret; its public half is beside it")
    return key


def public_key_of(path: Path) -> Ed25519PublicKey:
    """Read a public key that somebody trusts.

    Args:
        path: PEM file of an Ed25519 public key.

    Raises:
        InputError: it is none.
    """
    with on_this_machine(path):
        if not path.is_file():
            raise InputError(path, found="no file", expected="a public key", advice=_PUBLIC_ADVICE)
        with path.open("rb") as stream:
            text = stream.read(_MOST_PEM)
    try:
        key = load_pem_public_key(text)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        found = "something else" if b"PRIVATE" not in text else "a private key"
        raise InputError(path, found=found, expected="the PEM of an Ed25519 public key", advice=_PUBLIC_ADVICE)
    return key


_PUBLIC_ADVICE: Final = "Give the file signing-key.pub of whoever computed the result."


def own_public_key() -> Ed25519PublicKey | None:
    """Return the public half of the key that signs on this machine; None where there is none yet.

    Raises:
        InputError: the key cannot be used.
    """
    path = signing_key_place()
    return _read(path).public_key() if path is not None and path.exists() else None


def key_text(key: Ed25519PublicKey) -> str:
    """Return a public key as text: its 32 bytes in base64."""
    return b64encode(key.public_bytes_raw()).decode()


def holds(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    """Return whether a signature of some content was made with the private half of a key.

    Args:
        key: public key.
        signature: 64 bytes.
        content: bytes that were signed.
    """
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _name() -> str:
    return f"the signing key ({SIGNING_KEY})" if os.environ.get(SIGNING_KEY) else _OWN


def _read(path: Path) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(read_secret(_name(), path, LENGTH, _ADVICE))


def _write_public(path: Path, key: Ed25519PublicKey) -> None:
    """Write the public key beside a private one that was just made."""
    text = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path.with_name(f"{path.name}.pub").write_bytes(text)
