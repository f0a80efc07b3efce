"""Secret key that ties pseudonyms to persons: identifiers and dates follow from it; without it nobody can go back.

    identifier   2.25.n, n the UUID made of the first 128 bits of HMAC-SHA256(key, "uid" || identifier)
    days         1 + HMAC-SHA256(key, "days" || patient) mod 3650
    pseudonym    first 48 bits of HMAC-SHA256(key, "pseudonym" || patient), in hexadecimal

One key gives the same study, the same patient and the same intervals in every run; pseudonyms of different keys never
match.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

LENGTH: Final = 32
"""Length of a key, bytes."""
_MOST_DAYS: Final = 3650


@dataclass(frozen=True, slots=True)
class Key:
    """Key for pseudonyms.

    Attributes:
        secret: 32 random bytes; never shown.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a secret that can be guessed.

        Raises:
            ValueError: it has another length.
        """
        if len(self.secret) != LENGTH:
            raise ValueError(f"{len(self.secret)} bytes; a key has {LENGTH}")

    def identifier(self, original: str) -> str:
        """Return the pseudonym of a unique identifier, itself a unique identifier."""
        return f"2.25.{UUID(bytes=self._digest('uid', original)[:16], version=5).int}"

    def shifted(self, day: date, patient: str) -> date:
        """Return the day, earlier by the patient's own number of days, 1 to 3650: intervals within a patient stay.

        Raises:
            OverflowError: the day would lie before the year 1.
        """
        days = 1 + int.from_bytes(self._digest("days", patient)) % _MOST_DAYS
        return day - timedelta(days=days)

    def pseudonym(self, patient: str) -> str:
        """Return the name that stands for a patient, such as "P0123456789AB"."""
        return f"P{self._digest('pseudonym', patient)[:6].hex().upper()}"

    @property
    def fingerprint(self) -> str:
        """Digest that tells this key from others without giving it away, 16 hexadecimal digits."""
        return self._digest("fingerprint", "")[:8].hex()

    def _digest(self, purpose: str, text: str) -> bytes:
        return hmac.digest(self.secret, f"{purpose}\0{text}".encode(), sha256)
