"""Each benchmark in its short version, as from a terminal: it runs, and what it says can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from worlds.lesion_block import Lesion, waves_through
from worlds.noise import write_noisy

from tests.benchmarks.short_run import record_of
from tests.conftest import CHECKOUT
from tests.imaging.scanner import Scan, write_mre

BOX = CHECKOUT.parent / "shared" / "data" / "phantom-box"


@pytest.mark.long
def test_limit(tmp_path: Path) -> None:
    """The whole costs more than its bare part, and the parts of the rest are times: none negative."""
    write_noisy(waves_through(Lesion(6.0, 1.0, voxels=7)), tmp_path / "wavefield", 2.0, seed=1)
    rows, facts = record_of("limit", tmp_path / "out", tmp_path / "wavefield")
    (row,) = rows.values()
    assert row.ours is not None
    assert row.ours > 1.0
    shares = [note.rpartition(", ")[2] for note in facts["notes"][1:]]
    assert all(share.endswith("%") and not share.startswith("-") for share in shares)


@pytest.mark.long
def test_false_alarms(tmp_path: Path) -> None:
    """Sound sessions of three directions and of one raise nothing; each planted fault is told by its own word."""
    rows, facts = record_of("false_alarms", tmp_path)
    assert rows["false alarms in 2 sound sessions"].verdict == "met"
    faults = [row for name, row in rows.items() if ": named, of " in name]
    assert len(faults) == 39
    assert [row.verdict for row in faults] == ["met"] * len(faults)
    assert not [note for note in facts["notes"] if note.startswith(("missed", "false alarm"))]


@pytest.mark.long
def test_unwrapping(tmp_path: Path) -> None:
    """On a brain whose motion is known fewer than one voxel in a thousand is wrong, as no way image by image has it."""
    write_mre(tmp_path / "scan", Scan(noise_rad=0.05))
    rows, facts = record_of("unwrapping", tmp_path / "out", tmp_path / "scan")
    wrong = rows["block: voxels with a wrong turn"]
    assert wrong.verdict == "met"
    assert min(wrong.baselines[name] for name in ("numpy, along time", "scikit-image, slices")) > 1.0
    left_out = rows["block: brain left out as noisy"].ours
    assert left_out is not None
    assert left_out < 1.0
    assert rows["scan, run 1: voxels with motion above the second harmonic"].ours == 0.0
    assert any("9 rad" in note for note in facts["notes"])


@pytest.mark.long
def test_brain_mask(tmp_path: Path) -> None:
    """In a whole head the atlas finds what the magnitude alone does not; in a slab both do."""
    rows, _ = record_of("brain_mask", tmp_path)
    for name in ("whole head", "slab"):
        assert rows[f"{name}: Dice with brain and film, worst"].verdict == "met"
    whole = rows["whole head: Dice with brain and film, worst"]
    assert whole.ours is not None
    assert whole.ours > whole.baselines["magnitude"] + 0.05


@pytest.mark.long
def test_tetrahedra(tmp_path: Path) -> None:
    """A tumour with a core, white matter and a piece of ventricle of a real brain: all there, by volume and in place.

    A node lies on average closer than half an edge to where the voxels change their label, and hardly any farther off
    than the half diagonal of a cube.
    """
    rows, _ = record_of("tetrahedra", tmp_path)
    name = "brain and white matter, 3 mm"
    judged = ("seconds of one core", "least dihedral angle", "worst label's volume", "ventricles in pieces too small")
    assert [rows[f"{name}: {quantity}"].verdict for quantity in judged] == ["met"] * len(judged)
    mean, far = (rows[f"{name}: distance of interfaces, {which}"].ours for which in ("mean", "99 of 100"))
    assert mean is not None
    assert far is not None
    assert mean < 1.5
    assert far < 3.0**0.5 / 2.0 * 3.0


@pytest.mark.long
@pytest.mark.skipif(not BOX.exists(), reason="the shared data set phantom-box is not here")
def test_phantom_box(tmp_path: Path) -> None:
    """A window of 11 voxels is recovered better than by the baseline, whose figure stands beside ours."""
    rows, _ = record_of("phantom_box", tmp_path, BOX)
    for modulus in ("G'", "G''"):
        error, coverage = (
            rows[f"{name} of {modulus}, 2 % noise"] for name in ("median error", "coverage of 95 % intervals")
        )
        assert error.ours is not None
        assert coverage.ours is not None
        assert 0.0 < error.ours < error.baselines["direct inversion"]
        assert 50.0 < coverage.ours <= 100.0
    assert rows["median error of G', 2 % noise"].verdict
    assert rows["median error of G', 2 % noise"].published == 9.4


@pytest.mark.long
def test_lesions(tmp_path: Path) -> None:
    """A sphere of 6 mm, three times as stiff, in a block of 11 voxels: seen, and better than by the baseline."""
    rows, _ = record_of("lesions", tmp_path)
    (case,) = json.loads((tmp_path / "cases.json").read_text(encoding="utf-8"))
    ours, direct = case["posterior"], case["direct"]
    assert ours["contrast"] > 1.0
    assert abs(ours["contrast"] - 3.0) < abs(direct["contrast"] - 3.0)
    assert case["interval"][0] < ours["contrast"] < case["interval"][1]
    assert rows["CNR, 6 mm, contrast 3, 2 % noise"].ours == pytest.approx(ours["cnr"])
    assert "<svg" in (tmp_path / "lesions.svg").read_text(encoding="utf-8")


@pytest.mark.long
def test_hiscox2022_cortex(tmp_path: Path) -> None:
    """Uniform parcels beside fluid: known regions make the map better, and both are better than the baseline."""
    rows, facts = record_of("hiscox2022_cortex", tmp_path)
    plain, known = rows["error of mu, no labels, 2 mm"], rows["error of mu, regions known, 2 mm"]
    assert plain.ours is not None
    assert known.ours is not None
    assert 0.0 < known.ours < plain.ours < plain.baselines["algebraic"]
    assert (plain.published, known.published) == (9.4, 3.1)
    assert any("parcels" in note for note in facts["notes"])
    worst, share = (
        rows[f"{what}, no labels, 2 mm"].ours or 0.0
        for what in ("error of mu in the worst region", "regions whose error of mu is below the published mean")
    )
    assert worst >= plain.ours
    assert (share == 100.0) == (worst < 9.4)
    assert "<svg" in (tmp_path / "hiscox2022_cortex.svg").read_text(encoding="utf-8")


@pytest.mark.long
def test_whole_brain(tmp_path: Path) -> None:
    """Two crops of a block: intervals hold, and a second run takes over what is there.

    The exponent of time is recorded; on a machine that does other work it may have any value.
    """
    rows, _ = record_of("whole_brain", tmp_path)
    assert rows["exponent of time against voxels"].ours is not None
    held = [row.ours for name, row in rows.items() if name.startswith("95 % intervals")]
    assert len(held) == 2
    assert min(value or 0.0 for value in held) > 70.0
    again, _ = record_of("whole_brain", tmp_path)
    assert again == rows


@pytest.mark.long
def test_whole_brain_fine(tmp_path: Path) -> None:
    """Pieces of a block predict each other and the block: whoever has more zones than a piece takes longer than it."""
    rows, _ = record_of("whole_brain_fine", tmp_path)
    minutes = [row.ours or 0.0 for name, row in rows.items() if name.startswith("wall time on 1 ranks, ")]
    extrapolated, larger, smaller = minutes[0] * 60.0, *minutes[1:]
    assert extrapolated > larger
    assert larger > 0.0
    assert smaller > 0.0
    assert (rows["time of the larger piece as the smaller predicts it, over measured"].ours or 0.0) > 0.0


@pytest.mark.long
def test_misspecification(tmp_path: Path) -> None:
    """Wrong turns of the phase are found and said, and do not spoil the intervals; without them nothing is flagged."""
    rows, _ = record_of("misspecification", tmp_path)
    flagged = [rows[f"{fault}: sessions flagged"].ours for fault in ("as assumed", "unwrapping")]
    assert flagged == [0.0, 100.0]
    for fault in ("as assumed", "unwrapping"):
        held = rows[f"{fault}: G', 95 % intervals of voxels"]
        assert held.ours is not None
        assert 80.0 < held.ours <= 100.0


@pytest.mark.long
def test_calibration_cohort(tmp_path: Path) -> None:
    """Two patients through the workflow: intervals hold most truths, and draws are closer to it than the baseline."""
    rows, _ = record_of("calibration_cohort", tmp_path)
    held = rows["95 % intervals of G' that hold the truth, voxels"]
    assert held.ours is not None
    assert held.ours > 50.0
    score = rows["CRPS of G'"]
    assert score.ours is not None
    assert score.ours < min(score.baselines.values())
    assert (tmp_path / "calibration.html").exists()
    found, facts = record_of("findings", tmp_path / "findings", tmp_path)
    assert found["false findings a patient"].ours is not None
    assert any(note.startswith("2 simulated patients") for note in facts["notes"])


@pytest.mark.long
def test_vendors(tmp_path: Path) -> None:
    """Two vendors on a small block: errors are there and small, and each has its figure."""
    rows, facts = record_of("vendors", tmp_path)
    for vendor in ("siemens", "ge"):
        row = rows[f"{vendor}, 8 offsets: largest error of U"]
        assert row.ours is not None
        assert 0.0 < row.ours <= 0.1
        assert (tmp_path / f"vendor-{vendor}.png").read_bytes().startswith(b"\x89PNG")
    assert any("samples wrapped" in note for note in facts["notes"])


@pytest.mark.long
def test_foreign_waves(tmp_path: Path) -> None:
    """Uniform tissue of another solver's waves is found, and a liver's from one component in thick slices."""
    rows, facts = record_of("foreign_waves", tmp_path)
    error = rows["smooth: median error of G', median of 1 fields"]
    assert error.ours is not None
    assert error.ours < 5.0
    bias = rows["liver: largest bias of G' in a field"].ours
    assert bias is not None
    assert abs(bias) < 8.0
    assert any(note.startswith("liver-4-slices: bias") for note in facts["notes"])
