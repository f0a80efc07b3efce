"""Alerts of a twin: progression that is likely by a date, and a twin that is out of step with its patient."""
