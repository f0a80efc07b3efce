"""Quantities derived from storage and loss modulus, draw by draw: formulas, statistics by voxel, maps."""
