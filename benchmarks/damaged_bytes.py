"""Damaged bytes: a file that a copy, a network or a disk damaged is read correctly or refused in one sentence.

Bytes of sound inputs are flipped, overwritten, removed, inserted and cut off: the DICOM of every vendor, an anatomy,
zips, NIfTI, sidecars, arrays of other laboratories, tables, segmentations and masks. A variant fails where it leads to

- a traceback, more than 20 s of processor time, or half an output;
- a refusal of several lines, or a refusal that leaves an output;
- a wrong reading: numbers that are not finite; other numbers than the sound file's although a checksum covers them;
  another frequency, geometry or encoding where only one of many files that state it was damaged; or more voxels changed
  than bytes of pixels were.

A variant is known by its kind and its number, so that a failure can be reproduced.

    python benchmarks/damaged_bytes.py --out folder [--short]
"""

from __future__ import annotations

import gzip
import shutil
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import numpy as np
from harness.command_line import options
from harness.record import Row, write_record
from worlds.damaged_sources import KINDS, Kind, SourceReading

from palpate.errors import InputError

VARIANTS: Final = 2400
SHORT_VARIANTS: Final = 240
SECONDS: Final = 20.0
"""Longest processor time for one variant, seconds; an undamaged one takes a tenth of a second."""
_PIXELS: Final = b"\xe0\x7f\x10\x00OW\x00\x00"
"""Bytes before the pixels of an uncompressed DICOM file; four bytes of length follow."""


@dataclass(slots=True)
class KindOutcome:
    """Outcome of all variants of one kind.

    Attributes:
        refused: number of variants that were refused.
        read: number of variants that were read.
        failures: description of each failure, one for each variant that failed.
        slowest_s: processor time of the slowest variant, seconds.
    """

    refused: int = 0
    read: int = 0
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0


class _TooLong(BaseException):
    """No Exception, so that no reader takes it for damage."""


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _TooLong


@contextmanager
def _time_limit() -> Iterator[None]:
    before = signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


@dataclass(frozen=True, slots=True)
class _Damage:
    """Damaged content, from which byte on, and how many bytes were touched."""

    content: bytes
    start: int
    touched: int


@dataclass(frozen=True, slots=True)
class _Laws:
    """Laws that a reading of a damaged file must obey.

    Attributes:
        sealed: a checksum covers the damaged bytes, so that it must be that of the sound file.
        in_pixels: whether only pixels were damaged.
        repeated: many files state the same facts, of which one was damaged.
        tolerance: largest relative difference of the facts.
    """

    sealed: bool
    in_pixels: bool
    repeated: bool
    tolerance: float

    def broken(self, sound: SourceReading | None, read: SourceReading | None, damage: _Damage) -> str:
        """Return the fault of a reading; nothing where it may be right."""
        if sound is None or read is None:
            return ""
        known = ~np.isnan(sound.facts)
        if not np.all(np.isfinite(read.values)) or np.isinf(read.facts).any():
            return "numbers that are not finite"
        if not (self.sealed or self.in_pixels or self.repeated):
            return ""
        same = read.facts.shape == sound.facts.shape and np.allclose(
            read.facts[known], sound.facts[known], rtol=self.tolerance, atol=1e-3
        )
        if not same or read.values.shape != sound.values.shape:
            return f"other facts: {read.facts} {read.values.shape} instead of {sound.facts} {sound.values.shape}"
        changed = int((~np.isclose(read.values, sound.values)).sum())
        # Each byte of pixels is in one value, and each value in up to two numbers of the reading.
        allowed = 0 if self.sealed else 2 * damage.touched
        if (self.sealed or self.in_pixels) and changed > allowed:
            return f"{changed} values changed by {damage.touched} bytes"
        return ""


def _damaged(content: bytes, rng: np.random.Generator, reach: int) -> _Damage:
    """Return one kind of damage, most of it within the first `reach` bytes, where formats are fragile."""
    some = bytearray(content)
    end = min(len(some), reach) if rng.random() < 0.8 else len(some)
    start = int(rng.integers(end)) if end else 0
    length = int(rng.integers(1, 9))
    kind = rng.integers(7)
    if kind == 0:
        return _Damage(bytes(some[:start]), start, len(some) - start)
    if kind == 1:
        some[start] ^= 1 << int(rng.integers(8))
        length = 1
    elif kind == 2:
        some[start : start + length] = rng.bytes(len(some[start : start + length]))
    elif kind == 3:
        some[start : start + length] = bytes([int(rng.choice([0, 0xFF, 0x7F, 0x30]))]) * len(
            some[start : start + length]
        )
    elif kind == 4:
        del some[start : start + length]
    elif kind == 5:
        some[start:start] = rng.bytes(length)
    else:
        places = [int(rng.integers(end)) for _ in range(length)]
        for place in places:
            some[place] = int(rng.integers(256))
        start = min(places)
    return _Damage(bytes(some), start, length)


def fuzz(kind: Kind, count: int, home: Path) -> KindOutcome:
    """Read a number of damaged variants of an input.

    Args:
        kind: kind of input.
        count: number of variants.
        home: an empty folder to work in.
    """
    given, out = home / "given", home / "out"
    given.mkdir(parents=True)
    kind.write(given)
    sound = kind.read(given, out)
    files = sorted(given.rglob(kind.pattern))
    found = KindOutcome()
    for number in range(count):
        shutil.rmtree(out, ignore_errors=True)
        rng = np.random.default_rng([number, *kind.name.encode()])
        file = files[int(rng.integers(len(files)))]
        whole = file.read_bytes()
        inside = file.suffix == ".gz" and rng.random() < 0.7
        damage = _damaged(gzip.decompress(whole) if inside else whole, rng, kind.reach)
        file.write_bytes(gzip.compress(damage.content) if inside else damage.content)
        pixels = whole.find(_PIXELS)
        laws = _Laws(
            sealed=kind.sealed or (file.suffix == ".gz" and not inside),
            in_pixels=0 <= pixels <= damage.start - len(_PIXELS) - 4,
            repeated=kind.repeated,
            tolerance=kind.tolerance,
        )
        _try(found, f"{kind.name} {number}", lambda d=damage, w=laws: w.broken(sound, kind.read(given, out), d), out)
        file.write_bytes(whole)
    return found


def _try(found: KindOutcome, name: str, read: Callable[[], str], out: Path) -> None:
    """Read one variant and count how it ended."""
    began, refused, failure = time.process_time(), False, ""
    try:
        with _time_limit(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            failure = read()
    except InputError as error:
        refused = True
        failure = f"several lines: {error}" if "\n" in str(error) else ""
    except _TooLong:
        failure = f"more than {SECONDS} s"
    except Exception:  # noqa: BLE001 - this is what is looked for
        failure = traceback.format_exc(limit=-3)
    if not failure and (list(out.parent.glob(".partial*")) or (refused and out.exists())):
        failure = "half an output"
    found.refused += refused
    found.read += not refused
    found.failures += [f"{name}: {failure}"] if failure else []
    found.slowest_s = max(found.slowest_s, time.process_time() - began)


def main() -> None:
    """Damage and read all kinds of input, one after the other, and record the failures."""
    chosen = options(__doc__)
    began = time.perf_counter()
    total = SHORT_VARIANTS if chosen.short else VARIANTS
    results: dict[str, KindOutcome] = {}
    for kind in KINDS:
        home = chosen.out / kind.name.replace(" ", "-").replace(",", "")
        shutil.rmtree(home, ignore_errors=True)
        results[kind.name] = fuzz(kind, round(total * kind.share), home)
        found = results[kind.name]
        print(f"{kind.name}: {found.refused} refused, {found.read} read", *found.failures, sep="\n", flush=True)
    tried = sum(one.refused + one.read for one in results.values())
    rows = [
        Row(
            "failures of all variants", "", float(sum(len(one.failures) for one in results.values())), None, goal="<= 0"
        ),
        Row("variants", "", float(tried), None, goal="" if chosen.short else ">= 2000"),
        Row("slowest variant", "s", max(one.slowest_s for one in results.values()), None, goal=f"<= {SECONDS:g}"),
        *(
            Row(f"{name}: refused", "%", 100.0 * one.refused / (one.refused + one.read), None)
            for name, one in results.items()
        ),
    ]
    notes = [
        "Where little is refused, most bytes are values: a changed value of a voxel is a value.",
        *(line for one in results.values() for line in one.failures),
    ]
    write_record(
        "damaged_bytes", rows, published="none", notes=notes, seconds=time.perf_counter() - began, out=chosen.record
    )


if __name__ == "__main__":
    main()
