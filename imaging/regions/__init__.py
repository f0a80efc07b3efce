"""Regions that people drew: NIfTI masks, segments of DICOM SEG, contours of RTSTRUCT, placed in the world."""
