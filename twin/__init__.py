"""Digital twin of a tumour: a growth model, calibrated on the tumour's images, whose forecasts have intervals."""

from palpate.launcher import clear_pmix

clear_pmix()  # some modules load MPI before palpate.solvers
