"""Notes on the waves of one frequency, in sentences for the page."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from palpate.imaging.displacement import LEAST_OSS_SNR


def wave_notes(measured: Mapping[str, Any], codes: Container[str] = ()) -> list[str]:
    """Return the notes on the waves of one frequency that a reader of the page needs.

    Args:
        measured: record of ingest of one frequency.
        codes: codes of the warnings that stand on the page already.
    """
    found = []
    snr, least = measured.get("oss_snr"), measured.get("least_oss_snr", LEAST_OSS_SNR)
    if snr is not None and snr < least and "weak-waves" not in codes:  # a record of an earlier version lacks the code
        found.append(
            f"The waves are weak: octahedral-shear-strain SNR is {snr:.1f}; inversions are reliable from"
            f" {least:g} on. Expect wide intervals."
        )
    moved = measured.get("image_motion")
    if isinstance(moved, Mapping) and moved["images_moved"]:
        done = "these images were moved back" if moved["put_back"] else "these images were not moved back"
        found.append(
            f"In {moved['images_moved']} images the head was displaced by up to {moved['largest_mm']:.1f} mm; {done}."
        )
    if measured.get("compressional") == "removed":
        found.append("The part of the displacement that has divergence was removed before the inversion.")
    return found
