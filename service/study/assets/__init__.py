"""Template, style and script of the study page."""
