"""palpate: virtual palpation, from MR elastography to stiffness maps that know their uncertainty."""

__version__ = "0.1.0"
