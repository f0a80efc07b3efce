"""The vendors' readers. A new vendor is one more class that satisfies VendorReader, added to READERS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.dicom.files import read_instances, shown
from palpate.imaging.dicom.ge import GeReader
from palpate.imaging.dicom.no_motion import demand_listed
from palpate.imaging.dicom.philips import PhilipsReader
from palpate.imaging.dicom.series import Series
from palpate.imaging.dicom.siemens_enhanced import SiemensEnhancedReader
from palpate.imaging.dicom.siemens_mosaic import SiemensMosaicReader
from palpate.imaging.dicom.sorting import Export, sort_export
from palpate.imaging.dicom.vocabulary import is_known


class VendorReader(Protocol):
    """Turns the series of one study, as one vendor writes them, into acquisitions.

    Attributes:
        name: what to call the reader in messages.
    """

    name: str

    def recognises(self, series: Sequence[Series]) -> bool:
        """Whether this reader can make acquisitions of these series; must not raise and must not read pixels."""
        ...

    def read(self, series: Sequence[Series], settings: IngestSettings) -> tuple[PhaseAcquisition, ...]:
        """The acquisitions, in the order of series and frequency; at least one where `recognises` said so.

        Args:
            series: of the study, ordered by number.
            settings: for what headers do not say, such as the encoding matrix.

        Raises:
            InputError: the series are recognised but incomplete, damaged or contradictory.
        """
        ...


READERS: Final[tuple[VendorReader, ...]] = (
    SiemensMosaicReader(),
    SiemensEnhancedReader(),
    GeReader(),
    PhilipsReader(),
)


def read_acquisitions(
    container: Path, settings: IngestSettings | None = None
) -> tuple[tuple[PhaseAcquisition, ...], Export]:
    """All MRE acquisitions of one session's DICOM, whatever else lies beside it.

    Args:
        container: folder or zip.
        settings: for what headers do not say; None takes the defaults.

    Returns:
        The acquisitions, and what was found: the images they came from, and what was left out.

    Raises:
        InputError: no reader recognises the series, their reader refuses them, or there is MRE of several patients.
    """
    export = sort_export(
        container, read_instances(container), lambda series: any(reader.recognises(series) for reader in READERS)
    )
    chosen = settings or IngestSettings()
    for reader in READERS:
        if reader.recognises(export.series):
            demand_listed(chosen.no_motion_series, [one.number for one in export.series])
            return reader.read(export.series, chosen), export
    found = ", ".join(f"{one.number} ({_kinds(one)})" for one in export.series[:6]) or "none"
    reasons = sorted({row.reason for row in export.left_out})
    found += f" (left out: {'; '.join(reasons)})" if reasons else ""
    raise InputError(
        shown(container),
        found=f"no MRE phase images that any reader knows; series {found}",
        expected=f"series for one of the readers: {', '.join(reader.name for reader in READERS)}",
        advice="Include the phase series of the MRE sequence, or convert to a wave-field folder.",
    )


def _kinds(series: Series) -> str:
    """The known words of a series' image type."""
    return "/".join(one for one in series.image_type if is_known("ImageType", one)) or "no known image type"
