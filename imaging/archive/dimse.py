"""Archive over classic DICOM: C-FIND finds its series, C-GET or C-MOVE retrieves their images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.events import Event

from palpate.errors import InputError
from palpate.imaging.archive.remote import Keep, RemoteSeries, Wanted, series_of

_FIND: Final = UID("1.2.840.10008.5.1.4.1.2.2.1")
_MOVE: Final = UID("1.2.840.10008.5.1.4.1.2.2.2")
_GET: Final = UID("1.2.840.10008.5.1.4.1.2.2.3")
"""Study root information models."""

_IMAGES: Final = (MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)
_PLAIN: Final = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
"""Uncompressed: an archive that keeps images compressed unpacks them for whoever asks so."""

_SUCCESS: Final = 0x0000
_PENDING: Final = (0xFF00, 0xFF01)
_CANNOT_STORE: Final = 0xA700
_SECONDS: Final = 60

type Handlers = list[Any]
"""Events of the network library, each with the function that handles it."""


@dataclass(frozen=True, slots=True)
class Dimse:
    """Archive over classic DICOM; see palpate.imaging.archive.remote.Archive.

    Attributes:
        title: the archive's application entity title.
        host: the archive's host name.
        port: the archive's port.
        calling: palpate's own application entity title, which the archive may have to know.
        listen_port: palpate's port for the images that a C-MOVE sends; None retrieves by C-GET.
    """

    title: str
    host: str
    port: int
    calling: str
    listen_port: int | None = None

    @property
    def address(self) -> str:
        """Address of the archive, as messages state it."""
        return f"dicom://{self.title}@{self.host}:{self.port}"

    def find(self, wanted: Wanted) -> Sequence[RemoteSeries]:
        """Return the series of the study, or of every study with the accession number."""
        with self._associated([(_FIND, False)]) as association:
            studies = [wanted.study_uid] if wanted.study_uid else self._studies(association, wanted.accession)
            found = []
            for study_uid in studies:
                query = _query(
                    "SERIES", StudyInstanceUID=study_uid, SeriesInstanceUID="", Modality="", SeriesNumber=None
                )
                query.NumberOfSeriesRelatedInstances = None
                found += [series_of(one, study_uid) for one in self._answers(association.send_c_find(query, _FIND))]
            return found

    def retrieve(self, series: RemoteSeries, keep: Keep) -> None:
        """Hand over every image of a series, as the archive sends it."""
        query = _query("SERIES", StudyInstanceUID=series.study_uid, SeriesInstanceUID=series.series_uid)
        failures: list[Exception] = []

        def store(event: Event) -> int:
            try:
                image = event.dataset
                image.file_meta = event.file_meta
                keep(image)
            except Exception as error:  # noqa: BLE001 - pynetdicom would swallow it, and the user never learn of it
                failures.append(error)
                return _CANNOT_STORE
            return _SUCCESS

        handlers: Handlers = [(evt.EVT_C_STORE, store)]
        if self.listen_port is None:
            with self._associated([(_GET, False), *((uid, True) for uid in _IMAGES)], handlers) as association:
                for _ in self._answers(association.send_c_get(query, _GET)):
                    pass
        else:
            with self._listening(handlers), self._associated([(_MOVE, False)]) as association:
                for _ in self._answers(association.send_c_move(query, self.calling, _MOVE)):
                    pass
        if failures:
            raise failures[0]

    def _studies(self, association: Association, accession: str) -> list[str]:
        query = _query("STUDY", AccessionNumber=accession, StudyInstanceUID="")
        return [str(one.StudyInstanceUID) for one in self._answers(association.send_c_find(query, _FIND))]

    def _answers(self, responses: Iterator[tuple[Dataset, Dataset | None]]) -> Iterator[Dataset]:
        """Yield what the archive lists, until it says that it is done.

        Raises:
            InputError: it fails, or stops answering.
        """
        for status, identifier in responses:
            code = status.get("Status") if status else None
            if code in _PENDING:
                if identifier is not None:
                    yield identifier
            elif code != _SUCCESS:
                raise InputError(
                    self.address,
                    found="no further answer" if code is None else f"DICOM status {code:04X}H",
                    expected="an archive that finds, and sends all images that it has",
                    advice="Ask its administrator whether this title may query and retrieve, and by C-MOVE to where.",
                )

    @contextmanager
    def _associated(
        self, contexts: Sequence[tuple[str, bool]], handlers: Handlers | None = None
    ) -> Iterator[Association]:
        """Yield an association for abstract syntaxes, beside each whether the archive is to be the sender (C-GET)."""
        entity = self._entity()
        for syntax, _ in contexts:
            entity.add_requested_context(syntax, _PLAIN)
        roles: list[Any] = [build_role(syntax, scp_role=True) for syntax, sends in contexts if sends]
        association = entity.associate(self.host, self.port, ae_title=self.title, ext_neg=roles, evt_handlers=handlers)
        if not association.is_established:
            refused = association.is_rejected
            raise InputError(
                self.address,
                found="an archive that refuses this title" if refused else "no answer",
                expected=f"a DICOM archive that accepts {self.calling}",
                advice="Have the title registered, or give another with --calling."
                if refused
                else "Check host, port and title, and that the network lets this machine in.",
            )
        try:
            yield association
        finally:
            association.release()

    @contextmanager
    def _listening(self, handlers: Handlers) -> Iterator[None]:
        """Yield a receiver for what a C-MOVE sends."""
        assert self.listen_port is not None
        entity = self._entity()
        for syntax in _IMAGES:
            entity.add_supported_context(syntax, _PLAIN)
        try:
            server = entity.start_server(("", self.listen_port), block=False, evt_handlers=handlers)
        except OSError as error:
            raise InputError(
                f"port {self.listen_port}",
                found=error.strerror or "a port that cannot be opened",
                expected="a free port on which the archive reaches this machine",
                advice="Give another with --listen-port, as the archive has it registered.",
            ) from None
        assert server is not None  # it is None only where the call blocks
        try:
            yield
        finally:
            server.shutdown()

    def _entity(self) -> AE:
        entity = AE(ae_title=self.calling)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = _SECONDS
        return entity


def _query(level: str, **keys: object) -> Dataset:
    """Return a query at a level of the study root's model."""
    query = Dataset()
    query.QueryRetrieveLevel = level
    for name, value in keys.items():
        setattr(query, name, value)
    return query
