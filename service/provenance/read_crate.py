"""Crate of a result as it is read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from palpate.bounded_read import read_bounded
from palpate.run_crate.command import GivenParameter
from palpate.run_crate.graph import CONTENT, KEY, RUN, SETTINGS, InputFact, OutputFact
from palpate.run_crate.names import CRATE, SEALED


@dataclass(frozen=True, slots=True)
class ReadCrate:
    """Facts of a run that a crate states.

    Attributes:
        text: bytes of the crate.
        command: command that made the folder.
        content: digest of the folder's content.
        outputs: files of the folder, by name.
        inputs: files and folders that were read.
        parameters: parameters that are no files.
        settings: settings as JSON text; None where the command read none.
        environment: surroundings that may change bits, by name, with the versions of program and libraries.
        public_key: public key that the crate names, base64; None where it names none.
        operator: name of whoever answers for the run; None where nobody is named.
    """

    text: bytes
    command: str
    content: str
    outputs: Mapping[str, OutputFact]
    inputs: tuple[InputFact, ...]
    parameters: tuple[GivenParameter, ...]
    settings: str | None
    environment: Mapping[str, str]
    public_key: str | None
    operator: str | None

    @property
    def digest(self) -> str:
        """SHA-256 of the crate's bytes."""
        return sha256(self.text).hexdigest()

    @property
    def ranks(self) -> int:
        """Number of MPI ranks of the run."""
        return int(self.environment["ranks"])


def read_crate(folder: Path) -> ReadCrate:
    """Read the crate of a result.

    Args:
        folder: folder of the result.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is not one that palpate wrote.
    """
    text = read_bounded(folder / CRATE)
    try:
        return _parsed(text)
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__} in {CRATE}") from error


def _parsed(raw: bytes) -> ReadCrate:
    graph = {str(one["@id"]): one for one in json.loads(raw)["@graph"]}
    run = graph[RUN]
    command = str(run["name"]).removeprefix("palpate ")
    if command not in SEALED:
        raise ValueError("a command that leaves no crate")
    objects = [graph[one["@id"]] for one in _list(run["object"])]
    outputs = {one.name: one for one in (_output(graph[ref["@id"]]) for ref in _list(graph["./"]["hasPart"]))}
    operator = run.get("agent")
    return ReadCrate(
        text=raw,
        command=command,
        content=str(graph[CONTENT]["value"]),
        outputs=outputs,
        inputs=tuple(_input(one, graph) for one in objects if one["@type"] == "CreativeWork"),
        parameters=tuple(_parameter(one) for one in objects if one["@id"].startswith("#parameter-")),
        settings=str(graph[SETTINGS]["value"]) if SETTINGS in graph else None,
        environment=_environment(run, graph),
        public_key=str(graph[KEY]["value"]) if KEY in graph else None,
        operator=str(graph[operator["@id"]]["name"]) if operator else None,
    )


def _output(one: Mapping[str, Any]) -> OutputFact:
    name = PurePosixPath(str(one["name"]))
    if name.is_absolute() or ".." in name.parts:
        raise ValueError("a file outside the folder")
    return OutputFact(name.as_posix(), str(one["sha256"]), int(one["contentSize"]))


def _input(one: Mapping[str, Any], graph: Mapping[str, Any]) -> InputFact:
    crate = one.get("subjectOf")
    return InputFact(
        str(one["name"]),
        str(one["sha256"]),
        one["description"] == "folder",
        one.get("alternateName"),
        str(graph[crate["@id"]]["sha256"]) if crate else None,
    )


def _parameter(one: Mapping[str, Any]) -> GivenParameter:
    texts = tuple(str(text) for text in _list(one.get("value", [])))
    return GivenParameter(str(one["name"]), str(one["alternateName"]), texts, withheld="value" not in one)


def _environment(run: Mapping[str, Any], graph: Mapping[str, Any]) -> dict[str, str]:
    around = [graph[ref["@id"]] for ref in _list(run["additionalProperty"])]
    program = graph[run["instrument"]["@id"]]
    libraries = [graph[ref["@id"]] for ref in _list(program["softwareRequirements"])]
    found = {str(one["name"]): str(one["value"]) for one in around if one["propertyID"] == "environment"}
    found |= {str(one["name"]): str(one["softwareVersion"]) for one in (program, *libraries)}
    return found | {"commit": str(program.get("identifier", "none"))}


def _list(refs: Any) -> list[Any]:  # noqa: ANN401 - one reference or several
    """Return references as a list; a single one stands without."""
    return refs if isinstance(refs, list) else [refs]
