"""A tumour over time: images of every date and what was done in between, on one grid."""
