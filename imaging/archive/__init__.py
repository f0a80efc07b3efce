"""Retrieval of DICOM files from a hospital's archive into a folder, over DICOMweb or by C-GET or C-MOVE."""
