"""Text files that pages contain: their templates and head, style, script, and the vendored viewer."""
