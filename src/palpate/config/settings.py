"""Whole configuration of a study: paths of its table and results, and one section for each step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from palpate.config.derived import DerivedSettings
from palpate.config.forecast import ForecastSettings
from palpate.config.ingest import IngestSettings
from palpate.config.inversion import InversionSettings
from palpate.config.maps import MapsSettings
from palpate.config.mesh import MeshSettings
from palpate.config.phantom import PhantomSettings
from palpate.config.provenance import ProvenanceSettings
from palpate.config.regions import RegionsSettings
from palpate.config.report import ReportSettings
from palpate.config.section import Section, parse_object
from palpate.config.setting_errors import settings_error
from palpate.config.text_file import read_text_file
from palpate.config.tumour import TumourSettings
from palpate.config.twin import TwinSettings


class Settings(Section):
    """Scientific choices of a study. Cores, memory and launchers belong to the workflow profile."""

    sessions: Path
    """The table of sessions (sessions.tsv); relative to the working directory."""

    results: Path
    """The folder for everything that is computed; relative to the working directory."""

    forms: Path | None = None
    """Folder of weak forms compiled ahead (`palpate check --compile`), for machines without a C compiler; relative to
    the working directory. None takes PALPATE_FORMS where that is set. The environment's own folder is always read."""

    phantom: PhantomSettings = PhantomSettings()
    """The in-silico patient."""

    ingest: IngestSettings = IngestSettings()
    """Import from DICOM to the wave field."""

    mesh: MeshSettings = MeshSettings()
    """Zones and elements in the wave field's mask."""

    inversion: InversionSettings = InversionSettings()
    """Inversion from the wave field to the stiffness posterior."""

    maps: MapsSettings = MapsSettings()
    """Export of stiffness maps to DICOM."""

    derived: DerivedSettings = DerivedSettings()
    """Maps of quantities that follow from storage and loss modulus."""

    report: ReportSettings = ReportSettings()
    """The page of a session."""

    regions: RegionsSettings = RegionsSettings()
    """Tables of regions."""

    tumour: TumourSettings = TumourSettings()
    """History of a tumour from its images and treatments."""

    twin: TwinSettings = TwinSettings()
    """Calibration of the twin to the history."""

    forecast: ForecastSettings = ForecastSettings()
    """Forecast by the twin."""

    provenance: ProvenanceSettings = ProvenanceSettings()
    """Signed record of how each result was made."""


def load_settings(config: Mapping[str, object], where: str = "config") -> Settings:
    """Check a configuration that is already parsed.

    Args:
        config: keys and values, as YAML gives them.
        where: name of the configuration in an error.

    Raises:
        InputError: a key is unknown or missing, or a value is not allowed.
    """
    try:
        return Settings.model_validate(dict(config))
    except ValidationError as error:
        raise settings_error(where, error, Settings) from error


def read_settings(path: Path) -> Settings:
    """Read and check a configuration file.

    Args:
        path: YAML, such as config.yaml.

    Raises:
        InputError: the file cannot be read, is not YAML, or holds an unknown key or a value that is not allowed.
    """
    text = read_text_file(path, expected="a configuration", advice="Start from what `palpate config show` prints.")
    content = parse_object(text, str(path))
    return load_settings(content, str(path))
