"""Uploaded regions: kept without identity by the digest of what was uploaded, for one person and for some hours."""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from palpate.errors import InputError
from palpate.imaging.deidentify.identifiers import PATIENT
from palpate.imaging.deidentify.key_file import known_key
from palpate.imaging.regions.at_the_door import WHERE, clean_region, write_cleaned
from palpate.imaging.regions.read import read_chosen
from palpate.imaging.regions.region import DrawnRegion
from palpate.secret_file import make_secret
from palpate.service.query.session import OpenSession
from palpate.service.serve.refusals import RequestRefusal, not_found

DIGEST: Final = r"^[0-9a-f]{64}$"
"""Pattern of the digest by which an uploaded region is called."""
_ABOUT: Final = "about.json"
_SECRET: Final = "secret"
_OTHER: Final = "\x7fanother patient"


@dataclass(frozen=True, slots=True)
class KeptRegion:
    """Region that was uploaded.

    Attributes:
        sha256: SHA-256 of what was uploaded.
        kind: "NIfTI", "SEG" or "RTSTRUCT".
        regions: number and name of each region; empty where the file is NIfTI.
        expires: time at which it is deleted, seconds since 1970.
        path: file without identity.
        patient: keyed digest of the patient's number, and its pseudonym by the user's key; empty where none is known.
    """

    sha256: str
    kind: str
    regions: tuple[tuple[int, str], ...]
    expires: float
    path: Path = field(repr=False)
    patient: tuple[str, str] = field(default=("", ""), repr=False)

    def told(self) -> dict[str, Any]:
        """Return the JSON object that tells of it."""
        named = [{"number": number, "name": name or None} for number, name in self.regions]
        return {"region": self.sha256, "kind": self.kind, "regions": named, "expires_unix_s": self.expires}


@dataclass(frozen=True, slots=True)
class KeptSpec:
    """Uploaded region as a question names it.

    Attributes:
        kept: the region.
        name: name or number of the segment or ROI; empty takes the only one.
        patients: patients of the session's records, with which the region's is compared.
        secret: secret of the keyed digest.
    """

    kept: KeptRegion
    name: str = ""
    patients: tuple[str, ...] = ()
    secret: bytes = field(default=b"", repr=False)

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the file that was uploaded."""
        return self.kept.sha256

    def read(self, slices: NDArray[np.float64]) -> DrawnRegion:
        """Read the region.

        Args:
            slices: affine of the image on whose slices contours of a single plane may have been drawn on, voxel indices
                to world RAS millimetres, shape (4, 4).

        Raises:
            InputError: the name fits no region or several, or a contour encloses no volume in one clear way.
        """
        if self.name and self.kept.kind == "NIfTI":
            raise InputError(
                "name", found="a name beside a mask", expected="a segment or ROI", advice="Leave name out."
            )
        region = read_chosen(self.kept.path, self.name, slices)
        return replace(region, where=WHERE, person=(self._person(), "", ""))

    def _person(self) -> str:
        """Return the patient as the records have it where it is that of the file; empty where the file states none."""
        mark, pseudonym = self.kept.patient
        if not mark:
            return ""
        same = (one for one in self.patients if one == pseudonym or hmac.compare_digest(_mark(self.secret, one), mark))
        return next(same, _OTHER)


class RegionStore:
    """Folder of uploaded regions.

    Args:
        folder: the folder; it is made, and nobody else may read it.
        hours: time for which a region is kept, hours.
        most_bytes: room of one person's regions, bytes.
        key: file of the key of pseudonyms; None for the user's own.
    """

    def __init__(self, folder: Path, hours: float, most_bytes: int, key: Path | None = None) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._kept_s, self._most, self._key = folder, hours * 3600.0, most_bytes, key
        self._secret = _secret(folder / _SECRET)

    def keep(self, content: bytes, owner: str) -> KeptRegion:
        """Keep a region without identity; one that is there already is kept as long again.

        Args:
            content: file as it was uploaded.
            owner: person who may ask with it.

        Raises:
            InputError: the file is no region.
            RequestRefusal: the person's regions take too much room.
        """
        self.sweep()
        cleaned = clean_region(content)
        digest, place = sha256(content).hexdigest(), self._of(owner)
        place.mkdir(mode=0o700, exist_ok=True)
        taken = sum(one.stat().st_size for one in place.glob("*/region.*") if one.parent.name != digest)
        if taken + len(cleaned.content) > self._most:
            raise RequestRefusal(
                413,
                WHERE,
                found="uploaded regions that fill your room",
                expected=f"at most {self._most >> 20} MB at a time",
                advice="Delete regions that you need no more.",
            )
        partial = place / f".{digest}-{secrets.token_hex(8)}"
        partial.mkdir(mode=0o700)
        name = "region.nii" if cleaned.kind == "NIfTI" else "region.dcm"
        used = known_key(self._key) if cleaned.patient else None
        patient = (
            _mark(self._secret, cleaned.patient) if cleaned.patient else "",
            "" if used is None else used.pseudonym(cleaned.patient),
        )
        about = KeptRegion(
            digest,
            cleaned.kind,
            tuple((one.number, one.plain_name) for one in cleaned.entries),
            time.time() + self._kept_s,
            place / digest / name,
            patient,
        )
        write_cleaned(partial / name, cleaned)
        record = {**asdict(about), "path": name}
        (partial / _ABOUT).write_text(json.dumps(record), encoding="utf-8")
        shutil.rmtree(place / digest, ignore_errors=True)
        try:
            os.replace(partial, place / digest)
        except OSError:  # another request has just kept the same file
            shutil.rmtree(partial, ignore_errors=True)
        return about

    def find(self, digest: str, owner: str) -> KeptRegion:
        """Return a region that a person has uploaded.

        Args:
            digest: SHA-256 of what was uploaded.
            owner: person who uploaded it.

        Raises:
            RequestRefusal: there is none, or its time is over.
        """
        place = self._of(owner) / digest
        try:
            told: Mapping[str, Any] = json.loads((place / _ABOUT).read_text(encoding="utf-8"))
            found = KeptRegion(
                str(told["sha256"]),
                str(told["kind"]),
                tuple((int(number), str(name)) for number, name in told["regions"]),
                float(told["expires"]),
                place / str(told["path"]),
                (str(told["patient"][0]), str(told["patient"][1])),
            )
        except (OSError, ValueError, LookupError, TypeError):
            raise not_found("uploaded region") from None
        if found.expires < time.time() or not found.path.is_file():
            shutil.rmtree(place, ignore_errors=True)
            raise not_found("uploaded region, or its time is over")
        return found

    def spec(self, digest: str, owner: str, name: str, session: OpenSession) -> KeptSpec:
        """Return an uploaded region as a question about a session names it.

        Args:
            digest: SHA-256 of what was uploaded.
            owner: person who uploaded it.
            name: name or number of the segment or ROI; empty takes the only one.
            session: session that is asked.

        Raises:
            RequestRefusal: there is none.
        """
        stated = (str(one.ingest.get(PATIENT) or "") for one in session.runs)
        patients = tuple(dict.fromkeys(one for one in stated if one))
        return KeptSpec(self.find(digest, owner), name.strip(), patients, self._secret)

    def remove(self, digest: str, owner: str) -> None:
        """Delete a region.

        Args:
            digest: SHA-256 of what was uploaded.
            owner: person who uploaded it.

        Raises:
            RequestRefusal: there is none.
        """
        self.find(digest, owner)
        shutil.rmtree(self._of(owner) / digest, ignore_errors=True)

    def sweep(self) -> int:
        """Delete regions whose time is over, and return their number."""
        gone = 0
        for about in self._folder.glob(f"*/*/{_ABOUT}"):
            try:
                over = float(json.loads(about.read_text(encoding="utf-8"))["expires"]) < time.time()
            except (OSError, ValueError, LookupError, TypeError):
                over = True
            if over:
                shutil.rmtree(about.parent, ignore_errors=True)
                gone += 1
        return gone

    def _of(self, owner: str) -> Path:
        return self._folder / sha256(owner.encode()).hexdigest()[:32]


def demand_digest(text: str) -> str:
    """Return the digest of an uploaded region.

    Args:
        text: text of a request.

    Raises:
        RequestRefusal: it is none.
    """
    if re.fullmatch(DIGEST, text) is None:
        raise not_found("uploaded region")
    return text


def _mark(secret: bytes, patient: str) -> str:
    return hmac.digest(secret, patient.encode(), "sha256").hex()


def _secret(path: Path) -> bytes:
    """Return the secret of the folder, made by whichever worker comes first."""
    make_secret(path, secrets.token_bytes(32))
    return path.read_bytes()
