"""Stiffness on tetrahedra and surfaces of regions, for programs that simulate tissue."""
