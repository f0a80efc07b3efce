"""Calibration: the posterior of a tumour's parameters, given its images."""
