"""Digital twin of a tumour: a growth model, calibrated on the tumour's images, whose forecasts have intervals."""
