"""Settings of the service over finished results: who may ask, what is kept, and how much one may ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from palpate.config.section import Section

type Algorithm = Literal["EdDSA", "ES256", "RS256"]


class TokenSettings(Section):
    """Bearer tokens: JSON Web Tokens that an identity provider signs. Without them the service stays on loopback."""

    issuer: str
    """Issuer that a token must name (claim iss)."""

    audience: str
    """Audience that a token must name (claim aud)."""

    keys: Path
    """File of the issuer's public keys, a JSON Web Key Set. It is read again when it changes; nothing is fetched."""

    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("EdDSA", "ES256", "RS256")
    """Algorithms that are accepted; a token cannot choose another one."""

    leeway_s: Annotated[float, Field(ge=0, le=300, allow_inf_nan=False)] = 30.0
    """Difference of clocks that expiry forgives, seconds."""


class ServeSettings(Section):
    """Settings of the service over finished results."""

    study: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]{0,63}$")] = "study"
    """Name of the study, which scopes of tokens name: study:NAME:reader, :planner or :auditor."""

    tokens: TokenSettings | None = None
    """Bearer tokens; none: everyone on this machine may ask, and the service listens on loopback only."""

    certificate: Path | None = None
    """Certificate chain for TLS, PEM; none: no TLS, and the service listens on loopback only."""

    certificate_key: Path | None = None
    """Private key of the certificate, PEM; none: it stands in the certificate's file."""

    hosts: tuple[str, ...] = ()
    """Further names by which clients call the service. Requests to other names are refused."""

    consent: Literal["off", "required"] = "off"
    """required: a subject is answered for a purpose only with a FHIR Consent that permits it; off: nothing is gated."""

    consents: Path | None = None
    """Folder of FHIR R4 Consent resources, one JSON file each."""

    audit: Path | None = None
    """Folder of the audit trail; none: palpate/serve/STUDY/audit in $XDG_STATE_HOME or ~/.local/state."""

    audit_heads: Path | None = None
    """Folder of the heads of the trails, best on another disk or with other rights; none: beside the folder audit."""

    uploads: Path | None = None
    """Folder of uploaded regions; none: beside the folder audit."""

    overrides: Path | None = None
    """Folder of clinicians' overrides; none: beside the folder audit."""

    upload_hours: Annotated[float, Field(gt=0, le=24 * 366, allow_inf_nan=False)] = 24.0
    """Time after which an uploaded region is deleted, hours."""

    upload_mb: Annotated[int, Field(ge=1, le=256)] = 32
    """Largest uploaded file, MB (2^20 bytes)."""

    uploads_mb: Annotated[int, Field(ge=1)] = 2048
    """Most room that the uploads of one person take, MB (2^20 bytes)."""

    requests_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 500.0
    """Requests of one person or address in each second and worker, beyond which it is told to wait."""

    connections: Annotated[int, Field(ge=1)] = 1000
    """Connections that one worker holds."""

    threads: Annotated[int, Field(ge=1, le=64)] = 2
    """Questions that one worker computes at a time."""

    waiting: Annotated[int, Field(ge=1)] = 400
    """Questions that wait in one worker, beyond which it is told to come back later."""

    timeout_s: Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)] = 30.0
    """Time for one answer, and for one request to arrive, seconds."""

    memory_mb: Annotated[int, Field(ge=8)] = 48
    """Memory for opened sessions in each worker, MB; draws are mapped and not counted."""

    @model_validator(mode="after")
    def _consents_named(self) -> ServeSettings:
        """Refuse to demand consents that nobody can find.

        Raises:
            ValueError: no folder of consents is named.
        """
        if self.consent == "required" and self.consents is None:
            raise ValueError("consent: required needs the folder of consents (consents)")
        return self
