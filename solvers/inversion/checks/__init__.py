"""Checks of a finished inversion against its own assumptions."""
