"""Brain masks by the atlas and by magnitude alone, for heads with skull and scalp, each of its own shape.

The heads (`skulled_heads.py`) differ from the atlas by turns, shifts, stretches and bends. A film of fluid surrounds
the brain and is as bright as the brain. The true mask leaves it out, but no mask made from the image can: the Dice
overlap with brain and film together is the fairer one and stands beside that with the brain.

    python benchmarks/brain_mask.py --out folder [--short]
"""

from __future__ import annotations

import time
from typing import Final

import numpy as np
from harness.command_line import options
from harness.record import Row, write_record
from worlds.moved_heads import slab_grid
from worlds.skulled_heads import HeadShape, Skulled, skulled_head

from palpate.config.ingest import IngestSettings
from palpate.errors import InputError
from palpate.imaging.anatomy.atlas import load_atlas
from palpate.imaging.anatomy.brain_mask import brain_mask, dice
from palpate.imaging.anatomy.tissue_mask import tissue_mask
from palpate.imaging.phantom.grid import ScanGrid, block

SEEDS: Final = 8
SETTINGS: Final = IngestSettings()


def whole_head() -> ScanGrid:
    """Return the grid of 2.5 mm voxels around the whole head."""
    return block(np.array([0.0, -18.0, 10.0]), np.diag([-1.0, -1.0, 1.0]), (96, 112, 84), 2.5)


def wide_slab() -> ScanGrid:
    """Return the grid of five slices, 4 mm apart, with the scalp in view."""
    narrow = slab_grid()
    affine_mm = narrow.affine_mm.copy()
    affine_mm[:3, 3] -= affine_mm[:3, :3] @ [14, 16, 0]
    return ScanGrid(affine_mm, (104, 124, 5))


def overlaps(head: Skulled, grid: ScanGrid, seed: int) -> dict[str, tuple[float, float] | None]:
    """Return the Dice overlap with the brain, and with brain and film, by method; None where the method refuses."""
    limits = {"threshold": SETTINGS.mask_threshold, "opening_mm": SETTINGS.mask_opening_mm}
    found = {"magnitude": tissue_mask(head.image.values, grid.voxel_mm, **limits)}
    try:
        found["atlas"] = brain_mask(head.image, threshold=SETTINGS.mask_threshold, where=f"head {seed}").mask
    except InputError as error:
        print(error, flush=True)
    overlap = {way: (dice(mask, head.brain), dice(mask, head.with_film)) for way, mask in found.items()}
    return {way: overlap.get(way) for way in ("atlas", "magnitude")}


def main() -> None:
    """Mask whole heads and slabs, and record the overlaps."""
    chosen = options(__doc__)
    began = time.perf_counter()
    atlas = load_atlas()
    rows = []
    seeds = 1 if chosen.short else SEEDS
    for name, grid in (("whole head", whole_head()), ("slab", wide_slab())):
        found = [overlaps(skulled_head(atlas, grid, HeadShape(seed=seed)), grid, seed) for seed in range(seeds)]
        print(name, found, flush=True)
        for number, what in ((1, "brain and film"), (0, "brain")):
            ours = [one["atlas"][number] for one in found if one["atlas"] is not None]
            plain = [one["magnitude"][number] for one in found if one["magnitude"] is not None]
            goal = ">= 0.95" if number else ""
            for word, of in (("median", np.median), ("worst", np.min)):
                value = float(of(ours)) if ours else None
                rows.append(
                    Row(f"{name}: Dice with {what}, {word}", "", value, None, {"magnitude": float(of(plain))}, goal)
                )
        refused = sum(one["atlas"] is None for one in found)
        rows.append(Row(f"{name}: refused", "%", 100.0 * refused / len(found), None))
    write_record(
        "brain_mask",
        rows,
        published="none on these heads",
        notes=[f"{seeds} heads each; refused ones are left out of the overlaps."],
        seconds=time.perf_counter() - began,
        out=chosen.record,
    )


if __name__ == "__main__":
    main()
