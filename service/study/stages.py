"""Steps of the workflow as a study page shows them: their outputs, and which of them a session asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from palpate.config.study import Session, growth_scans


@dataclass(frozen=True, slots=True)
class StudyStage:
    """Step of the workflow.

    Attributes:
        name: name of the step, which its log bears too.
        output: name of the file or folder that it makes in the folder of its session or tumour.
        read_by: steps that read this output and that need it no longer once they are done.
        always: whether every session asks for it.
        records: patterns of the JSON records with the warnings of this step, relative to the session's folder.
        alerts: JSON record with alerts about the patient, relative to that folder; empty for none.
    """

    name: str
    output: str
    read_by: tuple[str, ...] = ()
    always: bool = True
    records: tuple[str, ...] = ()
    alerts: str = ""


SESSION_STAGES: Final = (
    StudyStage("ingest", "wavefield", ("mesh", "invert"), records=("wavefield/*_ingest.json",)),
    StudyStage("mesh", "mesh", ("invert",)),
    StudyStage("invert", "mre", ("report",), records=("mre/*_inversion.json",)),
    StudyStage("derived", "derived"),
    StudyStage("overlay", "anat", always=False),
    StudyStage("regions", "regions.tsv", always=False, records=("regions.json",)),
    StudyStage("report", "report.html"),
    StudyStage("maps", "dicom", always=False, records=("dicom.json",)),
)
"""Steps of a session, in their order."""
TUMOUR_STAGES: Final = (
    StudyStage("tumour", "history.h5", ("calibrate",), records=("history.json",)),
    StudyStage("calibrate", "calibration", ("forecast", "outlook"), records=("calibration/calibration.json",)),
    StudyStage("tetrahedra", "mesh", ("forecast",), always=False),
    StudyStage(
        "forecast", "forecast", ("outlook",), records=("forecast/forecast.json",), alerts="forecast/forecast.json"
    ),
    StudyStage("outlook", "outlook.html"),
    StudyStage("forecast_dicom", "dicom", always=False, records=("dicom.json",)),
)
"""Steps of a tumour over several sessions, in their order."""
GROUP_STAGES: Final = (StudyStage("group_regions", "group_regions.tsv", always=False, records=("group_regions.json",)),)
"""Steps of the study as a whole."""


def asked_of_session(session: Session) -> frozenset[str]:
    """Return the names of the steps that the workflow plans for a session; none where it brings no elastography.

    Args:
        session: row of the table of sessions.
    """
    if session.mre is None:
        return frozenset()
    wanted = {stage.name for stage in SESSION_STAGES if stage.always}
    wanted |= {"overlay"} if session.anatomy else set()
    wanted |= {"regions"} if session.labels or session.mask else set()
    wanted |= {"maps"} if session.brings_dicom or session.anatomy_is_dicom else set()
    return frozenset(wanted)


def asked_of_tumours(sessions: Sequence[Session]) -> dict[str, frozenset[str]]:
    """Return the names of the steps that the workflow plans for each subject with a tumour over time.

    Args:
        sessions: rows of the table of sessions.
    """
    always = frozenset(stage.name for stage in TUMOUR_STAGES if stage.always)
    with_maps = dict.fromkeys(one.subject for one in sessions if one.growth is not None)
    scans = {subject: growth_scans(sessions, subject) for subject in with_maps}
    return {
        subject: always | ({"forecast_dicom"} if dated[0].anatomy_is_dicom else frozenset())
        for subject, dated in scans.items()
        if dated
    }
