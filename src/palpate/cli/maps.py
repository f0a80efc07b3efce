"""`palpate maps`: stiffness and forecasts as DICOM, and maps of derived quantities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from palpate.config.maps import MapsSettings
    from palpate.imaging.files.draws import DrawsFile
    from palpate.imaging.files.stiffness_folder import StiffnessMaps


def maps(
    mre: Annotated[
        Path, typer.Argument(help="Folder of stiffness maps in kPa, as palpate invert writes it, or of a forecast.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the DICOM files, or with --derived or --mesh for theirs.")],
    wavefield: Annotated[
        Path | None,
        typer.Option(help="Folder of palpate ingest, which names the source study; needed for DICOM of stiffness."),
    ] = None,
    derived: Annotated[
        bool, typer.Option("--derived", help="Write maps of derived quantities (NIfTI) instead of DICOM maps.")
    ] = False,
    mesh: Annotated[
        Path | None,
        typer.Option(help="Folder of palpate mesh with tetrahedra: write stiffness on them instead of DICOM maps."),
    ] = None,
    scan: Annotated[
        Path | None,
        typer.Option(help="DICOM folder or zip that palpate ingest read; its patient and study are read again."),
    ] = None,
    anatomy: Annotated[
        Path | None,
        typer.Option(help="The T1 as DICOM folder or zip: the planning image, whose grid and study objects take."),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option(help="Kinds to write: mr, rtstruct, seg, sr, registration, pm; repeat or join by commas."),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Key file that palpate ingest used; default: your own key.")] = None,
    settings: Annotated[
        str | None,
        typer.Option(help="The maps settings, or those of --derived or --mesh: JSON, or a YAML or JSON file."),
    ] = None,
) -> None:
    """Write stiffness as DICOM for archives, planning and navigation, or with --derived other quantities as NIfTI.

    On the grid of the T1, where it came as DICOM (--anatomy): an MR series each for mean, standard deviation and 95 %
    bounds of G' (stored value in pascal, 16 bits), and of |G*| where an organ is reported; structure set and
    segmentation of regions, and a report of their figures; float Parametric Maps (kPa); a registration where frames of
    reference differ. On the elastogram's grid: Parametric Maps, and without a T1 all kinds for exams of an organ or
    where --kinds names them. A record beside the folder says what could not be written and why.

    Patient, study and frame of reference are those of --scan and --anatomy, which must be those of the record. So an
    archive files everything in the original study. Only this folder holds them. --settings '{"identity": "pseudonym"}'
    replaces all of them for maps that are handed on; no scan is needed then. A forecast's folder with --anatomy, the
    T1 of the tumour's first scan, gives the same kinds for density, probabilities (0..1) and displacement (mm).

    palpate maps stiffness --derived --out derived writes mean, standard deviation and 95 % bounds of quantities that
    follow from G' and G'', computed in every joint draw: |G*| (kPa), loss tangent (ratio) and wave speed (m/s). Phase
    angle (rad), attenuation (Np/m), damping ratio (ratio) and the mu of nonlinear inversion (shear_stiffness, kPa) are
    written on request, with --settings '{"quantities": ["magnitude", "attenuation"]}'.

    palpate maps stiffness --mesh tetrahedra --out on-mesh writes G' and G'' (kPa) on the tetrahedra of palpate mesh,
    for programs that simulate tissue: mean, standard deviation and joint draws as XDMF with HDF5 and as VTU. Points are
    in millimetres (R A S); outside the map values are NaN. --settings '{"draws": 20}' writes 20 draws, and
    '{"space": "elastogram"}' says that the mesh lies in the elastogram's world and not in the T1's.
    """
    of_dicom: dict[str, object] = {
        "--wavefield": wavefield,
        "--scan": scan,
        "--anatomy": anatomy,
        "--key": key,
        "--kinds": kinds or None,
    }
    if mesh is not None:
        _on_mesh(mre, mesh, out, settings, {"--derived": derived or None, **of_dicom})
        return
    if derived:
        _derived(mre, out, settings, of_dicom)
        return
    chosen = _chosen(settings, kinds or ())
    from palpate.errors import InputError
    from palpate.progress import say

    if (mre / "forecast.json").is_file():
        from palpate.twin.products.forecast_dicom import write_forecast_dicom

        unused = {"--wavefield": wavefield, "--scan": scan}
        given = [name for name, path in unused.items() if path is not None]
        if given:
            raise InputError(
                "a forecast",
                found=f"{' and '.join(given)} beside it",
                expected="--anatomy alone, the T1 of the tumour's first scan",
                advice=f"Leave out {' and '.join(given)}: a forecast lies in the world of that T1.",
            )
        written = write_forecast_dicom(mre, out, settings=chosen, anatomy=anatomy, key=key)
    else:
        if wavefield is None:
            raise InputError(
                "--wavefield",
                found="none",
                expected="the folder of palpate ingest, which names the study that DICOM maps join",
                advice="Give it, or ask with --derived for maps of derived quantities, which need none.",
            )
        from palpate.imaging.dicom_out.dicom_maps import write_dicom_maps

        written = write_dicom_maps(mre, wavefield, out, settings=chosen, scan=scan, key=key, anatomy=anatomy)
    say(f"{len(written)} DICOM series and objects in {out}" if written else f"no DICOM: a note in {out} says why")


def _on_mesh(mre: Path, mesh: Path, out: Path, settings: str | None, others: Mapping[str, object]) -> None:
    """Write stiffness on tetrahedra; options of other maps are refused, since they would have no effect."""
    from palpate.config.mesh_maps import MeshMapsSettings
    from palpate.config.section import parse_settings

    chosen = parse_settings(MeshMapsSettings, settings)
    _refuse_beside("--mesh", others)
    from palpate.imaging.findings.find import findings
    from palpate.meshing.maps_out.mesh_maps import write_mesh_maps
    from palpate.progress import say

    def regions(run: StiffnessMaps, draws: DrawsFile) -> list[tuple[str, NDArray[np.bool_]]]:
        return [(one.name, one.mask) for one in findings(run, draws)]

    say(f"{len(write_mesh_maps(mre, mesh, out, chosen, regions))} files of stiffness on tetrahedra in {out}")


def _chosen(settings: str | None, kinds: Sequence[str]) -> MapsSettings:
    """Return the settings, with the kinds that the command line names in place of theirs."""
    from palpate.config.maps import KINDS, MapsSettings
    from palpate.config.section import parse_settings
    from palpate.errors import InputError

    chosen = parse_settings(MapsSettings, settings)
    named = [kind.strip().lower() for text in kinds for kind in text.split(",") if kind.strip()]
    unknown = [kind for kind in named if kind not in KINDS]
    if unknown:
        raise InputError(
            "--kinds", found=repr(unknown[0]), expected=f"some of {', '.join(KINDS)}", advice="Check the spelling."
        )
    return chosen.model_copy(update={"kinds": tuple(dict.fromkeys(named))}) if named else chosen


def _derived(mre: Path, out: Path, settings: str | None, of_dicom: Mapping[str, object]) -> None:
    """Write maps of derived quantities; options of DICOM maps are refused, since they would have no effect."""
    from palpate.config.derived import DerivedSettings
    from palpate.config.section import parse_settings

    chosen = parse_settings(DerivedSettings, settings)
    _refuse_beside("--derived", of_dicom)
    from palpate.imaging.derived.maps import write_derived_maps
    from palpate.progress import say

    say(f"{len(write_derived_maps(mre, out, chosen))} maps of derived quantities in {out}")


def _refuse_beside(option: str, others: Mapping[str, object]) -> None:
    """Refuse options that have no effect beside another."""
    from palpate.errors import InputError

    given = [name for name, value in others.items() if value is not None]
    if given:
        raise InputError(
            option,
            found=f"{' and '.join(given)} beside it",
            expected=f"the folder of stiffness maps and {option} alone",
            advice=f"Leave out {' and '.join(given)}: it has no effect on these maps.",
        )
