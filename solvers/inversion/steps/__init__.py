"""Gauss-Newton steps, their state and checkpoints."""
