"""Solvers in SI units: forward problem of waves, inversion for stiffness, tumour growth, and comparators.

The DOLFINx wheel has its own MPI, which must be loaded before `dolfinx` is imported; importing this package does so for
all other modules. `dolfinx` looks up the user's home when it is imported, and fails where there is none (a user number
without a name, as in containers); HOME is then set to a folder that does not exist.
"""

import os
import warnings
from pathlib import Path

from palpate.launcher import clear_pmix

# PETSc would answer signals with a page of its own, also in somebody's notebook.
os.environ["PETSC_OPTIONS"] = f"-no_signal_handler {os.environ.get('PETSC_OPTIONS', '')}"

clear_pmix()
# Another MPI's launcher: palpate.solvers.ranks refuses with a sentence of its own.
warnings.filterwarnings("ignore", message="suspicious MPI execution environment")

try:
    Path.home()
except RuntimeError:
    os.environ["HOME"] = "/proc/nonexistent"  # where not even root can make it

import dolfinx_solver  # noqa: E402, F401  (loads the wheel's MPI library; must precede `import dolfinx`)
