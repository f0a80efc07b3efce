"""Elasticity of the tissue around a tumour."""
