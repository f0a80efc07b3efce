"""Interventions: do(u) replaces the mechanism that chose the treatment, with the same patient and the same chances."""
