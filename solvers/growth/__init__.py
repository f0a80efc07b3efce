"""Tumour growth forward in time, its treatment, and exact derivatives of both (docs/theory/growth.md)."""
