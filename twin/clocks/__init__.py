"""Clocks of a tumour's history: whether each kind of treatment and each scan has its right date."""
