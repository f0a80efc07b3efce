"""Time steps of the growth equation: diffusion, reaction, operations."""
