"""Comparison of two sessions of one person: table, record and map of the change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from palpate.content_digest import digest
from palpate.imaging.changes.between_scans import TERMS, Kind, Organ
from palpate.imaging.changes.common_errors import (
    FIBRES_IN_COMMON,
    common_fibre_percent,
    common_fibre_variances,
)
from palpate.imaging.changes.demands import (
    demand_one_organ,
    demand_one_person,
    organ_of,
    pair_warnings,
    same_frequencies,
)
from palpate.imaging.changes.labelled import read_labels
from palpate.imaging.changes.maps import write_change_maps
from palpate.imaging.changes.places import Places, motion_of
from palpate.imaging.changes.regional import region_changes
from palpate.imaging.changes.session import ComparedSession, read_session
from palpate.imaging.changes.table import RECORD, TABLE, ComparedPair, record_json, table_text
from palpate.imaging.changes.way import assumed_places, places_of
from palpate.outputs import claim_file, claim_folder, writing_together
from palpate.progress import say
from palpate.provenance import versions
from palpate.quality_warning import QualityWarning

type SessionPair = tuple[ComparedSession, ComparedSession]

_MAP_KINDS: Final[Mapping[Organ, Kind]] = {"brain": "brain region", "liver": "liver", "other": "other organ"}
"""Kind of region whose variation between scans a voxel has."""


@dataclass(frozen=True, slots=True)
class SessionComparison:
    """Changes between two sessions of one person.

    Attributes:
        pairs: changes at each frequency that both sessions have.
        record: content of the record beside the table.
        physiology: whether the variation between scans of unchanged tissue is in the intervals.
    """

    pairs: tuple[ComparedPair, ...]
    record: Mapping[str, Any]
    physiology: bool

    @property
    def table(self) -> str:
        """Table of changes as text."""
        return table_text(self.pairs, physiology=self.physiology)


def compare_sessions(
    session_a: Path,
    session_b: Path,
    labels: Path,
    out: Path,
    *,
    names: Path | None = None,
    maps: Path | None = None,
    organ: Organ | None = None,
    physiology: bool = True,
) -> tuple[ComparedPair, ...]:
    """Compare two sessions of one person by labelled regions, and write the table, its record and maps.

    Args:
        session_a: folder of the earlier session, with `mre/` and `wavefield/`.
        session_b: folder of the later one.
        labels: labels in the world of an elastogram or T1 of one session, NIfTI.
        out: table to write; its record is written beside it as JSON.
        names: table with the columns index and name; None for labels.tsv beside the labels, or numbers.
        maps: folder for the map of the change on A's voxels; None for no map.
        organ: organ of both; None for what the records state.
        physiology: whether the variation between scans of unchanged tissue is in the intervals.

    Returns:
        The changes at each frequency that both sessions have.

    Raises:
        InputError: the sessions cannot be compared, or an input cannot be used.
    """
    read = {"session A": session_a, "session B": session_b, "labels": labels, "names": names}
    files = claim_file(out, TABLE, read), claim_file(out.with_suffix(".json"), RECORD, read)
    folder = None if maps is None else claim_folder(maps, "change", read)
    pairs = _pairs(session_a, session_b)
    with ExitStack() as stack:
        partial = None if folder is None else stack.enter_context(folder.writing())
        found = _comparison(pairs, labels, names, organ, partial, physiology=physiology)
        with writing_together(*files) as (table_path, record_path):
            table_path.write_text(found.table, encoding="utf-8")
            record_path.write_text(record_json(found.record), encoding="utf-8")
    return found.pairs


def compared_sessions(
    session_a: Path, session_b: Path, labels: Path, *, organ: Organ | None = None, physiology: bool = True
) -> SessionComparison:
    """Compare two sessions of one person by labelled regions, and write nothing.

    Args:
        session_a: folder of the earlier session, with `mre/` and `wavefield/`.
        session_b: folder of the later one.
        labels: labels in the world of an elastogram or T1 of one session, NIfTI.
        organ: organ of both; None for what the records state.
        physiology: whether the variation between scans of unchanged tissue is in the intervals.

    Raises:
        InputError: the sessions cannot be compared, or an input cannot be used.
    """
    return _comparison(_pairs(session_a, session_b), labels, None, organ, None, physiology=physiology)


def _comparison(
    pairs: Sequence[SessionPair],
    labels: Path,
    names: Path | None,
    organ: Organ | None,
    folder: Path | None,
    *,
    physiology: bool,
) -> SessionComparison:
    found = tuple(_compared(pair, labels, names, organ, folder, physiology=physiology) for pair in pairs)
    record = _record(found, {"labels": labels, "names": names}, physiology=physiology)
    return SessionComparison(found, record, physiology)


def _pairs(session_a: Path, session_b: Path) -> list[SessionPair]:
    """Return the pairs of posteriors to compare, all of one person, organ and frequency."""
    first, second = read_session(session_a), read_session(session_b)
    demand_one_person(first[0], second[0])
    demand_one_organ(first[0], second[0])
    return same_frequencies(first, second)


def _compared(
    pair: SessionPair, labels: Path, names: Path | None, organ: Organ | None, folder: Path | None, *, physiology: bool
) -> ComparedPair:
    """Compare one pair, say what was found, and write its maps."""
    first, second = pair
    chosen = organ_of(first, second, organ)
    drawn = read_labels(labels, names, first, second)
    places, of_way = places_of(first, second)
    changes, left_out = region_changes(pair, places, drawn, chosen, physiology=physiology)
    about = pair_warnings(first, second, organ_named=organ is not None, physiology=physiology)
    warnings = (*about, *of_way, *assumed_places(places, drawn.world), *drawn.warnings, *left_out)
    for one in warnings:
        say(f"warning: {one}")
    facts = _facts(pair, places, chosen, warnings) | {"labels_in": drawn.world}
    if folder is not None:
        between = float(np.sqrt(np.mean(TERMS[_MAP_KINDS[chosen]].log_stds ** 2))) if physiology else 0.0
        common = common_fibre_variances(common_fibre_percent(first, second))
        covered = write_change_maps(folder, first, second, places, between_std=between, common_fibres=common)
        facts |= {"map_voxels": covered}
        say(f"{first.run.stem}: map of the change in {covered} voxels")
    return ComparedPair(first, second, tuple(changes), facts)


def _facts(pair: SessionPair, places: Places, organ: Organ, warnings: Sequence[QualityWarning]) -> dict[str, Any]:
    """Return the entry of one pair in the record."""
    first, second = pair
    way = places.way("elastogram B", "elastogram A")
    assert way is not None  # places_of refuses sessions without one
    motion, covariance = motion_of(way, second.centre_mm)
    points_mm = second.draws.voxels @ second.run.affine_mm[:3, :3].T + second.run.affine_mm[:3, 3]
    uncertainty_mm = motion.spread_mm(covariance, points_mm)
    words = "; ".join(edge.words for edge, _ in way)
    say(f"{second.run.stem} to {first.run.stem}: {words}, known to {uncertainty_mm:.2g} mm")
    return {
        "runs": [first.run.stem, second.run.stem],
        "frequency_hz": first.run.frequency_hz,
        "organ": organ,
        "way": [edge.words for edge, _ in way],
        "matrix_mm": motion.matrix_mm.tolist(),
        "uncertainty_mm": uncertainty_mm,
        "common_errors": {
            "density": all(one.draws.density_kg_m3 is not None for one in pair),
            "fibres_percent": common_fibre_percent(first, second),
            "fibres_common_share": FIBRES_IN_COMMON,
        },
        "warnings": [one.as_record() for one in warnings],
    }


def _record(found: Sequence[ComparedPair], inputs: dict[str, Path | None], *, physiology: bool) -> dict[str, Any]:
    """Return the record of the comparison."""
    terms = {one.term.kind: one.term for pair in found for one in pair.changes}
    return {
        "changes": [dict(one.facts) for one in found],
        "between_scans": {
            "physiology": "on" if physiology else "off",
            "terms": [
                {
                    "kind": one.kind,
                    "cv_percent": list(one.cv_percent),
                    "repeatability_percent": one.repeatability_percent,
                    "source": one.source,
                }
                for one in terms.values()
            ],
        },
        "edge_std": {
            f"{one.name}, {one.quantity.key}": round(one.edge_std, 6) for pair in found for one in pair.changes
        },
        "input_digests": {name: digest(path) for name, path in inputs.items() if path is not None},
        "versions": versions(),
    }
