"""Check of outputs by receipts, not by times; a run keeps the choices and programs that it was started with.

Snakemake would compare times of files, and records of its own that lie in the working directory and name absolute paths.
profiles/default switches the records off. Times are brought in line with the receipts: what a user gave is `ancient`; an
output that is up to date is given a time after those of the steps before it, where copying has changed their order; an
output that is out of date gets one more input, which is newer: a mark with the reason for its name. What is compared is in
palpate.receipt.
"""

import json
import os
import time
from collections import namedtuple
from dataclasses import astuple, replace
from hashlib import sha256
from importlib import import_module
from uuid import uuid4

from snakemake.iocontainers import Wildcards

from palpate.cluster.failures import told_of_failures
from palpate.cluster.slurm_site import demand_job_states, site_configuration
from palpate.content_digest import digest
from palpate.outputs import demand_replaceable
from palpate.program import Program
from palpate.receipt import Order, UpToDate
from palpate.run_lock import lock_results

# Steps whose output folder no later step reads.
FINAL = {"maps", "derived", "overlay", "forecast_dicom"}
MARKS = Path(".snakemake", "out-of-date")
THIS_START = uuid4().hex
STARTED_WITH = "PALPATE_STARTED_WITH"
Step = namedtuple(
    "Step",
    "command output sources settings words beside",
    defaults=[None, lambda wildcards: [], ()],
)
STEPS = {
    "ingest": Step("ingest", WAVEFIELD, scan_and_anatomy, settings.ingest, chosen_region),
    "mesh": Step("mesh", MESH, wave_field, settings.mesh),
    "invert": Step("invert", MRE, inversion_sources, settings.inversion),
    "maps": Step("maps", DICOM, maps_sources, settings.maps, beside=(DICOM_RECORD,)),
    "derived": Step("maps", DERIVED, posterior, settings.derived),
    "overlay": Step("overlay", ANAT, stiffness),
    "report": Step("report", REPORT, report_sources, settings.report, beside=(REPORT_RECORD,)),
    "regions": Step("regions", REGIONS, regions_sources, settings.regions, regions_words, beside=(REGIONS_RECORD,)),
    "group_regions": Step("regions", GROUP, group_sources, beside=(GROUP_RECORD,)),
    "tumour": Step("tumour", HISTORY, tumour_sources, settings.tumour, tumour_words, beside=(HISTORY_RECORD,)),
    "calibrate": Step("calibrate", CALIBRATION, history, settings.twin),
    "tetrahedra": Step("mesh", TISSUE, first_labels, settings.mesh),
    "forecast": Step("forecast", FORECAST, forecast_sources, settings.forecast),
    "forecast_dicom": Step("maps", TWIN_DICOM, forecast_dicom_sources, settings.maps, beside=(TWIN_DICOM_RECORD,)),
    "outlook": Step("outlook", OUTLOOK, outlook_sources, settings.report, first_date),
}
KINDS = {
    Path(REPORT).name: ("service.report.page", "PAGE"),
    Path(REPORT_RECORD).name: ("service.exam.record", "EXAM_RECORD"),
    Path(DICOM_RECORD).name: ("imaging.dicom_out.export_record", "DICOM_RECORD"),
    Path(REGIONS).name: ("imaging.region_values.table", "TABLE"),
    Path(REGIONS_RECORD).name: ("imaging.region_values.table", "RECORD"),
    Path(GROUP).name: ("imaging.region_values.table", "TABLE"),
    Path(GROUP_RECORD).name: ("imaging.region_values.table", "RECORD"),
    Path(OUTLOOK).name: ("service.forecast_report.page", "PAGE"),
    Path(HISTORY).name: ("imaging.tumour.history_file", "HISTORY"),
    Path(HISTORY_RECORD).name: ("imaging.tumour.record", "HISTORY_RECORD"),
}
up_to_date = UpToDate()


def digest_of(*parts):
    """Return a short digest of values that JSON can hold."""
    return sha256(json.dumps(parts).encode()).hexdigest()[:12]


def choices():
    """Return digests of the configuration, and of the table of sessions as it was read."""
    rows = [[str(cell) for cell in astuple(session)] for session in study]
    return {"configuration": digest_of(settings.model_dump_json()), "table of sessions": digest_of(rows)}


def started_with():
    """Return the start of this run: its choices, the text of its table, and the program of each command.

    A job on a cluster reads the configuration and the table again, maybe hours later, in a process of its own.
    """
    if workflow.is_main_process:
        program = Program()
        commands = {step.command for step in STEPS.values()}
        programs = {one: [program.source_digest(one), program.library_digest(one)] for one in sorted(commands)}
        now = {"choices": choices(), "table": digest(settings.sessions), "programs": programs}
        os.environ[STARTED_WITH] = json.dumps(now)
    if STARTED_WITH not in os.environ:
        raise InputError(
            STARTED_WITH,
            found="no such variable",
            expected="what the workflow was started with",
            advice="Let the executor hand on its environment (Slurm: --export=ALL).",
        )
    before = json.loads(os.environ[STARTED_WITH])
    for what, content in choices().items():
        if before["choices"][what] != content:
            raise InputError(
                f"the {what}",
                found="other choices than at the start of the workflow",
                expected="the same until the workflow has ended",
                advice="Start the workflow again; what is finished and unchanged is kept.",
            )
    return before


frozen = checked(started_with)


# Executors that start jobs elsewhere hand this variable on.
envvars:
    STARTED_WITH,


def listed(paths):
    """Return the paths of one input as a list: it may be one, several or none."""
    return [Path(path) for path in (paths if isinstance(paths, list) else [paths]) if path]


def made_by_steps():
    """Return every output that the study can ask for, with the step that makes it and the step's wildcards."""
    of_session = [{"subject": subject, "session": session} for subject, session in sessions]
    of_twin = [{"subject": subject} for subject in twins]
    jobs = []
    for name, step in STEPS.items():
        once = [{}] if "{subject}" not in step.output else of_twin
        jobs += [(name, Wildcards(fromdict=one)) for one in (of_session if "{session}" in step.output else once)]
    return {Path(STEPS[name].output.format(**one)): (name, one) for name, one in jobs}


jobs_by_output = made_by_steps()


orders, in_order = {}, set()


def order_of(name, wildcards):
    """Return the order that a step would get now; each is made once, though every later step of a session asks for it."""
    of = (name, *wildcards)
    if of not in orders:
        orders[of] = new_order(name, wildcards)
    return orders[of]


def new_order(name, wildcards):
    """Return the order that a step would get now."""
    step = STEPS[name]
    inputs = {role: tuple(given) for role, paths in step.sources(wildcards).items() if (given := listed(paths))}
    makers = {
        role: order_of(maker, of)
        for role, paths in inputs.items()
        for maker, of in [jobs_by_output[path] for path in paths if path in jobs_by_output]
    }
    program, libraries = frozen["programs"][step.command]
    chosen = step.settings.model_dump_json() if step.settings else ""
    made_by = {
        "program": program,
        "libraries": libraries,
        "settings": digest_of(chosen, step.words(wildcards)),
        "rule": digest_of(workflow.get_rule(name).shellcmd),
    }
    table = {settings.sessions: frozen["table"]} if name == "tumour" else {}
    output, *beside = [Path(path.format(**wildcards)) for path in (step.output, *step.beside)]
    return Order(step.command, output, inputs, made_by, table, makers, tuple(beside), final=name in FINAL)


def clock_of(path):
    """Return the file whose time Snakemake takes for that of an output."""
    stamp = path / ".snakemake_timestamp"
    return stamp if stamp.exists() else path


def mark(reason, output):
    """Make a file that is newer than an output; its name is the reason why the output is made again.

    Each start writes another text: Snakemake keeps checksums of the inputs of small size that a job had, and a newer file
    of the same text is no reason for it. A step would not run a second time for the same reason.
    """
    path = MARKS / reason
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(THIS_START)
    newest = max(time.time(), *(one.stat().st_mtime + 0.001 for one in (clock_of(output), path)))
    os.utime(path, times=(newest, newest))
    return str(path)


def keep_order(name, wildcards):
    """Give an output that is up to date, and files beside it, a time after those of its makers' outputs.

    Returns:
        Whether that worked.
    """
    of = (name, *wildcards)
    if of in in_order:
        return True
    order = order_of(name, wildcards)
    for maker in order.makers.values():
        keep_order(*jobs_by_output[maker.output])
    newest = max(
        (clock_of(one.output).stat().st_mtime for one in order.makers.values() if one.output.exists()), default=0
    )
    try:
        for path in [one for one in (order.output, *order.beside) if one.exists()]:
            if clock_of(path).stat().st_mtime < newest:
                clock = path / ".snakemake_timestamp" if path.is_dir() else path
                clock.touch()
                os.utime(clock, times=(newest, newest))
    except OSError:
        return False
    in_order.add(of)
    return True


def keep_going_in_jobs():
    """Let steps that share a job run although another one of them failed.

    The workflow that submits jobs hands its --keep-going to nobody, and settings are there once the steps are planned.
    """
    if not workflow.is_main_process and workflow.execution_settings is not None:
        workflow.execution_settings.keep_going = True


def inputs_of(name):
    """Return the inputs of a rule by their roles."""

    def inputs(wildcards):
        keep_going_in_jobs()
        order = order_of(name, wildcards)
        given = {role: [str(path) for path in paths] for role, paths in order.inputs.items()}
        reason = up_to_date.change(order) if workflow.is_main_process else None
        ordered = reason is None and workflow.is_main_process and keep_order(name, wildcards)
        timeless = given.keys() - (order.makers.keys() if reason or ordered else set())
        given |= {role: ancient(given[role]) for role in timeless}
        return given | ({"out_of_date": mark(reason, order.output)} if reason else {})

    return inputs


def receipt_of(name):
    """Return the order that a rule hands to its command, which leaves a receipt when it has succeeded."""

    def order(wildcards, resources, threads):
        return replace(order_of(name, wildcards), requested=reserved(resources, threads)).to_json()

    return order


def reserved(resources, threads):
    """Return what is reserved for a job, by Snakemake's names; a record of what the job used repeats it."""
    said = {name: resources.get(name) for name in ("mem_mb", "mem_mb_per_cpu", "runtime", "tasks")}
    return {name: value for name, value in {**said, "threads": threads}.items() if isinstance(value, (int, float))}


def lock():
    """Keep other workflows off the results."""
    if told := lock_results(settings.results):
        print(f"palpate: {told}", file=sys.stderr)


def keep_strangers():
    """Refuse to start where a step that will run would delete files that palpate did not write, or that were edited.

    Snakemake itself removes the output of a step before the step can look at it.
    """
    for job in workflow.dag.needrun_jobs():
        if job.rule.name in STEPS:
            for output in map(Path, job.output):
                kind = kind_of(output.name) if output.is_file() else None
                demand_replaceable(output, STEPS[job.rule.name].command, kind)


def kind_of(name):
    """Return the kind of a single file that a step writes; the module that knows it is slow to import."""
    place, constant = KINDS[name]
    return getattr(import_module(f"palpate.{place}"), constant)


STOPPED = "the workflow was stopped before everything was made. Start it again to go on; what is finished is kept."


def tell_of_failures(log):
    """Say in a sentence each how jobs of a cluster ended; Snakemake says that they failed."""
    if workflow.executor_plugin.name != "slurm":
        return
    printed = "".join(path.read_text(encoding="utf-8", errors="replace") for path in map(Path, log))
    for told in told_of_failures(printed) or (STOPPED,):
        print(f"palpate: {told}", file=sys.stderr)


def demand_states():
    """Refuse to start where Slurm would not tell how jobs ended."""
    if workflow.executor_plugin is not None and workflow.executor_plugin.name == "slurm":
        demand_job_states(workflow.executor_settings.status_command, site_configuration())


onstart:
    checked(demand_states)
    checked(lock)
    checked(keep_strangers)


onerror:
    tell_of_failures(log)
