"""Fifty signals at random moments of an inversion: share of stops, time to the stop, and the files that are left.

    python benchmarks/fifty_signals.py [--out DIR] [--signals 50] [--seed 0]

Half are SIGINT, half SIGTERM; half of the commands run alone, half under mpiexec on two ranks; half of the signals go
to one process (the command, or mpiexec), half to the whole process group, as a terminal's Ctrl-C does. Moments are
uniform over the duration of a command that is not stopped, its start included. Where a run left a folder to go on
from, the same command is run again to its end, once alone and once on two ranks.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from harness.record import Row, write_record

from palpate.imaging.files.wavefield_folder import write_wave_field
from palpate.imaging.wavefield import WaveField

SETTINGS: Final = {"samples": 20, "hessian_rank": 20, "max_iterations": 3, "fit_prior": False}
ZONES: Final = {"zone_width_mm": 8.0, "zone_stride_mm": 4.0}
BIN: Final = Path(sys.executable).parent
PATIENCE_S: Final = 60.0
"""Longest wait for a command to stop, seconds; palpate promises ten."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One signal that is sent to a command.

    Attributes:
        stop: signal, SIGINT or SIGTERM.
        ranks: number of ranks: 1 for the command alone, more under mpiexec.
        to_group: whether the signal goes to the process group, or to the first process alone.
        after_s: moment of the signal, seconds after the start.
    """

    stop: signal.Signals
    ranks: int
    to_group: bool
    after_s: float


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """End of a command after its signal.

    Attributes:
        code: exit code as a shell has it; 128 + n where signal n ended the process itself.
        seconds: time from the signal to the end of the command, seconds.
        sentence: last line that palpate printed; empty where there is none.
        partial: hidden names of the partial outputs that are left.
        kept: whether a folder is left from which the command can go on.
        alive: number of processes of the command that still run.
        finished: whether the command had ended before the signal.
    """

    code: int
    seconds: float
    sentence: str
    partial: tuple[str, ...]
    kept: bool
    alive: int
    finished: bool = False

    def truthful(self) -> bool:
        """Return whether the sentence agrees with what is on the disk."""
        if "is kept in" in self.sentence:
            return self.kept and not self.partial
        if "no partial result is left" in self.sentence:
            return not self.kept and not self.partial
        return not self.sentence


def write_waves(folder: Path, shape: tuple[int, int, int] = (9, 7, 5)) -> Path:
    """Write a wave field whose inversion takes some seconds."""
    place = np.argwhere(np.ones(shape, dtype=bool)).reshape(*shape, 3)
    wave = 1e-5 * np.exp((-0.05 - 0.3j) * place[..., :1]) * np.array([0.0, 1.0, 0.5j])
    noise = np.random.default_rng(0).normal(scale=2e-7, size=(*wave.shape, 2)) @ np.array([1.0, 1.0j])
    mask = np.ones(shape, dtype=bool)
    folder.mkdir(parents=True)
    write_wave_field(
        folder,
        WaveField(
            displacement_m=wave + noise,
            mask=mask,
            affine_mm=np.diag([2.0, 2.0, 2.0, 1.0]),
            frequency_hz=60.0,
            noise_std_m=2e-7,
            density_kg_m3=1000.0,
            label="sub-01",
        ),
    )
    return folder


def command(wavefield: Path, mesh: Path, out: Path, ranks: int = 1) -> list[str]:
    """Return the inversion's command line."""
    launcher = [str(BIN / "mpiexec"), "-n", str(ranks)] if ranks > 1 else []
    options = ["--mesh", str(mesh), "--settings", json.dumps(SETTINGS), "--out", str(out)]
    return [*launcher, str(BIN / "palpate"), "invert", str(wavefield), *options]


def signalled(words: Sequence[str], trial: Trial, out: Path) -> TrialOutcome:
    """Start a command, send it a signal and return how it ended.

    Args:
        words: command line, one word an item.
        trial: signal, its moment and its receiver.
        out: output folder that the command names, in a folder of its own.
    """
    process = subprocess.Popen(
        words,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "UCX_TLS": "self,sm,tcp"},
    )
    try:
        try:
            _, told = process.communicate(timeout=trial.after_s)
            return TrialOutcome(process.returncode, 0.0, "", (), kept=False, alive=0, finished=True)
        except subprocess.TimeoutExpired:
            began = time.monotonic()
        (os.killpg if trial.to_group else os.kill)(process.pid, trial.stop)
        _, told = process.communicate(timeout=PATIENCE_S)
        seconds = time.monotonic() - began
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    time.sleep(0.2)  # a killed process needs a moment to be gone
    sentences = [line for line in told.splitlines() if line.startswith("palpate: ")]
    hidden = [path.name for pattern in (".partial-*", ".replaced-*") for path in out.parent.rglob(pattern)]
    kept = (out.parent / f".unfinished-{out.name}").exists()
    return TrialOutcome(code, seconds, "".join(sentences[-1:]), tuple(hidden), kept, _alive(out))


def _alive(out: Path) -> int:
    """Count the processes whose command line names the output."""
    found = 0
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += os.fsencode(out) in process.read_bytes()
        except OSError:
            continue
    return found


def trials(count: int, life_s: dict[int, float], seed: int) -> list[Trial]:
    """Return trials that share out signals, launchers and receivers evenly, at random moments of a command's life."""
    generator = random.Random(seed)
    kinds = itertools.cycle(itertools.product((signal.SIGINT, signal.SIGTERM), (1, 2), (False, True)))
    return [
        Trial(stop, ranks, to_group, generator.uniform(0.0, life_s[ranks]))
        for stop, ranks, to_group in itertools.islice(kinds, count)
    ]


def main() -> None:
    """Send the signals and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for the record; benchmarks/results if absent")
    parser.add_argument("--signals", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        rows, notes = _measure(Path(temporary), chosen.signals, chosen.seed)
    write_record(
        "fifty_signals",
        rows,
        published="none",
        notes=notes,
        seconds=time.monotonic() - began,
        out=None if chosen.out is None else chosen.out / "record.json",
    )


def _measure(home: Path, count: int, seed: int) -> tuple[list[Row], list[str]]:
    wavefield, mesh = write_waves(home / "wavefield"), home / "mesh"
    cut = [BIN / "palpate", "mesh", wavefield, "--settings", json.dumps(ZONES), "--out", mesh]
    subprocess.run(cut, check=True, stderr=subprocess.DEVNULL)
    life_s = {ranks: _life_s(command(wavefield, mesh, home / f"whole-{ranks}", ranks)) for ranks in (1, 2)}
    outcomes, resumed = [], set()
    for number, trial in enumerate(trials(count, life_s, seed)):
        out = home / f"run-{number}" / "mre"
        outcomes.append(ended := signalled(command(wavefield, mesh, out, trial.ranks), trial, out))
        print(f"{number:3} {trial.stop.name:8} {trial.ranks} ranks, after {trial.after_s:5.1f} s: {ended}", flush=True)
        if ended.kept and trial.ranks not in resumed:  # the same command goes on, and clears up
            resumed.add(trial.ranks)
            subprocess.run(command(wavefield, mesh, out, trial.ranks), check=True, stderr=subprocess.DEVNULL)
            left = sorted(path.name for path in out.parent.iterdir())
            assert left == ["mre"], left
    sent = [(trial, one) for trial, one in zip(trials(count, life_s, seed), outcomes, strict=True) if not one.finished]
    right = sum(one.code == 128 + trial.stop for trial, one in sent)
    rows = [
        Row("exit code 130 or 143, as the signal demands", "%", 100.0 * right / len(sent), None, goal=">= 100"),
        Row("longest time to stop", "s", max(one.seconds for _, one in sent), None, goal="<= 10"),
        Row(
            "signals after which a partial output was left", "", float(sum(bool(one.partial) for _, one in sent)), None
        ),
        Row("processes left running", "", float(sum(one.alive for _, one in sent)), None, goal="<= 0"),
        Row("sentences that were not true", "", float(sum(not one.truthful() for _, one in sent)), None, goal="<= 0"),
    ]
    codes = Counter((trial.stop.name, trial.ranks, one.code) for trial, one in sent)
    return rows, [
        f"{len(sent)} signals arrived while the command ran; {len(outcomes) - len(sent)} commands had ended before.",
        f"Life of the command: {life_s[1]:.0f} s alone, {life_s[2]:.0f} s on two ranks.",
        *(
            f"{name}, {ranks} ranks, exit code {code}: {number}"
            for (name, ranks, code), number in sorted(codes.items())
        ),
        f"No sentence: {sum(not one.sentence for _, one in sent)} (before Python had loaded the command line).",
        f"The same command went on from what was kept to the end, on {sorted(resumed)} ranks, and left nothing hidden.",
    ]


def _life_s(words: Sequence[str]) -> float:
    began = time.monotonic()
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
