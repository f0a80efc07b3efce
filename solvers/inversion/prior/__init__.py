"""Prior of the moduli and its hyperparameters."""
