"""Scores against truth and pages for people, made from finished files; nothing is solved here."""
