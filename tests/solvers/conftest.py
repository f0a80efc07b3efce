"""Tests of solvers import DOLFINx themselves, in any order: its MPI is loaded here, before all of them."""

import palpate.solvers  # noqa: F401
