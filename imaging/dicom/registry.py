"""The vendors' readers. A new vendor is one more class that satisfies VendorReader, added to READERS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.checks.stated_twice import believed_headers
from palpate.imaging.dicom.files import Contents, read_contents
from palpate.imaging.dicom.ge import GeReader
from palpate.imaging.dicom.header_promises import demand_lossless, maybe_lossy, missing_images, no_frame_of_reference
from palpate.imaging.dicom.mixtures import demand_one_identity
from palpate.imaging.dicom.no_motion import demand_listed
from palpate.imaging.dicom.philips import PhilipsReader
from palpate.imaging.dicom.recognition import near
from palpate.imaging.dicom.series import Series
from palpate.imaging.dicom.siemens_enhanced import SiemensEnhancedReader
from palpate.imaging.dicom.siemens_mosaic import SiemensMosaicReader
from palpate.imaging.dicom.siemens_product import SiemensProductReader
from palpate.imaging.dicom.sorting import Export, passed_rows, sort_export
from palpate.imaging.dicom.vocabulary import is_known
from palpate.imaging.files.plain_names import shown


class VendorReader(Protocol):
    """Reader that turns the series of one study, as one vendor writes them, into acquisitions.

    Attributes:
        name: name of the reader in messages.
    """

    name: str

    def recognises(self, series: Sequence[Series]) -> bool:
        """Return whether this reader can make acquisitions of these series, without reading pixels or raising."""
        ...

    def read(self, series: Sequence[Series], settings: IngestSettings) -> tuple[PhaseAcquisition, ...]:
        """Return the acquisitions, in the order of series and frequency; at least one where `recognises` returned True.

        Args:
            series: series of the study, ordered by number.
            settings: ingest settings for what headers do not say, such as the encoding matrix.

        Raises:
            InputError: the series are recognised but incomplete, damaged or contradictory.
        """
        ...


READERS: Final[tuple[VendorReader, ...]] = (
    SiemensMosaicReader(),
    SiemensEnhancedReader(),
    SiemensProductReader(),
    GeReader(),
    PhilipsReader(),
)
"""Readers of all vendors, in the order in which they are tried."""


def read_acquisitions(
    container: Path, settings: IngestSettings | None = None
) -> tuple[tuple[PhaseAcquisition, ...], Export]:
    """Return all MRE acquisitions of one session's DICOM, whatever else lies beside it.

    Args:
        container: folder or archive.
        settings: ingest settings for what headers do not say; None takes the defaults.

    Returns:
        The acquisitions, and what was found: the images they came from, what was left out, and warnings.

    Raises:
        InputError: no reader recognises the series, their reader refuses them, there is MRE of several patients, or an
            image that may belong to the MRE is damaged.
    """
    found = read_contents(container)
    export = sort_export(container, found, lambda series: any(reader.recognises(series) for reader in READERS))
    chosen = settings or IngestSettings()
    for reader in READERS:
        if reader.recognises(export.series):
            demand_listed(chosen.no_motion_series, [one.number for one in export.series])
            return _read(reader, container, found, export, chosen)
    if found.damaged:
        raise found.damaged[0].error
    raise _nobody_knows(container, export)


def _read(
    reader: VendorReader, container: Path, found: Contents, export: Export, settings: IngestSettings
) -> tuple[tuple[PhaseAcquisition, ...], Export]:
    """Return what one reader makes of an export, with the warnings about the images that it used."""
    # What a damaged file may have been is asked before anything is missed without it.
    demand_lossless([one for one in export.series if reader.recognises([one])])
    try:
        acquisitions = reader.read(export.series, settings)
    except InputError:
        # A file that was passed over as damaged, beside these images, is the truer cause.
        found.demand_whole(tuple(image for one in export.series for image in one.instances))
        demand_one_identity(container, export.series, export.others, lambda series: reader.read(series, settings))
        raise
    used = export.used_series(acquisitions)
    damaged = found.demand_whole(tuple(image for one in used for image in one.instances))
    export.demand_complete(used, reader.recognises)
    warnings = (*missing_images(used), *no_frame_of_reference(used), *maybe_lossy(used))
    warnings += believed_headers([one.frequency_hz for one in acquisitions], settings.frequency_hz)
    rows = passed_rows(Counter(f"{one.error.found}, of another series" for one in damaged))
    if any(one.code == "no-frame-of-reference" for one in warnings):
        # Nothing can refer to such images, so the record names none and maps stay NIfTI.
        acquisitions = tuple(replace(one, facts={**one.facts, "dicom": None}) for one in acquisitions)
    return acquisitions, replace(export, passed=(*export.passed, *rows), warnings=warnings)


def _nobody_knows(container: Path, export: Export) -> InputError:
    """Return the refusal of series that no reader recognises, with the criterion that stopped each reader."""
    reasons = sorted({row.reason for row in (*export.left_out, *export.passed)})
    left_out = f" (left out: {'; '.join(reasons)})" if reasons else ""
    nearest = near(export.series)
    if nearest:
        return InputError(
            shown(container),
            found="no MRE phase images that any reader knows; nearest came "
            + "; ".join(str(one) for one in nearest)
            + left_out,
            expected="series with all marks of one reader's images",
            advice=" ".join(dict.fromkeys(advice for one in nearest for advice in one.advice)),
        )
    listed = ", ".join(f"{one.number} ({_kinds(one)})" for one in export.series[:6]) or "none"
    return InputError(
        shown(container),
        found=f"no MRE phase images that any reader knows; series {listed}{left_out}",
        expected=f"series for one of the readers: {', '.join(reader.name for reader in READERS)}",
        advice="Include the phase series of the MRE sequence, or convert to a wave-field folder.",
    )


def _kinds(series: Series) -> str:
    """Return the known words of a series' image type."""
    return "/".join(one for one in series.image_type if is_known("ImageType", one)) or "no known image type"
