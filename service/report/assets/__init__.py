"""Text files that a page contains: its template, its style, its script, and the vendored viewer."""
