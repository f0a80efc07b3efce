"""Credibility report in the shape of V&V 40, from records of benchmarks and of a study."""
