"""Posterior of the moduli: joint draws, deflation, determinants, summaries."""
