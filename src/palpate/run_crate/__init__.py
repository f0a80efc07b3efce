"""Signed record of a step beside its result: what it read, how it was started, on what, and what it wrote.

The record is a Process Run RO-Crate (`ro-crate-metadata.json`), its signature a detached file beside it. Both are
written into an output folder before it takes its name, so that they are there with the result or not at all.
"""
