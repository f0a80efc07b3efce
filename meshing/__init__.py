"""Meshes: cells on which solvers compute, made from the voxels of a mask or of labels."""
