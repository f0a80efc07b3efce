"""Displacement from phase images: unwrapping, harmonics, quality."""
