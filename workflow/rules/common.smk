"""Common parts of all stages: the checked configuration, the sessions, and the shell each step runs in."""

import atexit
import gc
import shlex
import sys
from pathlib import Path
from tempfile import TemporaryFile

from palpate.config.provenance import signing_variables
from palpate.config.region_choice import names_beside
from palpate.config.settings import load_settings
from palpate.config.study import ONE_SCAN, growth_scans, participants_file, read_study, stream_files
from palpate.errors import InputError
from palpate.form_folders import VARIABLE as FORMS_VARIABLE
from palpate.machine_failures import on_this_machine

# Python searches all objects for cycles now and then, and thrice before it ends. Those of Snakemake's imports stay until
# the end, when the system frees them at once: a second of each start, of which a job on a cluster takes two.
gc.freeze()
atexit.register(gc.freeze)

CHECKOUT = Path(workflow.current_basedir).resolve().parents[1]


configfile: CHECKOUT / "config.yaml"


def checked(read, *arguments):
    """Return the result of `read`; bad input ends the workflow with one sentence instead of a traceback."""
    try:
        return read(*arguments)
    except InputError as error:
        print(f"palpate: {error}", file=sys.stderr)
        sys.exit(2)


def demand_workplace():
    """Refuse a working directory in which Snakemake cannot keep its records, in a sentence instead of Snakemake's words."""
    records = Path(".snakemake").absolute()
    with on_this_machine(records):
        records.mkdir(exist_ok=True)
        with TemporaryFile(dir=records) as probe:
            probe.write(bytes(1 << 16))


if workflow.is_main_process:
    checked(demand_workplace)
settings = checked(load_settings, config)
RESULTS = str(settings.results)
SESSION = f"{RESULTS}/sub-{{subject}}/ses-{{session}}"
WAVEFIELD, MESH, MRE = f"{SESSION}/wavefield", f"{SESSION}/mesh", f"{SESSION}/mre"
DICOM, ANAT, REPORT = f"{SESSION}/dicom", f"{SESSION}/anat", f"{SESSION}/report.html"
REPORT_RECORD, DERIVED = f"{SESSION}/report.json", f"{SESSION}/derived"
DICOM_RECORD = f"{DICOM}.json"
REGIONS, REGIONS_RECORD = f"{SESSION}/regions.tsv", f"{SESSION}/regions.json"
GROUP, GROUP_RECORD = f"{RESULTS}/group_regions.tsv", f"{RESULTS}/group_regions.json"
LOGS = f"{RESULTS}/logs/sub-{{subject}}_ses-{{session}}"
KEY = ["--key", str(settings.ingest.key)] if settings.ingest.key else []
TWIN = f"{RESULTS}/sub-{{subject}}/twin"
HISTORY_RECORD = f"{TWIN}/history.json"
HISTORY, CALIBRATION, TISSUE = f"{TWIN}/history.h5", f"{TWIN}/calibration", f"{TWIN}/mesh"
FORECAST, OUTLOOK = f"{TWIN}/forecast", f"{TWIN}/outlook.html"
TWIN_DICOM, TWIN_DICOM_RECORD = f"{TWIN}/dicom", f"{TWIN}/dicom.json"
TWIN_LOGS = f"{RESULTS}/logs/sub-{{subject}}"
study = checked(read_study, settings.sessions)
sessions = {(session.subject, session.session): session for session in study if session.mre is not None}
with_regions = [session for session in sessions.values() if session.labels or session.mask]
dated = {subject: scans for subject in {one.subject for one in study} if (scans := growth_scans(study, subject))}
twins = sorted(dated)
for subject in (subject for subject in twins if len(dated[subject]) == 1):
    print(f"palpate: sub-{subject}: {ONE_SCAN}", file=sys.stderr)
on_t1 = {subject for subject in twins if dated[subject][0].anatomy_is_dicom}
for subject in sorted(set(twins) - on_t1):
    told = "the T1 of the first scan is no DICOM, so that the forecast is not written as DICOM: it has no study to join"
    print(f"palpate: sub-{subject}: {told}", file=sys.stderr)
meshed = {subject for subject in twins if settings.forecast.on_mesh and dated[subject][0].labels is not None}
if settings.forecast.on_mesh:
    for subject in sorted(set(twins) - meshed):
        told = "no labels in the row of the first scan with tumour maps, so that its forecast is not written on a mesh"
        print(f"palpate: sub-{subject}: {told}", file=sys.stderr)


wildcard_constraints:
    subject="[0-9A-Za-z]+",
    session="[0-9A-Za-z]+",


# The steps run with the programs beside this Python, whether or not its environment was activated, and find the forms
# that were compiled ahead where the configuration says. Each attempt at a step has a log of its own.
ATTEMPTS = CHECKOUT / "workflow" / "scripts" / "attempts.sh"
prefix = f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; . {shlex.quote(str(ATTEMPTS))}; "
if settings.forms:
    prefix += f"export {FORMS_VARIABLE}={shlex.quote(str(settings.forms.expanduser().absolute()))}; "
for variable, value in signing_variables(settings.provenance).items():
    prefix += f"export {variable}={shlex.quote(value)}; "
shell.prefix(prefix)


def session_of(wildcards):
    """Return the session that the wildcards name."""
    return sessions[wildcards.subject, wildcards.session]


def session_results():
    """Return every output of the study.

    Each session has a page with its record and derived maps, DICOM maps where DICOM came in, maps on the anatomy if it
    has one, and a table of regions if it has labels or a mask. Each tumour has a page, and its forecast as DICOM where
    the T1 of its first scan is DICOM.
    """
    pages = [
        f"{RESULTS}/{session.folder}/report.{ending}" for session in sessions.values() for ending in ("html", "json")
    ]
    of_dicom = [one for one in sessions.values() if one.brings_dicom or one.anatomy_is_dicom]
    maps = [f"{RESULTS}/{session.folder}/dicom" for session in of_dicom]
    on_anatomy = [f"{RESULTS}/{session.folder}/anat" for session in sessions.values() if session.anatomy]
    wanted = sessions.values() if settings.derived.quantities else ()
    derived = [f"{RESULTS}/{session.folder}/derived" for session in wanted]
    regions = [
        *(f"{RESULTS}/{session.folder}/regions.tsv" for session in with_regions),
        *([GROUP] if with_regions else []),
    ]
    of_twins = [OUTLOOK.format(subject=subject) for subject in twins]
    of_twins += [TWIN_DICOM.format(subject=subject) for subject in sorted(on_t1)]
    return pages + derived + maps + on_anatomy + regions + of_twins


def scan_and_anatomy(wildcards):
    """Return the elastography, the anatomy and the region of a session as the table names them."""
    session = session_of(wildcards)
    return {"mre": session.mre, "anatomy": session.anatomy, "mask": session.mask}


def chosen_region(wildcards):
    """Return which region of a session's mask was chosen, where the file holds several."""
    region = session_of(wildcards).mask_region
    return [region] if region else []


def mask_option(wildcards, input):
    """Return the option that names a session's region, where it has one."""
    return ["--mask", "#".join([str(input.mask), *chosen_region(wildcards)])] if input.get("mask") else []


def wave_field(wildcards):
    """Return the wave field of a session."""
    return {"wavefield": WAVEFIELD.format(**wildcards)}


def inversion_sources(wildcards):
    """Return the inputs of a session's inversion: wave field, mesh and labels."""
    mesh = MESH.format(**wildcards)
    return wave_field(wildcards) | {"mesh": mesh, "labels": session_of(wildcards).labels}


def stiffness(wildcards):
    """Return a session's stiffness and the wave field that it came from."""
    return {"mre": MRE.format(**wildcards)} | wave_field(wildcards)


def posterior(wildcards):
    """Return a session's stiffness with its draws."""
    return {"mre": MRE.format(**wildcards)}


def maps_sources(wildcards):
    """Return the inputs of DICOM maps, with the session's own DICOM where maps carry the scan's patient and study.

    The T1 is always one: without its file nothing is known of the slices that maps lie on.
    """
    session = session_of(wildcards)
    needed = session.brings_dicom and settings.maps.identity == "scan"
    return stiffness(wildcards) | {"scan": session.mre if needed else None, "anatomy": session.anatomy}


def forecast_dicom_sources(wildcards):
    """Return the inputs of a forecast's DICOM: the forecast, and the T1 of the first scan, in whose world it lies."""
    return {"forecast": FORECAST.format(**wildcards), "anatomy": dated[wildcards.subject][0].anatomy}


def report_sources(wildcards):
    """Return the inputs of a session's page, with its table of regions where the workflow writes one."""
    session = session_of(wildcards)
    regions = REGIONS.format(**wildcards) if session in with_regions else None
    return stiffness(wildcards) | {"truth": session.truth, "regions": regions}


def regions_sources(wildcards):
    """Return the inputs of a session's table of regions: its posterior, and its labels with their names, or its mask."""
    session = session_of(wildcards)
    if session.labels is None:
        return stiffness(wildcards) | {"mask": session.mask}
    return stiffness(wildcards) | {"labels": session.labels, "names": names_beside(session.labels)}


def regions_words(wildcards):
    """Return the world in which a session's regions lie, and which region of its mask was chosen."""
    session = session_of(wildcards)
    if session.labels is None:
        return ["elastogram", *chosen_region(wildcards)]
    return ["t1" if session.anatomy else "auto"]


def regions_options(wildcards, input):
    """Return the options that name a session's regions."""
    space, *region = regions_words(wildcards)
    labels = str(input.labels) if input.get("labels") else "#".join([str(input.mask), *region])
    names = ["--names", str(input.names)] if input.get("names") else []
    return ["--labels", labels, *names, "--space", space]


def group_sources(wildcards):
    """Return the tables of regions of all sessions."""
    return {
        f"sub_{one.subject}_ses_{one.session}": REGIONS.format(subject=one.subject, session=one.session)
        for one in with_regions
    }


def inverted_session(subject):
    """Return the first session of a subject with elastography and maps of the tumour; None where there is none."""
    return next((one for one in dated[subject] if one.mre is not None), None)


def files_of_treatments(tables):
    """Yield existing files that tables of treatments name, such as doses and registrations; palpate tumour refuses missing ones."""
    for table in tables:
        lines = table.read_text(encoding="utf-8-sig", errors="replace").splitlines() or [""]
        heads = [name.strip() for name in lines[0].split("\t")]
        columns = [at for at, name in enumerate(heads) if name.endswith("_file") or name == "registration"]
        for cells in (line.split("\t") for line in lines[1:]):
            named = [table.parent / cells[at].strip().partition("#")[0] for at in columns if at < len(cells)]
            yield from (path for path in named if path != table.parent and path.exists())


def tumour_sources(wildcards):
    """Return every file and folder that a tumour's history is read from."""
    scans = dated[wildcards.subject]
    roles = {role: [getattr(one, role) for one in scans] for role in ("growth", "anatomy", "labels", "treatment")}
    inverted = inverted_session(wildcards.subject)
    measured = {"mre": f"{RESULTS}/{inverted.folder}/mre"} if inverted else {}
    given = {role: list(dict.fromkeys(filter(None, paths))) for role, paths in roles.items()}
    named = {"named_by_treatments": list(dict.fromkeys(files_of_treatments(given["treatment"])))}
    named |= {"streams": [str(path) for path in stream_files(Path(settings.sessions))]}
    named |= {"participants": [str(path) for path in participants_file(Path(settings.sessions))]}
    return given | named | measured


def tumour_words(wildcards):
    """Return the table's facts of a tumour's scans beside their paths: dates, and which files belong to which scan."""
    scans = dated[wildcards.subject]
    inverted = inverted_session(wildcards.subject)
    rows = [
        [
            one.session,
            str(one.date),
            [role for role in ("growth", "anatomy", "labels", "treatment") if getattr(one, role)],
        ]
        for one in scans
    ]
    twin = settings.twin
    head = [twin.mechanics, twin.displacement_box_mm, twin.voxel_mm]
    return [rows, list(twin.drugs), inverted.session if inverted else None, head]


def stiffness_options(wildcards, input):
    """Return options that name the stiffness of the tumour's surroundings, if it was measured."""
    inverted = inverted_session(wildcards.subject)
    return ["--stiffness", str(input.mre), "--stiffness-session", inverted.session] if inverted else []


def first_labels(wildcards):
    """Return the labels of a tumour's first scan, whose coordinates the forecast has, and their names."""
    labels = dated[wildcards.subject][0].labels
    return {"labels": labels, "names": labels.parent / "labels.tsv"}


def history(wildcards):
    """Return a tumour's history."""
    return {"history": HISTORY.format(**wildcards)}


def forecast_sources(wildcards):
    """Return the calibrated twin, and the mesh that its forecast is written on, if the study asks for one."""
    mesh = TISSUE.format(**wildcards) if wildcards.subject in meshed else None
    return {"calibration": CALIBRATION.format(**wildcards), "mesh": mesh}


def outlook_sources(wildcards):
    """Return the inputs of a tumour's page, with the T1 of the first scan, in whose world the forecast lies."""
    folders = {"calibration": CALIBRATION.format(**wildcards), "forecast": FORECAST.format(**wildcards)}
    return folders | {"anatomy": dated[wildcards.subject][0].anatomy}


def first_date(wildcards):
    """Return the date of a tumour's first scan, if the page may state dates."""
    date = dated[wildcards.subject][0].date
    return str(date) if date and settings.report.dates else ""


def date_option(wildcards):
    """Return the option that names the date of a tumour's first scan, if the page may state it."""
    date = first_date(wildcards)
    return ["--first-scan", date] if date else []


def option(name, role):
    """Return a parameter of a rule: an option with the input of that role, where there is one."""
    return lambda wildcards, input: [name, str(input[role])] if input.get(role) else []
