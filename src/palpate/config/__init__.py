"""The study's choices as typed, frozen models: one section a step, refused where a key or a value is unknown."""
