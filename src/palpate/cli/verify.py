"""`palpate verify`: results against known truth, and whether the service's trail and consents hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

verify = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Compare results with a known truth (errors, coverage); check provenance, audit trails and consents.",
)


@verify.command()
def maps(
    results: Annotated[Path, typer.Argument(help="Folder of stiffness maps in kPa, or the session that holds it.")],
    truth: Annotated[Path, typer.Option(help="Folder with truth_{storagemodulus,lossmodulus}.nii.gz in kPa.")],
    out: Annotated[
        Path | None, typer.Option(help="JSON file for the scores; default: scores.json in the results folder.")
    ] = None,
    margin_voxels: Annotated[
        int, typer.Option(min=0, help="Leave out voxels closer than this to the edge of the grid, voxels.")
    ] = 0,
) -> None:
    """Score one patient's stiffness maps, inside the informed mask: errors, coverage, width of the intervals.

    A table goes to the terminal, everything to the JSON file. Errors are relative to the truth; the direct inversion
    is scored over the same voxels.
    """
    from palpate.outputs import claim_file
    from palpate.progress import say
    from palpate.service.verify import SCORES, score_table, verify_folder, write_scores

    path = out if out is not None else results / "scores.json"
    claim_file(path, SCORES, {"results": results, "truth": truth})
    scores = verify_folder(results, truth, margin_voxels=margin_voxels)
    write_scores(path, scores)
    print(score_table(scores))
    say(f"scores in {path}")


@verify.command()
def forecast(
    results: Annotated[Path, typer.Argument(help="Folder of palpate forecast.")],
    truth: Annotated[Path, typer.Option(help="truth.json of the in-silico patient (palpate phantom --longitudinal).")],
    out: Annotated[
        Path | None, typer.Option(help="JSON file for the scores; default: scores.json in the results folder.")
    ] = None,
) -> None:
    """Compare a forecast with the truth: volumes and burden (mL), displacements (mm), and which intervals hold it."""
    from palpate.outputs import claim_file
    from palpate.progress import say
    from palpate.service.forecast_score import SCORES, score_forecast, table_of, write_scores

    path = out if out is not None else results / "scores.json"
    claim_file(path, SCORES, {"results": results, "truth": truth})
    scores = score_forecast(results, truth)
    write_scores(path, scores)
    print(table_of(scores))
    say(f"scores in {path}")


@verify.command()
def calibration(
    results: Annotated[Path, typer.Argument(help="Results folder of a study of in-silico patients.")],
    sessions: Annotated[
        Path, typer.Option(help="The study's sessions.tsv, with the column truth (palpate phantom --patients).")
    ],
    out: Annotated[Path | None, typer.Option(help="HTML page; figures go beside it as JSON.")] = None,
) -> None:
    """Rank the truth among the posterior's draws over a cohort: coverage by voxel, by region and by tissue.

    A table goes to the terminal, plots to the page, everything to the JSON file. Where the posterior is calibrated,
    ranks are uniform and a 95 % interval holds the truth in 95 % of cases.
    """
    from palpate.config.study import read_study
    from palpate.progress import say
    from palpate.service.calibration import calibrate_cohort
    from palpate.service.calibration_page import calibration_table, claim_calibration, write_calibration

    page = out if out is not None else results / "calibration.html"
    claim_calibration(page, {"results": results, "sessions": sessions})
    found = calibrate_cohort(results, read_study(sessions))
    write_calibration(page, found)
    print(calibration_table(found))
    say(f"page {page}, figures {page.with_suffix('.json')}")


@verify.command()
def heldout(
    results: Annotated[Path, typer.Argument(help="Results folder of a study, with sub-*/twin/history.h5.")],
    participants: Annotated[
        Path | None, typer.Option(help="participants.tsv with age (years), sex and scanner; default: no such groups.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="heldout.json of other subjects: say whether these differ from them; default: do not."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="JSON file for the scores; default: heldout.json in the results folder.")
    ] = None,
    settings: Annotated[str | None, typer.Option(help="The twin settings: JSON, or a YAML or JSON file.")] = None,
) -> None:
    """Test the twin on your own patients: hide each subject's last scan, forecast it, and score what it shows (mL).

    A table goes to the terminal, everything to the JSON file: coverage with Wilson's interval, expected calibration
    error, and CRPS beside the forecast that nothing changes, overall and by age, sex, scanner and size. Each subject
    costs one calibration; its scores stay in sub-*/twin/heldout.json, so that a stopped run goes on.
    """
    from palpate.config.participants import read_participants
    from palpate.config.section import parse_settings
    from palpate.config.twin import TwinSettings
    from palpate.outputs import claim_file
    from palpate.progress import say

    chosen = parse_settings(TwinSettings, settings)
    facts = {} if participants is None else read_participants(participants)
    from palpate.twin.trust.heldout_shift import read_reference, shift_between
    from palpate.twin.trust.heldout_study import HELDOUT, heldout_study, heldout_table, heldout_text

    path = out if out is not None else results / "heldout.json"
    inputs = {"results": results, "participants": participants, "reference": reference}
    target = claim_file(path, HELDOUT, inputs)
    tried = () if reference is None else read_reference(reference)
    found = heldout_study(results, chosen, facts)
    shift = shift_between(tried, found.subjects) if tried else None
    with target.writing() as partial:
        partial.write_text(heldout_text(found, chosen, shift), encoding="utf-8")
    print(heldout_table(found.groups))
    if shift is not None:
        print(shift.sentence())
    elif tried:
        say("too few subjects to compare with the reference: at least 10 in each are needed")
    for subject, reason in found.left_out.items():
        say(f"sub-{subject} was left out: {reason}")
    say(f"scores in {target.path}")


@verify.command()
def credibility(
    results: Annotated[
        Path | None,
        typer.Argument(help="Results folder of a study, whose own records are added; default: the program alone."),
    ] = None,
    out: Annotated[Path, typer.Option(help="HTML page; the report goes beside it as JSON.")] = Path("credibility.html"),
    context: Annotated[
        str | None,
        typer.Option(
            help="Question, use, influence and consequence (low, medium or high): JSON, or a YAML or JSON file; "
            "default: research."
        ),
    ] = None,
    records: Annotated[
        Path | None, typer.Option(help="Folder of benchmark records; default: those that came with this palpate.")
    ] = None,
) -> None:
    """Write a credibility report in the shape of V&V 40, goals missed first, from records; nothing is measured for it.

    Question and context of use, model risk, verification, validation beside published figures, uncertainty and its
    calibration, sensitivity, applicability domain (mm, mL, days) and known limits. A benchmark without a record is
    listed as not measured. With RESULTS the study's innovations, dates, shifts and warnings are added.
    """
    from palpate.config.credibility import CredibilitySettings
    from palpate.config.section import parse_settings
    from palpate.progress import say
    from palpate.service.credibility.page import claim_credibility, credibility_text, write_credibility
    from palpate.service.credibility.report import credibility as report

    chosen = parse_settings(CredibilitySettings, context)
    claim_credibility(out, {"results": results, "records": records})
    found = report(chosen, records, results)
    write_credibility(out, found)
    print(credibility_text(found))
    say(f"page {out}, report {out.with_suffix('.json')}")


@verify.command()
def audit(
    folder: Annotated[Path, typer.Argument(help="Folder of the audit trails of palpate serve.")],
    heads: Annotated[
        Path | None, typer.Option(help="Folder of their heads; default: audit-heads beside the folder.")
    ] = None,
    overrides: Annotated[
        Path | None, typer.Option(help="Folder of overrides, each of which a line must name; default: not looked at.")
    ] = None,
) -> None:
    """Check the audit trails of palpate serve: no line was changed, taken out or cut off.

    Each line holds the digest of the line before it, and the head of each trail, kept elsewhere, that of the last one.
    A line for each trail goes to the terminal. With --overrides, each override must be as its line in the trail has it.
    Exit code 2 where one does not hold.
    """
    from palpate.errors import InputError
    from palpate.service.serve.audit_check import check_trails

    found = check_trails(folder, heads or folder.parent / "audit-heads")
    for one in found:
        told = "; ".join((*one.faults, *one.notes)) or "whole"
        print(f"{one.name}: {one.lines} lines, {told}")
    broken = [one for one in found if one.faults]
    if broken:
        raise InputError(
            folder,
            found=f"{len(broken)} of {len(found)} audit trails that do not hold",
            expected="whole trails",
            advice="Keep the folder as it is, and find out who could write it.",
        )
    if overrides is not None:
        _verify_overrides(overrides, folder)


def _verify_overrides(overrides: Path, folder: Path) -> None:
    """Print whether the overrides hold, and refuse them where they do not."""
    from palpate.errors import InputError
    from palpate.service.serve.override_check import check_overrides

    state = check_overrides(overrides, folder)
    print(f"{state.number} overrides: {'; '.join(state.faults) or 'whole'}")
    for note in state.notes:
        print(f"  {note}")
    if state.faults:
        raise InputError(
            overrides,
            found=f"{len(state.faults)} overrides that are not as the audit trail has them",
            expected="each as it was kept",
            advice="Keep the folder as it is, and find out who could write it.",
        )


@verify.command()
def consent(
    results: Annotated[Path, typer.Argument(help="Folder of results, with sub-*.")],
    consents: Annotated[Path, typer.Option(help="Folder of FHIR R4 Consent resources, one JSON file each.")],
    audit: Annotated[
        Path | None, typer.Option(help="Folder of the audit trails, for answers that left; default: none.")
    ] = None,
) -> None:
    """List, for each subject, the purposes that are permitted now, and what was derived where one was withdrawn.

    Outputs of steps are listed by folder, answers of palpate serve by day and person. Nothing is deleted.
    """
    from palpate.service.serve.consent import PURPOSES, ConsentFolder, withdrawn
    from palpate.service.serve.derived import derived_of
    from palpate.service.serve.results import ServedResults

    served, found = ServedResults.of(results), ConsentFolder(consents)
    for subject in sorted({*served.subjects(), *found.subjects()}):
        told = [f"{one} {'yes' if found.permits(subject, one) else 'no'}" for one in PURPOSES]
        print(f"sub-{subject}: {', '.join(told)}")
    gone = withdrawn(found)
    for subject in sorted({subject for subject, _, _ in gone}):
        purposes = ", ".join(purpose for one, purpose, _ in gone if one == subject)
        print(f"sub-{subject}: no longer permitted: {purposes}; derived so far:")
        for thing in derived_of(served.root, subject, audit):
            print(f"  {thing.what}: {thing.where} ({thing.count})")


@verify.command()
def provenance(
    results: Annotated[Path, typer.Argument(help="Folder of a result, or a folder around results, such as a study's.")],
    key: Annotated[
        list[Path] | None,
        typer.Option(help="Public key that you trust (PEM); repeat for each. Default: the key of this machine."),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="<role>=<path>",
            help="Place of an input that does not lie beside its result, or a value that the record withholds; "
            "repeat for each.",
        ),
    ] = None,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Run each step again into a temporary folder, and compare the results.")
    ] = False,
) -> None:
    """Check the signed record of results: signature, each file, and the results that they were made from.

    A line for each part says whole, changed, missing, not recorded, not trusted or not found. Exit code 1 where a
    result is not what its record says, with one sentence; 2 where nothing can be checked. An input that is not found
    is no fault. With --rerun results must be equal bit for bit on the same machine, libraries and ranks, and to 1e-4
    of the largest magnitude elsewhere.
    """
    from palpate.service.provenance.report import parse_places, provenance_findings, results_below
    from palpate.service.provenance.rerun import Rerun

    named = parse_places(given or ())
    found = results_below(results)
    faults = count = 0
    places = {role: Path(place) for role, place in named.items()}
    for one in provenance_findings(found, key or (), places):
        print(one.line())
        faults, count = faults + one.state.is_fault, count + 1
    if rerun and not faults:  # a record that does not hold says nothing of how to run it again
        for folder, name in found:
            for one in Rerun(folder, name, named).findings():
                print(one.line())
                faults, count = faults + one.state.is_fault, count + 1
    if faults:
        print(f"{faults} of {count} parts are not what the record says.")
        raise typer.Exit(1)
    print(f"All {count} parts that were found are what the record says.")
