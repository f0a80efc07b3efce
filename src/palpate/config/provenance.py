"""Settings of the signed record that each result carries."""

from __future__ import annotations

from pathlib import Path

from palpate.config.section import Section
from palpate.run_crate.names import OPERATOR, SIGNING_KEY


class ProvenanceSettings(Section):
    """Settings of the record of provenance."""

    signing_key: Path | None = None
    """File with the key that signs results, mode 0600, outside the results; made where it does not exist. None takes
    your own, ~/.config/palpate/signing-key."""

    operator: str | None = None
    """Name of whoever answers for the computation, as the record states it. None states nobody."""


def signing_variables(settings: ProvenanceSettings) -> dict[str, str]:
    """Return the environment variables by which a study's steps learn these settings.

    Args:
        settings: settings of the study.
    """
    key, operator = settings.signing_key, settings.operator
    found = {} if key is None else {SIGNING_KEY: str(key.expanduser().absolute())}
    return found | ({} if operator is None else {OPERATOR: operator})
