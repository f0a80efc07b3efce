"""Storage of one scan in each vendor's layout.

A new vendor is one more function that satisfies Writer, added to WRITERS.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from palpate.config.phantom import PhantomSettings, Vendor
from palpate.imaging.phantom.ge import PAIRED_ENCODINGS, write_complex_images, write_waves
from palpate.imaging.phantom.grid import ScanGrid
from palpate.imaging.phantom.identity import Identity
from palpate.imaging.phantom.philips import write_classic
from palpate.imaging.phantom.philips_enhanced import write_enhanced
from palpate.imaging.phantom.scan import Scan
from palpate.imaging.phantom.siemens import write_mosaics


class Writer(Protocol):
    """Function that writes the MRE series of a scan below an existing, empty folder."""

    def __call__(self, folder: Path, identity: Identity, settings: PhantomSettings, grid: ScanGrid, scan: Scan) -> None:
        """Write the files."""
        ...


WRITERS: Final[Mapping[Vendor, Writer]] = {
    "siemens": write_mosaics,
    "ge": write_waves,
    "ge-brain": write_complex_images,
    "philips": write_classic,
    "philips-enhanced": write_enhanced,
}
"""Writers by the names that `palpate phantom --vendor` takes."""


def ingest_settings(settings: PhantomSettings) -> Mapping[str, object]:
    """Return the ingest settings that a reader needs because the vendor's headers do not state them."""
    along_image = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    by_vendor: Mapping[Vendor, Mapping[str, object]] = {
        "siemens": {},
        "ge": {"menc_um_per_rad": settings.menc_um_per_rad, "encoding_matrix": along_image},
        "ge-brain": {"menc_um_per_rad": PAIRED_ENCODINGS * settings.menc_um_per_rad},
        "philips": {},
        "philips-enhanced": {},
    }
    return by_vendor[settings.vendor]
