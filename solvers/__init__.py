"""Mechanics in SI units: waves forward, stiffness back, and the laws that verify both.

The DOLFINx wheel carries its own MPI, which must be loaded before `dolfinx` is imported; importing this
package does so, so that no other module has to know. `dolfinx` asks where the user's home is as it is imported, and
fails where nobody says (a number without a user, as in containers): then it is told of a home that does not exist.
"""

import os
from pathlib import Path

# PETSc would answer signals with a page of its own, also in somebody's notebook.
os.environ["PETSC_OPTIONS"] = f"-no_signal_handler {os.environ.get('PETSC_OPTIONS', '')}"

try:
    Path.home()
except RuntimeError:
    os.environ["HOME"] = "/proc/nonexistent"  # where not even root can make it

import dolfinx_solver  # noqa: F401  (loads the wheel's MPI library; must precede `import dolfinx`)
