"""Name under which others import `dicom_source`, handed on from the room where it lives (one of the stable names)."""

from palpate.imaging.dicom_out.dicom_source import dicom_source

__all__ = ["dicom_source"]
