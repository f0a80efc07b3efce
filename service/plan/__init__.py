"""Page of a plan."""
