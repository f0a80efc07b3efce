"""What images say about the density of cells, and how wrong they may be."""
