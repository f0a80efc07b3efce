"""Check of the provenance of results: signature, files, inputs, and the same step once more."""
