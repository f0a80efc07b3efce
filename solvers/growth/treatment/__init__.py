"""Radiotherapy, drugs and operations in the growth equation."""
