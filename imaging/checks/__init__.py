"""Checks of headers' statements against the data themselves."""
