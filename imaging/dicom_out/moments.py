"""Moments in the headers of DICOM files that palpate writes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from palpate.imaging.dicom_out.dicom_identity import MapIdentity


def in_timezone_of(made: datetime, identity: MapIdentity) -> datetime:
    """Return the moment in the time zone that the identity's header states: one offset holds for all its times.

    Where the scan states none, its times are local ones, and so are those of palpate's files.

    Args:
        made: moment with a time zone.
        identity: identity that the file carries.
    """
    if identity.is_pseudonym:
        return made.astimezone(UTC)
    stated = re.fullmatch(r"([+-])(\d\d)(\d\d)", str(identity.elements.get("TimezoneOffsetFromUTC") or ""))
    if stated is None:
        return made.astimezone()
    minutes = 60 * int(stated[2]) + int(stated[3])
    return made.astimezone(timezone(timedelta(minutes=-minutes if stated[1] == "-" else minutes)))
