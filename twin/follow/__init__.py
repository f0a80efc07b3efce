"""Following one patient: from a tumour's history to measurements, and from these to its present state."""
