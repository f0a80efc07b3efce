"""Text of a DICOM header that may be repeated: words that everybody's headers hold, and nothing else.

Names may stand in attributes of any kind, so that an allow-list of attributes is not enough: a value passes only if
its attribute has a vocabulary or a form here, and the value keeps to it as a whole. What is unknown is not repeated: a
model of scanner that is missing below leaves a gap in a report, but no person's name gets out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

from pydicom.config import IGNORE
from pydicom.multival import MultiValue
from pydicom.uid import UID

_MODELS: Final = (
    "achieva|aera|allegra|altea|ambition|amira|architect|artist|avanto|biograph_mmr|biograph|centauri|cima|"
    "creator|cx|cv|discovery|dstream|echelon|elan|elition|espree|evolution|excite|explorer|fit|free[. ]max|"
    "galan|genesis|gyroscan|hdx?t?e?|hdxt|hero|ingenia|intera|lumina|magnetom|mr\\d{3}w?|mmr|mr|nova|oasis|"
    "omni|optima|orian|palpate|panorama|pet|phantom|pioneer|pixyl|plus|premier|prisma|sempra|signa|skyra|sola|"
    "sonata|spectra|symphony|terra|titan|trillium|trio|triotim|uhp|umr|vantage|verio|vida|vision|voyager|x|xr|"
    "s|t|tx|\\d{3}w?|5300|7700|\\d(?:\\.\\d{1,2})?t"
)
_DESCRIPTIVE: Final = """
2d 3d adc anatomy ax axial b0 b1 bold brain breast comment cor coronal curl diff disp displacement dixon dti dwi
elasto elastogram elastography epi epimre fgre fgremre fieldmap flair fmri grad gre head hires inv invert kidney
liver loc localiser localizer loss m mag magnitude map mask mean meg mosaic mprage mr mre mri nav navi noinv oct p
pd perf ph pha phase phs prostate raw ref resoundant rms run sag sagittal scout se seg shear short spin spine
spleen stiffness storage survey swi t1 t1w t2 t2w tensor test tfe tfl thigh tof tra transverse trufi tse unwrapped
vibe vibration wave wavefield waves with without x y z
"""
_WORDS: Final = frozenset(_DESCRIPTIVE.split())
_MEASURE: Final = re.compile(
    r"\d{1,4}(?:\.\d{1,3})?hz|\d{1,3}(?:mm|ms|iso|deg|dir|ch|pt|t)?|inv\d{1,4}|(?:run|ses|acq)\d{1,2}"
)
_WORD: Final = re.compile(r"\d+\.\d+hz|[A-Za-z0-9]+")
_FREQUENCY: Final = re.compile(
    r"(?<![\d.,])(\d{1,4}(?:[.,]\d{1,3})?)[ _]?hz(?![a-z0-9]|/|[ _]?per)", re.IGNORECASE | re.ASCII
)
"""A frequency in a description, but not the bandwidth of a pixel (Hz/px)."""
_IMAGE_TYPES: Final = (
    "ORIGINAL|DERIVED|PRIMARY|SECONDARY|MIXED|M|P|R|I|M_FFE|P_FFE|R_FFE|I_FFE|M_SE|P_SE|R_SE|I_SE|M_PCA|P_PCA|"
    "PHASE MAP|PHASE|MAGNITUDE|REAL|IMAGINARY|FFE|SE|PCA|ND|NORM|NONE|MOSAIC|DIS2D|DIS3D|FM|FM3|FIL|MFSPLIT|"
    "SH\\d?|DC|MPR|MIP|LOCALIZER|AXIAL|CORONAL|SAGITTAL|OBLIQUE|OTHER|PROJECTION IMAGE|EPI|FIELD_MAP|DIFFUSION|"
    "ADC|TRACEW|FA|MRE|ELASTOGRAM|STIFFNESS|WAVE|CONFIDENCE|WATER|FAT|IN_PHASE|OUT_PHASE|ANATOMY|VOLUME|"
    "REFORMATTED|UNSPECIFIED|DYNAMIC|SUM|MEAN|T1|T2|PROC|SCREEN SAVE|SUBTRACT|PRIMARYANGIO|ADD|DIVISION|CALC|"
    "COMPRESSED|UNFILTERED|IR|SCOUT|PROCESSED|ELASTO|WV"
)
_SEQUENCES: Final = (
    r"\*?(?:tfl|tgse|tse|tirm?|tir|epfid|epse|epir|ep_b\d{0,4}|ep|fl|fm_r|fm|fi|gre|se|re|spcr?|spcir_?|qfl|h|h2d|mre|mbep|"
    r"epi2|epi|gremre|gremr|epimr|epsem|epsemre|wip_epsemre|efgre3d|fgre|fgremre|epimre|memp|ssfse|3dgrass|bravo|cube|tfe|ffe|palpate)(?:[123]d)?\d{0,4}(?:_\d{1,4})?"
    r"(?:ns|rs|r|st|t|rb|h|f)?"
)
SEQUENCE_NAMES: Final = ("SequenceName", "PulseSequenceName", "ScanningSequence")
"""Keywords that may hold the name of the sequence."""
ELASTOGRAPHY_SEQUENCE: Final = re.compile(r"(?:wip_)?epsemre|epsem|epimr|gremr", re.IGNORECASE | re.ASCII)
"""Siemens' product sequences, by a piece of their name."""
_MRE_TOKEN: Final = r"(?:[fdt]I|az|po|VP|TC|ME)\[[-+0-9.,; eE]*\]"
_PARTS: Final = (
    "BRAIN|HEAD|SKULL|NECK|LIVER|ABDOMEN|ABDOMENPELVIS|PELVIS|CHEST|BREAST|HEART|KIDNEY|SPLEEN|PANCREAS|PROSTATE|"
    "UTERUS|SPINE|CSPINE|TSPINE|LSPINE|LEG|THIGH|CALF|KNEE|MUSCLE|ARM|EXTREMITY|WHOLEBODY|PHANTOM"
)

_FORMS: Final[Mapping[str, str]] = {
    "AcquisitionContrast": "DIFFUSION|FLOW_ENCODED|FLUID_ATTENUATED|PERFUSION|PROTON_DENSITY|STIR|TAGGING|T1|T2|"
    "T2_STAR|TOF|UNKNOWN|MIXED",
    "BodyPartExamined": _PARTS,
    "BurnedInAnnotation": "NO",
    "ComplexImageComponent": "MAGNITUDE|PHASE|REAL|IMAGINARY|MIXED",
    "ContentQualification": "PRODUCT|RESEARCH|SERVICE",
    "EchoPulseSequence": "GRADIENT|SPIN|BOTH",
    "FrameComments": f"MRE: ?(?:{_MRE_TOKEN})+",
    "FrameType": _IMAGE_TYPES,
    "ImageComments": f"MRE: ?(?:{_MRE_TOKEN})+",
    "ImageType": _IMAGE_TYPES,
    "InPlanePhaseEncodingDirection": "ROW|COL|COLUMN|OTHER",
    "LossyImageCompression": "0[01]",
    "LossyImageCompressionMethod": r"ISO_\d{4,6}(?:_\d{1,2})?",
    "MRAcquisitionType": "2D|3D",
    "Manufacturer": r"siemens(?: healthineers| healthcare(?: gmbh)?)?|ge|ge medical systems|ge healthcare|"
    r"philips(?: medical systems| healthcare)?|canon(?:_mec| medical systems)?|toshiba(?:_mec)?|hitachi|uih|"
    r"united imaging|fujifilm|bruker(?: biospin mri gmbh)?|palpate",
    "ManufacturerModelName": rf"(?:{_MODELS})(?:[ _./-]+(?:{_MODELS}))*",
    "Modality": "MR|CT|PT|NM|US|CR|DX|OT|SC|SR|PR|KO|SEG|REG|RTSTRUCT|RTDOSE|RTPLAN|DOC|M3D|RWV",
    "PatientPosition": "[HF]F(?:[SP]|D[RL])",
    "PhotometricInterpretation": "MONOCHROME[12]",
    "PixelPresentation": "MONOCHROME|COLOR|MIXED",
    "PulseSequenceName": _SEQUENCES,
    "RescaleType": "US|mrad|rad|normalized|HU|Pa|kPa",
    "ResonantNucleus": "1H",
    "ScanOptions": "PER|RG|CG|PPG|FC|PFF|PFP|SP|FS|CT|IR|SAT\\d?|EDR_GEMS|EPI_GEMS|ACC_GEMS|PFS?|WE|DIXON|NONE|"
    "OTHER|SFS|SS",
    "ScanningSequence": "SE|IR|GR|EP|RM",
    "SequenceName": _SEQUENCES,
    "SequenceVariant": "SK|MTC|SS|TRSS|SP|MP|OSP|TOF|NONE",
    "StackID": r"\d{1,3}",
    "SoftwareVersions": r"syngo (?:mr )?[a-z]{1,2}\d{1,2}[a-z]?(?:-\d{1,2})?|syngo mr \d{4}[a-z]\d?|"
    r"n?\d?_?v[a-z]\d{2}[a-z]?(?:_latest_\d{8})?|\d{1,2}|lx|"
    r"(?:mr software release:)?[a-z]{2}\d{1,2}\.\d{1,2}_[rm]\d{2}(?:_\d{4}\.[a-z])?|"
    r"(?:mr software release:)?[a-z]{2}\d{2}|\d{1,2}(?:\.\d{1,3}){1,4}|"
    r"palpate \d{1,2}(?:\.\d{1,3}){1,3}(?:\.?(?:dev|a|b|rc)\d{1,3})?",
    "VolumeBasedCalculationTechnique": "NONE|MIXED",
    "VolumetricProperties": "VOLUME|SAMPLED|DISTORTED|MIXED",
}
"""Form of each value of an attribute, by DICOM keyword; upper and lower case count as one."""

_COMPILED: Final = {name: re.compile(form, re.IGNORECASE | re.ASCII) for name, form in _FORMS.items()}


def has_vocabulary(keyword: str) -> bool:
    """Return whether anything of this attribute's text may be repeated."""
    return keyword in _COMPILED


def is_known(keyword: str, value: str) -> bool:
    """Return whether one value of an attribute keeps to its vocabulary; an empty one does.

    Args:
        keyword: the attribute's DICOM keyword; of one without a vocabulary nothing is known.
        value: one value, without the others of a list.
    """
    form = _COMPILED.get(keyword)
    return form is not None and (not value or form.fullmatch(value.strip()) is not None)


def is_known_class(uid: object) -> bool:
    """Return whether a unique identifier is one of the DICOM standard's own, such as that of a class of images."""
    return UID(str(uid), validation_mode=IGNORE).type != ""


def is_identifier(uid: object) -> bool:
    """Return whether a value has the form of a unique identifier: digits and dots, at most 64."""
    return UID(str(uid), validation_mode=IGNORE).is_valid


def known_part(keyword: str, value: str) -> str | None:
    """Return the name of an elastography sequence within a longer one, such as epseM; None where there is none.

    Args:
        keyword: the attribute's DICOM keyword.
        value: one value.
    """
    found = ELASTOGRAPHY_SEQUENCE.search(value) if keyword in SEQUENCE_NAMES else None
    return None if found is None else found.group()


def plain(keyword: str, value: object) -> object | None:
    """Return a header's value as JSON holds it; None where it, or one of a list, is absent, unknown or not finite.

    Args:
        keyword: the attribute's DICOM keyword.
        value: value from pydicom: a number, text, or several of these.
    """
    if isinstance(value, MultiValue | list | tuple):
        items = [plain(keyword, one) for one in value]
        return items if items and None not in items else None
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, int):
        return int(value)
    text = "" if value is None else str(value)
    return text if text and is_known(keyword, text) else None


def frequencies_in(text: str) -> tuple[float, ...]:
    """Return the frequencies in hertz that a free description names, such as 60 of "liver_MRE60Hz"."""
    return tuple(float(found.replace(",", ".")) for found in _FREQUENCY.findall(text))


def known_words(text: str) -> str:
    """Return a free description's words and measures that MR protocols commonly hold, lower case, joined by spaces."""
    # A frequency stands within words ("mre60Hz") or has a blank before its unit.
    text = _FREQUENCY.sub(lambda found: f" {found[1].replace(',', '.')}hz ", text)
    words = (word.lower() for word in _WORD.findall(text))
    return " ".join(word for word in words if word in _WORDS or _MEASURE.fullmatch(word))
