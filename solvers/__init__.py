"""Mechanics in SI units: waves forward, stiffness back, and the laws that verify both.

The DOLFINx wheel carries its own MPI, which must be loaded before `dolfinx` is imported; importing this
package does so, so that no other module has to know.
"""

import dolfinx_solver  # noqa: F401  (loads the wheel's MPI library; must precede `import dolfinx`)
