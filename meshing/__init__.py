"""From the voxels of a mask to the cells that solvers compute on."""
