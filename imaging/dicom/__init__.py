"""Reading of acquisitions and anatomical volumes from a folder or zip of DICOM files; one reader for each vendor."""
