"""Records of the benchmarks as package data, how they are read, and the page of known limitations.

In a checkout `results` is a link to benchmarks/results and limitations.md one to docs, in an installed package they are
files of their own: an installed palpate can say how it was tested.
"""
