"""Names of the two moduli in files."""

from __future__ import annotations

from typing import Final, Literal

type Modulus = Literal["storagemodulus", "lossmodulus"]

MODULI: Final[tuple[Modulus, ...]] = ("storagemodulus", "lossmodulus")
"""Names of the moduli in file names: G' and G''."""
