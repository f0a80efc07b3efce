"""Anatomical images: masks, tissues, labels and maps on their grid."""
