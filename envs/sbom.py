"""List of everything that the lock installs, with licences: CycloneDX 1.6 in JSON, the same bytes at every run.

Names, versions, platforms and digests come from the lock, licences from the metadata of what is installed. Nothing is
looked up elsewhere, and nothing is guessed: where the metadata states no licence, the list says so.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageMetadata, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from packaging.markers import Marker

HOME = Path(__file__).resolve().parent.parent
LOCK = HOME / "envs" / "requirements.lock"
VIEWER = HOME / "service" / "report" / "assets"
PIN = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,.-]*\])?==(?P<version>[\w.!+-]+)\s*(?:;\s*(?P<marker>[^\\]+?)\s*)?\\?$")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
IDS = (
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "GPL-3.0-or-later", "ISC", "LGPL-3.0-or-later", "MIT"),
    *("MPL-2.0", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib"),
)
"""Identifiers of SPDX that a metadata's field License may state."""
CLASSIFIERS = {
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""Identifiers of SPDX for classifiers that mean one licence; "BSD License" and the like mean several and stay words."""
LONGEST_NAME = 60
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Pin:
    """Release in the lock.

    Attributes:
        name: name of the distribution.
        version: version.
        marker: condition on the platform under which it is installed; empty for none.
        digests: SHA-256 of each of its files that may be installed.
    """

    name: str
    version: str
    marker: str
    digests: tuple[str, ...]

    @property
    def here(self) -> bool:
        """Whether it is installed on a platform such as this one."""
        return not self.marker or Marker(self.marker).evaluate()

    @property
    def purl(self) -> str:
        """Package URL."""
        return f"pkg:pypi/{re.sub(r'[-_.]+', '-', self.name).lower()}@{self.version.replace('+', '%2B')}"


@dataclass(frozen=True)
class Licence:
    """Licence as metadata states it.

    Attributes:
        kind: "expression", "id" or "name", as CycloneDX tells them apart.
        text: the expression, the identifier of SPDX, or the words.
    """

    kind: str
    text: str

    def told(self) -> dict[str, Any]:
        """Return the entry of the list."""
        if self.kind == "expression":
            return {"acknowledgement": "declared", "expression": self.text}
        return {"license": {"acknowledgement": "declared", self.kind: self.text}}


class NotTheLock(Exception):
    """Difference between what is installed and what the lock pins."""


def pins_of(text: str) -> tuple[Pin, ...]:
    """Return the pins of a lock, in order of name.

    Args:
        text: text of the lock.

    Raises:
        NotTheLock: a line is none.
    """
    found: list[tuple[re.Match[str], list[str]]] = []
    for line in text.splitlines():
        if pin := PIN.match(line):
            found.append((pin, []))
        elif digest := HASH.search(line):
            found[-1][1].append(digest[1])
        elif line.strip():
            raise NotTheLock(f"the lock has a line that is neither pin nor digest: {line[:60]!r}")
    pins = (Pin(one["name"], one["version"], one["marker"] or "", tuple(sorted(all_))) for one, all_ in found)
    return tuple(sorted(pins, key=lambda one: (one.name, one.version)))


def licences_of(metadata: PackageMetadata) -> tuple[Licence, ...]:
    """Return the licences that a distribution states; none where it states none.

    The expression comes first, then an identifier in the field License, then classifiers, then short words in that
    field: it often holds a whole text, or the name of a file.

    Args:
        metadata: its metadata.
    """
    if expression := str(metadata.get("License-Expression") or "").strip():
        return (Licence("id" if expression in IDS else "expression", expression),)
    stated = str(metadata.get("License") or "").strip()
    if stated in IDS:
        return (Licence("id", stated),)
    all_ = [str(one).split(" :: ") for one in metadata.get_all("Classifier") or () if str(one).startswith("License ::")]
    named = list(dict.fromkeys(one[-1] for one in all_ if one[-1] != "OSI Approved"))
    if named:
        return tuple(Licence("id", CLASSIFIERS[one]) if one in CLASSIFIERS else Licence("name", one) for one in named)
    short = "\n" not in stated and 0 < len(stated) <= LONGEST_NAME
    return (Licence("name", stated),) if short else ()


def stated_licences(pin: Pin) -> tuple[Licence, ...]:
    """Return the licences that an installed release states; none where it is not for this platform.

    Args:
        pin: release of the lock.

    Raises:
        NotTheLock: it is not installed, or in another version.
    """
    try:
        found = distribution(pin.name)
    except PackageNotFoundError:
        if pin.here:
            raise NotTheLock(f"{pin.name} {pin.version} is not installed") from None
        return ()
    if found.version != pin.version:
        raise NotTheLock(f"{pin.name} {found.version} is installed, the lock has {pin.version}")
    return licences_of(found.metadata)


def component_of(pin: Pin, licences: Sequence[Licence]) -> dict[str, Any]:
    """Return a release as a component of CycloneDX.

    Args:
        pin: release of the lock.
        licences: licences that it states.
    """
    told: dict[str, Any] = {
        "type": "library",
        "bom-ref": pin.purl,
        "name": pin.name,
        "version": pin.version,
        "purl": pin.purl,
        "hashes": [{"alg": "SHA-256", "content": one} for one in pin.digests],
    }
    if licences:
        told["licenses"] = [one.told() for one in licences]
    properties = {"palpate:licence": "" if licences else UNKNOWN, "palpate:only-where": pin.marker}
    if any(properties.values()):
        told["properties"] = [{"name": name, "value": text} for name, text in properties.items() if text]
    return told


def viewer_component() -> dict[str, Any]:
    """Return the viewer that the pages bring along, the only part that comes from elsewhere and is not in the lock.

    Its file bundles libraries under MIT and ISC, which service/report/assets/niivue.txt names.
    """
    version = re.search(r"niivue\s+v?(\d+\.\d+\.\d+)", (VIEWER / "niivue.txt").read_text(encoding="utf-8"), re.I)
    if version is None:
        raise NotTheLock("service/report/assets/niivue.txt names no version of niivue")
    purl = f"pkg:npm/%40niivue/niivue@{version[1]}"
    return {
        "type": "library",
        "bom-ref": purl,
        "group": "@niivue",
        "name": "niivue",
        "version": version[1],
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": sha256((VIEWER / "niivue.umd.js").read_bytes()).hexdigest()}],
        "licenses": [Licence("expression", "BSD-2-Clause AND MIT AND ISC").told()],
        "properties": [{"name": "palpate:digest-of", "value": "service/report/assets/niivue.umd.js"}],
    }


def bill_of(lock: Path) -> dict[str, Any]:
    """Return the list: everything that a lock installs, and what palpate brings along.

    Args:
        lock: the lock.

    Raises:
        NotTheLock: this environment is another one.
    """
    pins = pins_of(lock.read_text(encoding="utf-8"))
    parts = [component_of(one, stated_licences(one)) for one in pins] + [viewer_component()]
    unknown = sum("licenses" not in one for one in parts)
    own = _own_version()
    told: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": f"pkg:pypi/palpate@{own}",
                "name": "palpate",
                "version": own,
                "purl": f"pkg:pypi/palpate@{own}",
                "licenses": [Licence("id", "BSD-3-Clause").told()],
            },
            "properties": [
                {"name": "palpate:components", "value": str(len(parts))},
                {"name": "palpate:licence-unknown", "value": str(unknown)},
                {"name": "palpate:lock-sha256", "value": sha256(lock.read_bytes()).hexdigest()},
            ],
        },
        "components": parts,
    }
    # Named by its content, as a random name or a time would make other bytes each time.
    name = uuid5(NAMESPACE_URL, sha256(json.dumps(told, sort_keys=True).encode()).hexdigest())
    return {**told, "serialNumber": f"urn:uuid:{name}"}


def _own_version() -> str:
    found = re.search(r'__version__ = "([^"]+)"', (HOME / "src" / "palpate" / "__init__.py").read_text("utf-8"))
    if found is None:
        raise NotTheLock("src/palpate/__init__.py names no version")
    return found[1]


def text_of(bill: Mapping[str, Any]) -> str:
    """Return the text of a list.

    Args:
        bill: the list.
    """
    return json.dumps(bill, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def table_of(bill: Mapping[str, Any]) -> str:
    """Return the licences by number of components, as a table for docs/supply.md.

    Args:
        bill: the list.
    """
    counts = Counter("; ".join(sorted(_words(one))) or UNKNOWN for one in bill["components"])
    rows = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return "".join(f"| {text} | {count} |\n" for text, count in rows)


def unknown_in(bill: Mapping[str, Any]) -> list[str]:
    """Return the names of the components whose licence is unknown.

    Args:
        bill: the list.
    """
    return [one["name"] for one in bill["components"] if "licenses" not in one]


def _words(component: Mapping[str, Any]) -> Iterator[str]:
    for one in component.get("licenses", ()):
        yield one.get("expression") or one["license"].get("id") or one["license"]["name"]


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".partial-", encoding="utf-8", delete=False) as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    os.replace(file.name, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the list, and return the exit code: 0, or 2 where this environment is not the lock's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lock", type=Path, default=LOCK, help="lock that is installed")
    parser.add_argument("--out", type=Path, help="file to write; default: print")
    parser.add_argument("--table", action="store_true", help="print the licences by number of components instead")
    given = parser.parse_args(arguments)
    try:
        bill = bill_of(given.lock)
        if given.out is None:
            print(table_of(bill) if given.table else text_of(bill), end="")
        else:
            _write(given.out, text_of(bill))
    except (NotTheLock, OSError) as reason:
        print(f"no list: {reason}. Run make setup, then this again.", file=sys.stderr)
        return 2
    unknown = unknown_in(bill)
    number = f"{len(bill['components'])} components, licence unknown for {len(unknown)}: {', '.join(unknown)}"
    print(f"{given.out or 'CycloneDX 1.6'}: {number}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
