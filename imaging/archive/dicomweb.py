"""Archive over DICOMweb: QIDO-RS finds its series, WADO-RS retrieves their images."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import requests
from dicomweb_client import DICOMwebClient
from pydicom.dataset import Dataset

from palpate.errors import InputError
from palpate.imaging.archive.remote import Keep, RemoteSeries, Wanted, series_of

TOKEN: Final = "PALPATE_ARCHIVE_TOKEN"
"""Name of the environment variable with the bearer token, which so stays out of command lines, logs and files."""

_SECONDS: Final = 60
_ATTEMPTS, _WAIT_MS = 3, 200
_REFUSED: Final = (401, 403)


class DicomWeb:
    """Archive over DICOMweb; see palpate.imaging.archive.remote.Archive.

    Args:
        address: address of the service, such as http://host:8042/dicom-web.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        token = os.environ.get(TOKEN)
        headers = {"Authorization": f"Bearer {token}"} if token else None
        self._client = DICOMwebClient(address, headers=headers, timeout=_SECONDS)
        # The library would try for half a minute before it says that nobody is there.
        self._client.set_http_retry_params(retry=True, max_attempts=_ATTEMPTS, wait_exponential_multiplier=_WAIT_MS)

    def find(self, wanted: Wanted) -> Sequence[RemoteSeries]:
        """Return the series of the study, or of every study with the accession number."""
        with self._answers():
            studies = [wanted.study_uid] if wanted.study_uid else self._studies(wanted.accession)
            return [
                series_of(Dataset.from_json(listed), study_uid)
                for study_uid in studies
                for listed in self._client.search_for_series(study_uid, fields=["NumberOfSeriesRelatedInstances"])
            ]

    def retrieve(self, series: RemoteSeries, keep: Keep) -> None:
        """Hand over every image of a series, one at a time."""
        with self._answers():
            for image in self._client.iter_series(series.study_uid, series.series_uid):
                keep(image)

    def _studies(self, accession: str) -> list[str]:
        listed = self._client.search_for_studies(search_filters={"AccessionNumber": accession})
        return [str(Dataset.from_json(one).StudyInstanceUID) for one in listed]

    @contextmanager
    def _answers(self) -> Iterator[None]:
        """Turn what the network does into what a user can mend."""
        try:
            yield
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            advice = "Check the address, up to the root of the service."
            if status in _REFUSED:
                advice = f"Put a valid token into {TOKEN}."
            raise InputError(
                self.address,
                found=f"HTTP status {status}",
                expected="a DICOMweb service that answers",
                advice=advice,
            ) from None
        except (requests.RequestException, ValueError) as error:
            raise InputError(
                self.address,
                found=f"no usable answer ({type(error).__name__})",
                expected="a DICOMweb service",
                advice="Check host, port and path, and that the network lets this machine in.",
            ) from None
