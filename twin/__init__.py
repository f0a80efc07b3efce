"""A tumour's digital twin: calibrated on its images so far, with forecasts that know their uncertainty."""
