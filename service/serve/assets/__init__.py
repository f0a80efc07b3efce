"""Template, style and script of the service's page."""
