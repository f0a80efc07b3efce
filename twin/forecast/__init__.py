"""Forecast of later days from the posterior."""
