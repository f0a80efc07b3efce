"""The study's choices as typed, frozen models: one section a step, refused where a key or a value is unknown."""

from palpate.config.settings import Settings, load_settings, read_settings

__all__ = ["Settings", "load_settings", "read_settings"]
