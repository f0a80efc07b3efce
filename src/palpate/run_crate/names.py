"""Names of the crate's files, and the commands whose results carry one."""

from __future__ import annotations

from typing import Final

CRATE: Final = "ro-crate-metadata.json"
"""Name of the crate in an output folder, as RO-Crate 1.1 demands."""
SIGNATURE: Final = f"{CRATE}.sig"
"""Name of its detached signature: 64 bytes, Ed25519 (RFC 8032)."""
SEALED: Final = ("ingest", "mesh", "invert", "overlay", "calibrate", "forecast", "trial", "plan")
"""Commands whose output folder carries a crate. What fetch and deidentify write is somebody's scan, not a result, and
every file of maps goes to an archive, which refuses what is no DICOM."""
OPERATOR: Final = "PALPATE_OPERATOR"
"""Environment variable with the name of whoever answers for a run; nobody is named without it."""
SIGNING_KEY: Final = "PALPATE_SIGNING_KEY"
"""Environment variable with the path of the signing key of a study; the user's own key is taken without it."""
