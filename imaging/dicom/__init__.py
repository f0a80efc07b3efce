"""From a folder or zip of DICOM files to acquisitions and anatomical volumes; one reader for each vendor."""
