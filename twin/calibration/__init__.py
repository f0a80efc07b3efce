"""From a tumour's images to the posterior of its parameters."""
