"""Choice of one region of a file that holds several, by its name or its number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from palpate.errors import InputError

_WORDS: Final = """
abdomen artery bladder body bone bowel brain brainstem breast caudate cerebellum chiasm clinical contour cord cortex
csf ctv cyst duct edema external eye fat fluid gallbladder gray grey gross gtv head heart heel hemisphere internal
kidney left leg lens lesion liver lobe lt lung mask matter muscle necrosis nerve oar oedema of optic organ pancreas
parenchyma planning portal prostate ptv region right roi rt segment segmentation spine spleen stomach target thalamus
thigh tissue tumor tumour uterus vein ventricle vessel vessels volume white whole without
accumbens amygdala angular anterior aorta callosum capsule cavity cava cingulate choroid core corpus cortical cuneus
dentate dorsal enhancing entorhinal frontal fusiform globus gyrus hippocampus hypothalamus inferior insula lateral
lingual lobar lower margin medial medulla midbrain middle necrotic nonenhancing nucleus occipital orbital pallidum
parahippocampal parietal plexus pons posterior precentral postcentral precuneus putamen resection rim spinal subcortical
substantia subthalamic sulcus superior temporal upper ventral vermis
enhancing informed p soft stiff visible
"""
_PARTS: Final = frozenset(_WORDS.split())
"""Words of names of regions that errors and records may repeat; a person's name may stand in any other."""
_WORD: Final = re.compile(r"[a-z]+|\d{1,2}|[ _.,()+-]+", re.IGNORECASE | re.ASCII)
_LISTED: Final = 30


@dataclass(frozen=True, slots=True)
class RegionEntry:
    """Region in a file.

    Attributes:
        number: its number in the file.
        name: its name as the file has it, which may hold a person's name.
    """

    number: int
    name: str

    @property
    def plain_name(self) -> str:
        """Name where all its words may be repeated; else empty."""
        words = _WORD.findall(self.name)
        if self.name.strip()[:1] in ("+", "-"):  # a spreadsheet takes it for a formula
            return ""
        known = all(not one.isalpha() or one.lower() in _PARTS for one in words)
        return self.name.strip() if known and "".join(words) == self.name else ""


def chosen(entries: Sequence[RegionEntry], choice: str, where: Path | str, what: str) -> RegionEntry:
    """Return the region that a user chose, or the only one.

    Args:
        entries: regions of the file.
        choice: name or number; upper and lower case count as one. Empty takes the only region.
        where: the file, by a name that errors may repeat.
        what: noun for one region of the file, such as "segment".

    Raises:
        InputError: there is none, or several and none or no single one is chosen.
    """
    if not entries:
        raise InputError(where, found=f"no {what}", expected="one at least", advice="Export the region again.")
    advice = (
        f"Name one by its name or its number, after the file's name as in file.dcm#{entries[0].number}, or with --name "
        "where the command has it."
    )
    listed = f"one {what} of {_listed(entries)}"
    if not choice:
        if len(entries) > 1:
            raise InputError(where, found=f"{len(entries)} {what}s, and none chosen", expected=listed, advice=advice)
        return entries[0]
    alike = [one for one in entries if one.name.strip() == choice] or [
        one for one in entries if one.name.strip().casefold() == choice.casefold()
    ]
    alike = alike or [one for one in entries if choice.isdecimal() and one.number == int(choice)]
    if len(alike) != 1:
        told = f"{len(alike)} {what}s of the name" if alike else f"no {what} of the name or number"
        raise InputError(where, found=f"{told} that was chosen", expected=listed, advice=advice)
    return alike[0]


def _listed(entries: Sequence[RegionEntry]) -> str:
    """Return numbers, and names where they may be repeated."""
    shown = [f"{one.number}" + (f" ({one.plain_name})" if one.plain_name else "") for one in entries[:_LISTED]]
    return ", ".join(shown) + (", ..." if len(entries) > _LISTED else "")
