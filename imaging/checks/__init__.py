"""Checks of what headers claim against the data themselves."""
