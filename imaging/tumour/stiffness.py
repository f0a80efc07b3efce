"""Storage modulus of a patient on the tumour's grid, as joint draws from the inversion's posterior."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np

from palpate.errors import InputError
from palpate.imaging.anatomy.resample import grid_of
from palpate.imaging.files.stiffness_folder import read_stiffness
from palpate.imaging.registration.placement import read_placement
from palpate.imaging.registration.rigid import Rigid
from palpate.imaging.tumour.history import StiffnessDraws
from palpate.imaging.tumour.onto_grid import TumourGrid
from palpate.progress import say
from palpate.units import kpa_to_pa


def stiffness_on(folder: Path, grid: TumourGrid, motion: Rigid | None, most: int) -> StiffnessDraws:
    """Return draws of G' on the history's grid; NaN where the inversion has none.

    The first run and lowest frequency are taken: the modulus at rest is nearest to it. The T1's place on the
    elastogram is read from the neighbouring folder `wavefield`.

    Args:
        folder: `mre` folder of a finished inversion, or the session folder that holds it.
        grid: voxels of the history.
        motion: motion from the first scan's world to that of the elastography's date.
        most: largest number of draws to keep.

    Raises:
        InputError: no maps, no draws, or they do not lie where the tumour's maps are.
    """
    found = min(read_stiffness(folder), key=lambda one: (one.label, one.frequency_hz))
    draws = found.draws()
    home = folder / "mre" if (folder / "mre").is_dir() else folder
    placement = read_placement(home.parent / "wavefield", found.label)
    if not placement.usable:
        raise InputError(
            home.parent / "wavefield",
            found="a T1 whose place on the elastogram is not known",
            expected="a usable registration",
            advice="Leave the stiffness out, or mend the registration of this session.",
        )
    points_mm = grid.points_mm(motion).reshape(-1, 3)
    # The placement goes from the elastogram to the T1; here the way back is wanted.
    back = np.linalg.inv(placement.motion.matrix_mm)
    points_mm = points_mm @ back[:3, :3].T + back[:3, 3]
    own = grid_of(draws.voxels, found.informed.shape, found.affine_mm)
    covered = own.covers(points_mm)
    if not covered.any():
        raise InputError(
            folder,
            found="an elastogram that shows nothing of the tumour's grid",
            expected="stiffness of the same place (RAS, mm)",
            advice="Leave it out, or check whose it is.",
        )
    count = min(most, draws.count)
    kept = np.full((count, covered.size), np.nan, dtype=np.float32)
    for number, draw in enumerate(islice(draws.log_draws("storagemodulus"), count)):
        kept[number, covered] = kpa_to_pa(np.exp(own.interpolated(draw, points_mm[covered])))
    say(f"stiffness at {found.frequency_hz:g} Hz in {covered.mean():.0%} of the grid, {count} draws")
    return StiffnessDraws(kept.reshape(count, *grid.shape))
