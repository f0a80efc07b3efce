"""From phase images to displacement: unwrapping, harmonics, quality."""
