"""The in-silico patient: anatomy, tissue, acquisition and vendor-like DICOM. The waves come from palpate.solvers."""
