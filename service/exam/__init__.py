"""Report of an exam with a region: one mean with its interval, by slice, beside the scanner, with quality flags."""
