"""Limits of values and of inputs, in one place."""
