"""Graph of a crate in JSON-LD, by the Process Run Crate profile 0.5 on RO-Crate 1.1."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from palpate.run_crate.command import GivenParameter
from palpate.run_crate.names import CRATE
from palpate.run_crate.surroundings import Surroundings

CONTEXT: Final = ("https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context")
"""Contexts in which the names of the graph are defined."""
_CRATE_VERSION: Final = "https://w3id.org/ro/crate/1.1"
_PROFILE: Final = "https://w3id.org/ro/wfrun/process/0.5"
RUN: Final = "#run"
"""Identifier of the action that made the folder."""
SETTINGS: Final = "#settings"
"""Identifier of the settings, JSON text."""
KEY: Final = "#signing-key"
"""Identifier of the public key."""
CONTENT: Final = "#content"
"""Identifier of the digest of the whole folder, by which results that were made from it name it."""
_PROGRAM: Final = "#palpate"
_OPERATOR: Final = "#operator"
_LICENSE: Final = "#license"
_TYPES: Final = {
    ".json": "application/json",
    ".tsv": "text/tab-separated-values",
    ".h5": "application/x-hdf5",
    ".xdmf": "application/xml",
    ".html": "text/html",
    ".txt": "text/plain",
    ".dcm": "application/dicom",
    ".gz": "application/gzip",
}

type Entity = dict[str, Any]


@dataclass(frozen=True, slots=True)
class InputFact:
    """Input of a run.

    Attributes:
        role: its role, such as "wavefield".
        content: digest of its content, SHA-256 of a file or of a folder's relative names and contents.
        is_folder: whether it is a folder.
        option: option that names it; empty for an argument; None where another input names it.
        crate: digest of the crate in it; None where it has none.
    """

    role: str
    content: str
    is_folder: bool
    option: str | None
    crate: str | None = None


@dataclass(frozen=True, slots=True)
class OutputFact:
    """File of a result.

    Attributes:
        name: path inside the folder.
        content: SHA-256 of its bytes.
        size: its size, bytes.
    """

    name: str
    content: str
    size: int


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Facts of a run that its crate states.

    Attributes:
        command: name of the command.
        ended: end of the run, UTC, ISO 8601.
        content: digest of the folder's content.
        outputs: files of the folder.
        inputs: files and folders that were read.
        parameters: parameters that are no files; withheld ones without values.
        settings: settings as JSON values; None where the command read none.
        around: surroundings of the run.
        operator: name of whoever answers for it; None where nobody is named.
        public_key: public key that belongs to the signature, base64; None where it is not signed.
    """

    command: str
    ended: str
    content: str
    outputs: Sequence[OutputFact]
    inputs: Sequence[InputFact]
    parameters: Sequence[GivenParameter]
    settings: Mapping[str, Any] | None
    around: Surroundings
    operator: str | None = None
    public_key: str | None = field(default=None)


def crate_text(facts: RunFacts) -> str:
    """Return the text of ro-crate-metadata.json.

    Args:
        facts: facts of the run.
    """
    files = [_file(one) for one in facts.outputs]
    objects = [*_inputs(facts), *_parameters(facts)]
    around = _surroundings(facts.around)
    program = _program(facts.around)
    others = [*program, *_key(facts), *_operator(facts), _content(facts), _license(), _profile()]
    named = [one for one in objects if not one["@id"].startswith("#crate-of-")]
    graph = [
        _descriptor(),
        _root(facts, files),
        _run(facts, files, named, around),
        *files,
        *objects,
        *around,
        *others,
    ]
    return json.dumps({"@context": list(CONTEXT), "@graph": graph}, indent=1, ensure_ascii=False) + "\n"


def _refs(entities: Sequence[Entity]) -> list[dict[str, str]] | dict[str, str]:
    """Return references to entities; a single one stands without a list, as RO-Crate 1.1 recommends."""
    found = [{"@id": str(one["@id"])} for one in entities]
    return found[0] if len(found) == 1 else found


def _descriptor() -> Entity:
    return {
        "@id": CRATE,
        "@type": "CreativeWork",
        "conformsTo": {"@id": _CRATE_VERSION},
        "about": {"@id": "./"},
    }


def _root(facts: RunFacts, files: Sequence[Entity]) -> Entity:
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Output of palpate {facts.command}",
        "description": "Research result with its provenance. Not a medical device.",
        "datePublished": facts.ended,
        "license": {"@id": _LICENSE},
        "conformsTo": {"@id": _PROFILE},
        "identifier": {"@id": CONTENT},
        "hasPart": _refs(files),
        "mentions": {"@id": RUN},
    }


def _run(facts: RunFacts, files: Sequence[Entity], objects: Sequence[Entity], around: Sequence[Entity]) -> Entity:
    run: Entity = {
        "@id": RUN,
        "@type": "CreateAction",
        "name": f"palpate {facts.command}",
        "description": "One step, started on the command line. Paths are not recorded; settings and options are.",
        "instrument": {"@id": _PROGRAM},
        "object": _refs(objects),
        "result": _refs(files) or {"@id": "./"},
        "endTime": facts.ended,
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "additionalProperty": _refs(around),
    }
    return run | ({"agent": {"@id": _OPERATOR}} if facts.operator else {})


def _file(one: OutputFact) -> Entity:
    found: Entity = {
        "@id": quote(one.name),
        "@type": "File",
        "name": one.name,
        "contentSize": str(one.size),
        "sha256": one.content,
    }
    kind = _TYPES.get("." + one.name.rpartition(".")[2])
    return found | ({"encodingFormat": kind} if kind else {})


def _inputs(facts: RunFacts) -> list[Entity]:
    found: list[Entity] = []
    for one in facts.inputs:
        label = quote(one.role.replace(" ", "-"))
        entity: Entity = {
            "@id": f"#input-{label}",
            "@type": "CreativeWork",
            "name": one.role,
            "description": "folder" if one.is_folder else "file",
            "sha256": one.content,
        }
        if one.option is not None:
            entity["alternateName"] = one.option
        if one.crate is not None:
            entity["subjectOf"] = {"@id": f"#crate-of-{label}"}
            found.append(
                {
                    "@id": f"#crate-of-{label}",
                    "@type": "CreativeWork",
                    "name": f"{CRATE} of {one.role}",
                    "sha256": one.crate,
                }
            )
        found.append(entity)
    return found


def _parameters(facts: RunFacts) -> list[Entity]:
    found: list[Entity] = []
    for one in facts.parameters:
        entity: Entity = {
            "@id": f"#parameter-{one.name}",
            "@type": "PropertyValue",
            "name": one.name,
            "alternateName": one.option,
        }
        found.append(entity | ({"description": "withheld"} if one.withheld else {"value": _value(one.texts)}))
    if facts.settings is not None:
        text = json.dumps(facts.settings, sort_keys=True)
        found.append({"@id": SETTINGS, "@type": "PropertyValue", "name": "settings", "value": text})
    return found


def _value(texts: Sequence[str]) -> str | list[str]:
    """Return the values of a parameter; a single one stands without a list."""
    return texts[0] if len(texts) == 1 else list(texts)


def _surroundings(around: Surroundings) -> list[Entity]:
    plain = [("environment", name, value) for name, value in around.environment.items()]
    bounds = [("tolerance", name, value) for name, value in around.tolerances.items()]
    return [
        {"@id": f"#{kind}-{name}", "@type": "PropertyValue", "propertyID": kind, "name": name, "value": value}
        for kind, name, value in (*plain, *bounds)
    ]


def _program(around: Surroundings) -> list[Entity]:
    told = dict(around.versions)
    commit, own = told.pop("commit", None), told.pop("palpate")
    libraries = [_library(name, number) for name, number in told.items()]
    program: Entity = {
        "@id": _PROGRAM,
        "@type": "SoftwareApplication",
        "name": "palpate",
        "softwareVersion": own,
        "softwareRequirements": _refs(libraries),
    }
    return [program | ({"identifier": commit} if commit else {}), *libraries]


def _library(name: str, number: str) -> Entity:
    """Return a library, under the address of its release."""
    home = "https://www.python.org/" if name == "python" else f"https://pypi.org/project/{name}/"
    place = home if name == "python" else f"{home}{quote(number)}/"
    return {"@id": place, "@type": "SoftwareApplication", "name": name, "url": home, "softwareVersion": number}


def _key(facts: RunFacts) -> list[Entity]:
    if facts.public_key is None:
        return []
    description = f"Ed25519 (RFC 8032); the signature of {CRATE} is {CRATE}.sig"
    key = {"@id": KEY, "@type": "PropertyValue", "name": "public key", "value": facts.public_key}
    return [key | {"description": description}]


def _operator(facts: RunFacts) -> list[Entity]:
    return [{"@id": _OPERATOR, "@type": "Person", "name": facts.operator}] if facts.operator else []


def _content(facts: RunFacts) -> Entity:
    return {
        "@id": CONTENT,
        "@type": "PropertyValue",
        "name": "SHA-256 of the relative names and contents of the folder",
        "value": facts.content,
    }


def _license() -> Entity:
    description = "No licence is stated. The data are of a person or of a study: ask whoever holds them."
    return {"@id": _LICENSE, "@type": "CreativeWork", "name": "No licence stated", "description": description}


def _profile() -> Entity:
    return {"@id": _PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
