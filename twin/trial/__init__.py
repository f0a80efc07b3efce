"""Trials on virtual patients: cohorts, arms, paired effects, survival and heterogeneity."""
