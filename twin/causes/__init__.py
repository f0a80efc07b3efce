"""Causes: what must be adjusted for when treatment was chosen by the state of the patient."""
