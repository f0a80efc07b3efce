"""Page of a trial on virtual patients."""
