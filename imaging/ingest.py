"""First step of a session: conversion of the scanner's files to a wave-field folder, or a helpful error."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from palpate.config.ingest import IngestSettings
from palpate.config.region_choice import split_choice
from palpate.errors import InputError
from palpate.imaging.acquisition import PhaseAcquisition
from palpate.imaging.anatomy.anatomy import AnatomyImage, place_anatomy, read_anatomy_image, write_anatomy
from palpate.imaging.anatomy.noisy_voxels import without_noisy_voxels
from palpate.imaging.anatomy.run_mask import run_mask
from palpate.imaging.checks.distortion import off_resonance
from palpate.imaging.checks.offset_step import OffsetTimes
from palpate.imaging.checks.phase_checks import check_images, check_offsets
from palpate.imaging.checks.stated_twice import settled_by_settings
from palpate.imaging.deidentify.facts import clean_facts
from palpate.imaging.deidentify.identifiers import PATIENT, RECORDED, identifiers_of, patient_pseudonym
from palpate.imaging.deidentify.key import Key
from palpate.imaging.deidentify.key_file import demand_key_apart, open_key
from palpate.imaging.dicom.files import Instance
from palpate.imaging.dicom.persons import person_of
from palpate.imaging.dicom.registry import read_acquisitions
from palpate.imaging.dicom.scanner_maps import scanner_maps, scanner_roles
from palpate.imaging.dicom.sorting import SeriesRow, table_text
from palpate.imaging.exam_record import (
    carry_no_organ,
    exam_facts,
    exam_warnings,
    is_no_organ,
    matrix_facts,
    slices_of,
    write_drawn_region,
    write_region_sidecar,
)
from palpate.imaging.files.displacement_arrays import is_displacement_array, read_displacement_arrays
from palpate.imaging.files.named_within import named_within
from palpate.imaging.files.nifti import Volume, read_nifti, write_nifti
from palpate.imaging.files.wavefield_folder import (
    is_wave_field_folder,
    read_wave_fields,
    write_wave_field,
)
from palpate.imaging.limits.plausible import FEWEST_VOXELS, demand_density, demand_frequency
from palpate.imaging.scanner_files import write_scanner_maps
from palpate.imaging.wave_quality import noise_map_m, write_wave_quality
from palpate.imaging.wave_record import field_record
from palpate.imaging.wavefield import WaveField
from palpate.imaging.waves.acquired_grid import on_chosen_grid
from palpate.imaging.waves.compressional import compressional_part
from palpate.imaging.waves.image_motion import ImageMotion, image_motion, without_motion
from palpate.imaging.waves.reconstruct import quality, reconstruct
from palpate.outputs import claim_folder
from palpate.progress import say
from palpate.provenance import input_digests, versions
from palpate.quality_warning import QualityWarning
from palpate.renamed import record_text

_LABEL = re.compile(r"[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*")


def ingest(
    mre: Path, label: str, out: Path, *, anatomy: Path | None, settings: IngestSettings, mask: Path | None = None
) -> tuple[WaveField, ...]:
    """Turn one session's MRE into a wave-field folder. An interrupted run leaves no partial folder.

    Args:
        mre: DICOM folder or zip; a finished wave-field folder, which is checked and relabelled; or displacement arrays
            (palpate.imaging.files.displacement_arrays).
        label: file-name stem, such as "sub-01_ses-01"; several runs get "_run-1", "_run-2", ... in series order.
        out: folder to write.
        anatomy: T1-weighted DICOM folder or zip, or NIfTI; None where there is none.
        settings: ingest settings of the study.
        mask: region in the MRE's world coordinates, instead of the mask from the magnitude: binary NIfTI, DICOM
            Segmentation or RT Structure Set, with the region chosen in it as `file#name`; only with DICOM.

    Returns:
        The wave fields that were written.

    Raises:
        InputError: the input cannot be used; the message states the reason and the place.
    """
    if not _LABEL.fullmatch(label):
        raise InputError(
            "--label",
            found=repr(label),
            expected="letters and digits joined by - and _",
            advice="Give a label such as sub-01_ses-01.",
        )
    given = {"mre": mre, "anatomy": anatomy, "mask": None if mask is None else split_choice(mask)[0]}
    target = claim_folder(out, "ingest", given | {"key": settings.key})
    inputs = {role: path for role, path in given.items() if path is not None}
    _demand_plausible(settings)
    key: Key | None = None
    with target.writing() as folder:
        if is_wave_field_folder(mre):
            if mask is not None:
                _refuse_mask("a finished wave-field folder", "Put the mask into the folder as its *_mask.nii.gz.")
            fields, records = _from_wave_fields(mre, label, folder, settings)
            images: Sequence[Instance] = ()
            rows: tuple[SeriesRow, ...] = ()
        elif is_displacement_array(mre):
            if mask is not None:
                _refuse_mask("displacement arrays", "Put the mask beside the arrays, as arrays.mask says.")
            fields, records = _from_arrays(mre, label, folder, settings)
            images, rows = (), ()
        else:
            if settings.identifiers == "pseudonymised":
                demand_key_apart(settings.key, out, *inputs.values())
                key = open_key(settings.key, away_from=out)
            fields, records, images, rows = _from_dicom(mre, label, folder, settings, key, mask)
        image = None if anatomy is None else read_anatomy_image(anatomy, images)
        for warning in image.warnings if image else ():
            say(f"warning: {warning}")
        _write_series_table(folder / f"{label}_series.tsv", (*rows, *(image.rows if image else ())))
        common: dict[str, object] = {
            # Where the key lies concerns nobody who gets the results.
            "settings": settings.model_dump(mode="json", exclude={"key"}),
            # Digests need the inputs to exist, which reading them has shown by now.
            "input_digests": input_digests(inputs),
            "versions": versions(),
        }
        placed = {} if image is None else _place(image, label, folder, list(records), settings, key)
        for name, record in records.items():
            _warn(record, image.warnings if image else ())
            record["anatomy"] = placed.get(name)
            text = record_text("ingest", {"label": name, **record, **common}, allow_nan=False)
            (folder / f"{name}_ingest.json").write_text(text, encoding="utf-8")
    return fields


def _refuse_mask(source: str, advice: str) -> None:
    raise InputError("--mask", found=f"a mask for {source}", expected="a mask for DICOM", advice=advice)


def _demand_plausible(settings: IngestSettings) -> None:
    """Refuse numbers of the settings that are in another unit, whether or not headers state them too."""
    for frequency_hz in (settings.frequency_hz, *(settings.arrays.frequencies_hz or ())):
        if frequency_hz is not None:
            demand_frequency("the ingest settings", frequency_hz)
    if settings.density_kg_m3 is not None:
        demand_density("the ingest settings", settings.density_kg_m3, key="density_kg_m3")


def _place(
    image: AnatomyImage, label: str, folder: Path, runs: Sequence[str], settings: IngestSettings, key: Key | None
) -> dict[str, dict[str, object]]:
    """Write the anatomy and where it lies on each run; what the records say of that."""
    write_anatomy(image, label, folder)
    # Regions and registrations name frames of reference; the T1's may be another than the elastogram's. Where both
    # share one, the series tells on which of them a region was drawn.
    stated = {"FrameOfReferenceUID": image.frame_uid, "SeriesInstanceUID": image.series_uid}
    named = {name: uid for name, uid in stated.items() if uid}
    facts: dict[str, object] = {"dicom": named} if named else {}
    facts = clean_facts(facts, None if image.pseudonymised else key)
    if settings.identifiers == "pseudonymised" and key is None and not image.pseudonymised:
        facts = {}
    return {run: place_anatomy(image, run, folder, registration=settings.registration) | facts for run in runs}


def _from_dicom(
    mre: Path, label: str, folder: Path, settings: IngestSettings, key: Key | None, mask: Path | None
) -> tuple[tuple[WaveField, ...], dict[str, dict[str, object]], Sequence[Instance], tuple[SeriesRow, ...]]:
    """Read, reconstruct and write every run of a DICOM export."""
    say("reading DICOM")
    acquisitions, export = read_acquisitions(mre, settings)
    images = export.used(acquisitions)
    for warning in export.warnings:
        say(f"warning: {warning}")
    say(f"read {len(images)} DICOM images, {len(acquisitions)} MRE acquisitions")
    identifiers = identifiers_of(images[0].header, key)
    used_key = key if identifiers.status == "pseudonymised" else None
    runs = sorted({one.run for one in acquisitions})
    fields: list[WaveField] = []
    records: dict[str, dict[str, object]] = {}
    for number, run in enumerate(runs, start=1):
        name = label if len(runs) == 1 else f"{label}_run-{number}"
        of_run = [one for one in acquisitions if one.run == run]
        written, record = _reconstruct_run(of_run, name, folder, settings, mask, (key, person_of(images[0].header)))
        computed = [(one, scanner_maps(export.series, one)) for one in of_run]
        record["scanner_maps"] = write_scanner_maps(folder, name, computed)
        fields += written
        facts = clean_facts(of_run[0].facts, used_key)
        person = {PATIENT: pseudonym} if (pseudonym := patient_pseudonym(images[0].header, used_key)) else {}
        records[name] = {"source": "DICOM", RECORDED: identifiers.as_record(), **person, **facts, **record}
        _warn(records[name], export.warnings)
    roles = {number: role for one in acquisitions for number, role in scanner_roles(export.series, one).items()}
    return tuple(fields), records, images, export.rows(acquisitions, roles)


def _reconstruct_run(
    acquisitions: Sequence[PhaseAcquisition],
    label: str,
    folder: Path,
    settings: IngestSettings,
    drawn: Path | None,
    known: tuple[Key | None, tuple[str, ...]],
) -> tuple[list[WaveField], dict[str, object]]:
    """Reconstruct and write the frequencies of one run, which share a mask; `known` is the key and the patient."""
    for measured in acquisitions:
        check_images(measured)
    acquisitions = [on_chosen_grid(one, settings) for one in acquisitions]
    motions = [image_motion(one) for one in acquisitions]
    if settings.image_motion == "auto":
        acquisitions = [without_motion(one, motion) for one, motion in zip(acquisitions, motions, strict=True)]
    magnitude = np.mean([one.magnitude.mean(axis=(0, 1)) for one in acquisitions], axis=0)
    affine_mm = acquisitions[0].affine_mm
    voxel_mm = np.linalg.norm(affine_mm[:3, :3], axis=0)
    chosen = run_mask(acquisitions, magnitude, label, settings, drawn, *known)
    bright, origin = chosen.mask, chosen.origin
    _demand_tissue(bright if chosen.drawn is None else chosen.drawn, label, chosen.setting)
    made = [reconstruct(one, bright, settings) for one in acquisitions]
    # Whoever draws several pieces, or leaves a slice out, means all of them.
    mask = without_noisy_voxels(made, bright, settings, fewest=None if chosen.drawn is None else FEWEST_VOXELS)
    asked = mask if chosen.drawn is None else mask & chosen.drawn
    _demand_tissue(asked, label, "max_noise_rad", drawn=chosen.drawn is not None)
    fields, qualities = [], []
    for one, motion in zip(made, motions, strict=True):
        times, warnings = check_offsets(one, mask)
        field, facts = _settled_field(one.wave_field(mask, label, settings.density_kg_m3), settings)
        slices, moved = slices_of(one.acquisition.name, field, magnitude)
        warnings = (*exam_warnings(one.acquisition, origin), *chosen.warnings, *warnings, *moved)
        own = {
            **quality(one, field),
            **facts,
            **exam_facts(one, field, slices),
            **_motion_facts(motion, settings),
            **_offset_facts(times),
        }
        distortion = off_resonance(one.acquisition)
        own["off_resonance"] = distortion
        _say_geometry(label, motion, distortion)
        write_wave_field(folder, field, sidecar=matrix_facts(one.acquisition))
        figures = field_record(field, settings, encoding_axes=one.acquisition.encoding_axes, warnings=warnings)
        write_wave_quality(folder, field, noise_map_m(one, field.mask), one)
        fields.append(field)
        qualities.append({**figures, **own})
    write_nifti(folder / f"{label}_magnitude.nii.gz", magnitude.astype(np.float32), affine_mm)
    if origin["source"] == "waves":
        write_region_sidecar(folder, label, origin)
    if chosen.drawn is not None:
        write_drawn_region(folder, label, chosen.drawn, affine_mm)
    voxel_ml = float(np.prod(voxel_mm)) / 1e3
    record: dict[str, object] = {
        "mask": {
            **origin,
            "voxels": int(mask.sum()),
            "volume_ml": float(mask.sum() * voxel_ml),
            "left_out_as_noisy": int((bright & ~mask).sum()),
        },
        "frequencies": qualities,
    }
    return fields, record


def _settled_field(field: WaveField, settings: IngestSettings) -> tuple[WaveField, dict[str, object]]:
    """Return the field without its compressional part, where settings want it so, and what the record says of that."""
    if settings.compressional == "keep":
        return field, {"compressional": "kept"}
    if field.directions is not None:
        raise InputError(
            field.label,
            found=f"displacement along {len(field.directions)} of three directions, and compressional: remove",
            expected="all three components, whose divergence can be removed",
            advice="Set compressional to keep in the ingest settings.",
        )
    part = compressional_part(field.displacement_m, field.mask, field.affine_mm)
    share = float(np.linalg.norm(part) / max(np.linalg.norm(field.displacement_m[field.mask]), 1e-300))
    removed = replace(field, displacement_m=np.asarray(field.displacement_m - part))
    return removed, {"compressional": "removed", "compressional_share": share}


def _motion_facts(motion: ImageMotion, settings: IngestSettings) -> dict[str, object]:
    """Return what the record says of the head's motion between images."""
    return {
        "image_motion": {
            "largest_mm": motion.largest_mm,
            "largest_across_slices_mm": motion.largest_across_mm,
            "images_moved": int(motion.moved.sum()),
            "put_back": settings.image_motion == "auto" and bool(motion.moved.any()),
        }
    }


def _say_geometry(label: str, motion: ImageMotion, distortion: dict[str, object]) -> None:
    """Say in millimetres how far images may lie off what they show."""
    across = motion.largest_across_mm
    shown = "unknown across them" if across is None else f"about {across:.2g} mm across them"
    say(f"{label}: motion between images up to {motion.largest_mm:.2g} mm within slices, {shown}")
    if distortion["mm_per_100_hz"] is not None:
        kind = "echo-planar distortion" if distortion["echo_planar"] else "distortion"
        say(
            f"{label}: {kind} about {distortion['mm_per_100_hz']:.2g} mm along image axis {distortion['axis']} for "
            "100 Hz of off-resonance; nothing is undone"
        )


def _offset_facts(times: OffsetTimes | None) -> dict[str, object]:
    """Return what the record says of the offsets' times; nothing where three offsets cannot show them."""
    if times is None:
        return {}
    facts = {"unexplained_by_one_period": times.unexplained, "best_other": times.words, "residual_ratio": times.ratio}
    return {"offset_times": facts}


def _demand_tissue(mask: NDArray[np.bool_], label: str, setting: str | None, *, drawn: bool = False) -> None:
    """Raise InputError where a mask is too small; the setting that widens it is None before any voxel was left out."""
    count = int(mask.sum())
    if count >= FEWEST_VOXELS:
        return
    told = f"{count} {'voxel' if count == 1 else 'voxels'}"
    if setting is None:
        raise InputError(
            "--mask",
            found=f"a mask of {told} on the elastogram's grid",
            expected=f"at least {FEWEST_VOXELS}",
            advice="Draw a larger region.",
        )
    of_region = "of the drawn region" if drawn else "of tissue"
    look = "Look at the region on the magnitude, for it may lie in air" if drawn else "Check the images"
    raise InputError(
        label,
        found=f"{told} {of_region} with a usable phase",
        expected=f"at least {FEWEST_VOXELS}",
        advice=f"{look}, or change {setting} in the ingest settings.",
    )


def _from_wave_fields(
    source: Path, label: str, folder: Path, settings: IngestSettings
) -> tuple[tuple[WaveField, ...], dict[str, dict[str, object]]]:
    """Check a finished wave-field folder and write it under a new label, its noise kept."""
    fields = read_wave_fields(source)
    if settings.time_step_sign == "negative":
        say(
            "warning: time_step_sign does not concern a wave-field folder, which follows exp(+i omega t): left as it is"
        )
    noise_maps = [field.noise_map_m for field in fields]
    old_labels = sorted({field.label for field in fields})
    names = {
        old: label if len(old_labels) == 1 else f"{label}_run-{number}"
        for number, old in enumerate(old_labels, start=1)
    }
    settled = settled_by_settings(fields, settings, "wave-field folder")
    renamed = tuple(replace(field, label=names[field.label]) for field in settled)
    magnitudes = {new: _magnitude(source, old) for old, new in names.items()}
    records = _write_finished(renamed, noise_maps, folder, "wave-field folder", settings, magnitudes)
    for old, new in names.items():
        if is_no_organ(source, old):
            carry_no_organ(folder, new, records[new])
        volume = magnitudes[new]
        if volume is not None:
            # Read and written, not copied: the header of another laboratory's file may hold a description.
            write_nifti(folder / f"{new}_magnitude.nii.gz", volume.values.astype(np.float32), volume.affine_mm)
    say(f"checked {len(fields)} wave fields")
    return renamed, records


def _magnitude(source: Path, label: str) -> Volume | None:
    """Return the magnitude beside a finished wave field; None where there is none."""
    path = source / f"{label}_magnitude.nii.gz"
    if not path.exists():
        return None
    with named_within(source):
        return read_nifti(path)


def _from_arrays(
    source: Path, label: str, folder: Path, settings: IngestSettings
) -> tuple[tuple[WaveField, ...], dict[str, dict[str, object]]]:
    """Turn another laboratory's arrays into wave fields; their noise is unknown."""
    fields = settled_by_settings(read_displacement_arrays(source, label, settings), settings, "set of arrays")
    say(f"read {len(fields)} arrays of displacement")
    return fields, _write_finished(fields, [None] * len(fields), folder, "displacement arrays", settings)


def _write_finished(
    fields: Sequence[WaveField],
    noise_maps: Sequence[NDArray[np.float64] | None],
    folder: Path,
    source: str,
    settings: IngestSettings,
    magnitudes: Mapping[str, Volume | None] | None = None,
) -> dict[str, dict[str, object]]:
    """Write wave fields that nobody had to reconstruct; the record of each label."""
    records: dict[str, dict[str, object]] = {}
    for field, noise_m in zip(fields, noise_maps, strict=True):
        write_wave_field(folder, field)
        write_wave_quality(folder, field, noise_m)
        record = records.setdefault(
            field.label, {"source": source, "dicom": None, "mask": {"voxels": int(field.mask.sum())}}
        )
        frequencies = record.setdefault("frequencies", [])
        assert isinstance(frequencies, list)
        grey = (magnitudes or {}).get(field.label)
        slices, moved = slices_of(field.label, field, None if grey is None else grey.values)
        of_slices = {} if slices is None else {"slices": slices}
        frequencies.append(field_record(field, settings, warnings=moved) | of_slices)
    return records


def _warn(record: dict[str, object], warnings: Sequence[QualityWarning]) -> None:
    """Add warnings to a record's own."""
    known = record.setdefault("warnings", [])
    assert isinstance(known, list)
    known += [one.as_record() for one in warnings]


def _write_series_table(path: Path, rows: Sequence[SeriesRow]) -> None:
    """Write and say which series were taken, for what, and why others were not; nothing where no DICOM came in."""
    if not rows:
        return
    for row in rows:
        number = f"series {row.number}: " if row.number else ""
        say(f"{number}{row.role}, {row.images} images ({row.reason})")
    path.write_text(table_text(rows), encoding="utf-8")
