"""Growth limited by oxygen, for in-silico truth only."""
