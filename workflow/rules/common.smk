"""What all stages share: the checked configuration, the sessions, and the shell each step runs in."""

import shlex
import sys
from pathlib import Path

from palpate.config.settings import load_settings
from palpate.config.study import read_study
from palpate.errors import InputError
from palpate.provenance import source_digest

CHECKOUT = Path(workflow.current_basedir).resolve().parents[1]


configfile: CHECKOUT / "config.yaml"


def checked(read, *arguments):
    """What `read` returns; bad input ends the workflow with one sentence instead of a traceback."""
    try:
        return read(*arguments)
    except InputError as error:
        print(f"palpate: {error}", file=sys.stderr)
        sys.exit(2)


settings = checked(load_settings, config)
RESULTS = str(settings.results)
SESSION = f"{RESULTS}/sub-{{subject}}/ses-{{session}}"
LOGS = f"{RESULTS}/logs/sub-{{subject}}_ses-{{session}}"
sessions = {
    (session.subject, session.session): session
    for session in checked(read_study, settings.sessions)
    if session.mre is not None
}


wildcard_constraints:
    subject="[0-9A-Za-z]+",
    session="[0-9A-Za-z]+",


# The steps run with the programs beside this Python, whether or not its environment was activated.
shell.prefix(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")


def session_of(wildcards):
    """The session that the wildcards name."""
    return sessions[wildcards.subject, wildcards.session]


def session_results():
    """Every file the study asks for: a page a session, DICOM maps where DICOM came in, maps on the anatomy if any."""
    pages = [f"{RESULTS}/{session.folder}/report.html" for session in sessions.values()]
    maps = [f"{RESULTS}/{session.folder}/dicom" for session in sessions.values() if session.brings_dicom]
    on_anatomy = [f"{RESULTS}/{session.folder}/anat" for session in sessions.values() if session.anatomy]
    return pages + maps + on_anatomy


def dicom_maps(wildcards):
    """The session's DICOM maps, where there are any; the page links to them."""
    return [f"{SESSION}/dicom".format(**wildcards)] if session_of(wildcards).brings_dicom else []
