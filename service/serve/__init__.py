"""Service over finished results: the figures of `palpate query`, `regions` and `change` over HTTP."""
