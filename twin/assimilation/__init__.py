"""Assimilation: the twin's state and parameters follow the patient's measurements, one visit after the other."""
