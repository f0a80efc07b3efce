"""Voxels and tetrahedra on which a tumour grows."""
