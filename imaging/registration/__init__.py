"""Rigid registration of the anatomy to the MR elastogram, with its uncertainty and checks of its failure."""
