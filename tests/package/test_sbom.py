"""The list of components: complete, the same bytes each time, and honest about licences that nobody states."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from email.message import Message
from importlib.metadata import PackageMetadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import pytest

from envs import audit, sbom
from tests.conftest import CHECKOUT

LOCK = CHECKOUT / "envs" / "requirements.lock"
URN = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    """The list of this environment."""
    return sbom.bill_of(LOCK)


def test_it_has_the_fields_that_cyclonedx_requires(bill: dict[str, Any]) -> None:
    """Required keys, patterns and choices of the schema of CycloneDX 1.6."""
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert URN.fullmatch(bill["serialNumber"])
    references = [bill["metadata"]["component"]["bom-ref"]]
    for one in bill["components"]:
        references.append(one["bom-ref"])
        assert one["type"] == "library"
        assert one["name"]
        assert one["purl"].startswith(("pkg:pypi/", "pkg:npm/"))
        assert one["purl"].endswith("@" + one["version"].replace("+", "%2B"))
        assert one["hashes"]
        for digest in one["hashes"]:
            assert set(digest) == {"alg", "content"}
            assert re.fullmatch("[0-9a-f]{64}", digest["content"])
        kinds = [next(iter(set(each) - {"acknowledgement"})) for each in one.get("licenses", [])]
        assert kinds in ([], ["expression"], ["license"] * len(kinds))
        for each in one.get("licenses", []):
            assert "expression" in each or len({"id", "name"} & set(each["license"])) == 1
    assert len(references) == len(set(references))


@pytest.mark.long
def test_the_published_schema_accepts_it(bill: dict[str, Any], tmp_path: Path) -> None:
    """The schema itself, which the libraries of pip-audit bring along; it refuses a list without its format."""
    from jsonschema import Draft7Validator
    from referencing import Registry, Resource

    try:
        audit.install(CHECKOUT / "envs" / "audit.lock", tmp_path / "environment")
    except audit.NotAudited as reason:
        pytest.skip(str(reason))
    (folder,) = tmp_path.glob("environment/lib/*/site-packages/cyclonedx/schema/_res")
    beside = ("spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json")
    read = {name: Resource.from_contents(json.loads((folder / name).read_text())) for name in beside}
    known = Registry().with_resources((f"http://cyclonedx.org/schema/{name}", one) for name, one in read.items())
    schema = json.loads((folder / "bom-1.6.SNAPSHOT.schema.json").read_text())
    judge = Draft7Validator(schema, registry=known)
    assert not [one.message for one in judge.iter_errors(bill)]
    assert not judge.is_valid(bill | {"bomFormat": "other"})
    shutil.rmtree(tmp_path / "environment")


def test_every_pin_is_there_with_its_digests(bill: dict[str, Any]) -> None:
    """The list is the lock's, and the viewer that the pages bring along."""
    text = LOCK.read_text(encoding="utf-8")
    listed = {(one["name"], one["version"]) for one in bill["components"]}
    assert listed == set(audit.pins_of(text).items()) | {("niivue", "0.69.0")}
    stated = sorted(re.findall(r"sha256:([0-9a-f]{64})", text))
    own = {
        digest["content"]
        for one in bill["components"]
        if one["purl"].startswith("pkg:pypi/")
        for digest in one["hashes"]
    }
    assert own == set(stated)


def test_the_bytes_are_the_same_each_time(bill: dict[str, Any], tmp_path: Path) -> None:
    """No time and no random name in it; the name is that of the content."""
    for name in ("one.json", "two.json"):
        assert sbom.main(["--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert (tmp_path / "one.json").read_text() == sbom.text_of(bill)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["one.json", "two.json"]


def test_it_says_for_how_many_a_licence_is_unknown(bill: dict[str, Any]) -> None:
    """In the list itself; each of them says so, too."""
    told = {one["name"]: one["value"] for one in bill["metadata"]["properties"]}
    unknown = [one["name"] for one in bill["components"] if "licenses" not in one]
    assert told["palpate:licence-unknown"] == str(len(unknown))
    assert told["palpate:lock-sha256"] == hashlib.sha256(LOCK.read_bytes()).hexdigest()
    for one in bill["components"]:
        marks = {each["name"]: each["value"] for each in one.get("properties", [])}
        assert (marks.get("palpate:licence") == "unknown") == (one["name"] in unknown)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            [("License-Expression", "MIT AND BSD-3-Clause"), ("License", "BSD")],
            [("expression", "MIT AND BSD-3-Clause")],
        ),
        ([("License-Expression", "MIT")], [("id", "MIT")]),
        ([("License", "MPL-2.0"), ("Classifier", "License :: OSI Approved :: BSD License")], [("id", "MPL-2.0")]),
        ([("Classifier", "License :: OSI Approved :: MIT License")], [("id", "MIT")]),
        ([("Classifier", "License :: OSI Approved :: BSD License")], [("name", "BSD License")]),
        (
            [("Classifier", "License :: Public Domain"), ("Classifier", "License :: OSI Approved :: BSD License")],
            [("name", "Public Domain"), ("name", "BSD License")],
        ),
        ([("License", "Own terms")], [("name", "Own terms")]),
        ([("License", "Copyright somebody\nAll rights reserved")], []),
        ([("Classifier", "License :: OSI Approved")], []),
        ([("Classifier", "Programming Language :: Python")], []),
    ],
)
def test_a_licence_is_what_the_metadata_states(fields: list[tuple[str, str]], expected: list[tuple[str, str]]) -> None:
    """A classifier such as BSD License may mean several and stays words; a whole text is no name of a licence."""
    metadata = Message()
    for name, value in fields:
        metadata[name] = value
    found = sbom.licences_of(cast("PackageMetadata", metadata))
    assert [(one.kind, one.text) for one in found] == expected


@pytest.mark.parametrize("lock", ["numpy==1.0 \\\n", "there-is-no-such-thing==1.0 \\\n", "numpy>=1.0\n"])
def test_another_environment_gets_no_list(lock: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another version, something missing, or no lock: nothing is written."""
    (tmp_path / "other.lock").write_text(lock)
    assert sbom.main(["--lock", str(tmp_path / "other.lock"), "--out", str(tmp_path / "list.json")]) == 2
    assert "make setup" in capsys.readouterr().err
    assert not (tmp_path / "list.json").exists()


def test_what_other_platforms_need_is_listed_as_such(bill: dict[str, Any]) -> None:
    """A pin for another platform is not installed here; its condition is told, and its licence is unknown."""
    assert find_spec("pyreadline3") is None
    (one,) = [each for each in bill["components"] if each["name"] == "pyreadline3"]
    assert {"name": "palpate:only-where", "value": "sys_platform == 'win32'"} in one["properties"]
    assert "licenses" not in one


def test_the_documentation_has_the_table_of_licences(bill: dict[str, Any]) -> None:
    """The page is renewed with the lock."""
    assert sbom.table_of(bill) in (CHECKOUT / "docs" / "supply.md").read_text(encoding="utf-8")
