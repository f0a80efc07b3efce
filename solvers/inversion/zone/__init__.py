"""Equilibrium, likelihood and curvature of one zone."""
