"""Numbers on which a forecast of progression rests although the patient's images do not tell them."""

from __future__ import annotations

from palpate.twin.calibration.calibrate import Calibration
from palpate.twin.priors import ALPHA, KILL, PROLIFERATION


def unidentified_rates(calibration: Calibration) -> tuple[str, ...]:
    """Return the rate of growth, and the effects of planned treatments, that are the prior's, in words.

    Args:
        calibration: calibration of the tumour; treatments after its last scan are planned.
    """
    history = calibration.history
    last = history.scans[-1].day
    asked = {PROLIFERATION: "rate of growth"}
    if any(one.day >= last for one in history.irradiations):
        asked[ALPHA] = "radiosensitivity"
    planned = {one.drug for one in history.drug_doses if one.day >= last}
    asked |= {f"{KILL}{name}": f"effect of {name}" for name in sorted(planned)}
    known = {one.name for one in calibration.estimates() if one.identified}
    return tuple(words for name, words in asked.items() if name not in known)
