"""What a page carries with it: its template, its style, its script, and the vendored viewer."""
