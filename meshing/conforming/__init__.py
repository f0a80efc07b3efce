"""Meshes of tetrahedra that meet face to face, with one label each, made from labelled voxels."""
