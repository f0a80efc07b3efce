"""From a hospital's archive to a folder of DICOM files: over DICOMweb, or by C-GET or C-MOVE."""
