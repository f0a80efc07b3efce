"""Time to event: progression by volume or by a hazard, and treatments that compete with it."""
