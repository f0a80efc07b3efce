"""From the posterior to what a later day may bring."""
