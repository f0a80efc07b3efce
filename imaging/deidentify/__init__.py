"""De-identification: DICOM without its patient, by allow-lists and a key that stays with whoever is responsible."""
