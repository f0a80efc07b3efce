"""De-identification of DICOM, by allow-lists and a key that stays with those responsible for the patients."""
