"""Observations of the density of tumour cells by images, and the covariance of their errors."""
