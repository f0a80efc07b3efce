"""`palpate causes`: placeholder while it is written."""
