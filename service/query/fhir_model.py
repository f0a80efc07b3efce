"""Model of FHIR R4 of the resources that palpate writes: cardinalities and required bindings, by which each is checked.

A required binding allows the codes of its value set and no other (hl7.org/fhir/R4/terminologies.html#required).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class RequiredBinding:
    """Required binding of an element.

    Attributes:
        value_set: canonical address of the value set.
        codes: its codes.
    """

    value_set: str
    codes: tuple[str, ...]


_VALUE_SETS: Final = "http://hl7.org/fhir/ValueSet"
REQUIRED_BINDINGS: Final[Mapping[str, RequiredBinding]] = {
    "Bundle.type": RequiredBinding(
        f"{_VALUE_SETS}/bundle-type",
        (
            *("document", "message", "transaction", "transaction-response", "batch", "batch-response", "history"),
            *("searchset", "collection"),
        ),
    ),
    "Flag.status": RequiredBinding(f"{_VALUE_SETS}/flag-status", ("active", "inactive", "entered-in-error")),
    "Observation.status": RequiredBinding(
        f"{_VALUE_SETS}/observation-status",
        (
            *("registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error"),
            "unknown",
        ),
    ),
}
"""Required bindings of the elements that palpate writes."""
CARDINALITIES: Final[Mapping[str, Mapping[str, tuple[bool, bool]]]] = {
    "Bundle": {"type": (True, False), "entry": (False, True)},
    "Flag": {
        "contained": (False, True),
        "extension": (False, True),
        "identifier": (False, True),
        "status": (True, False),
        "category": (False, True),
        "code": (True, False),
        "subject": (True, False),
        "period": (False, False),
        "encounter": (False, False),
        "author": (False, False),
    },
    "Observation": {
        "id": (False, False),
        "status": (True, False),
        "category": (False, True),
        "code": (True, False),
        "subject": (False, False),
        "issued": (False, False),
        "valueQuantity": (False, False),
        "note": (False, True),
        "bodySite": (False, False),
        "method": (False, False),
        "device": (False, False),
        "component": (False, True),
    },
}
"""Elements of each resource that palpate may write: whether one must be there, and whether it is a list."""


def checked_resource(resource: dict[str, Any]) -> dict[str, Any]:
    """Return a resource that keeps the model, with all resources in it.

    Args:
        resource: resource of FHIR R4.

    Raises:
        ValueError: an element is missing, unknown, empty or of the wrong cardinality, or a code is not in its value
            set.
    """
    if broken := list(_broken(resource)):
        raise ValueError("; ".join(broken))
    return resource


def _broken(resource: Mapping[str, Any]) -> Iterator[str]:
    name = str(resource.get("resourceType"))
    elements = CARDINALITIES.get(name)
    if elements is None:
        yield f"{name} is no resource that palpate writes"
        return
    yield from (f"{name}.{key} is missing" for key, (must, _) in elements.items() if must and key not in resource)
    for key, value in resource.items():
        if key == "resourceType":
            continue
        if key not in elements:
            yield f"{name}.{key} is not in the model"
        elif isinstance(value, list) is not elements[key][1] or value in ([], {}, "", None):
            yield f"{name}.{key} has another cardinality, or is empty"
        elif (bound := REQUIRED_BINDINGS.get(f"{name}.{key}")) is not None and value not in bound.codes:
            yield f"{name}.{key} {value!r} is not in {bound.value_set}"
    for inner in (*resource.get("contained", ()), *(one["resource"] for one in resource.get("entry", ()))):
        yield from _broken(inner)
