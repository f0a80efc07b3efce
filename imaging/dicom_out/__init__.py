"""DICOM that palpate writes: parametric maps and their identity."""
