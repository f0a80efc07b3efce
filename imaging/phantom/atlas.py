"""The atlas, under the name that it had while only the phantom read it."""

from palpate.imaging.atlas import Atlas, load_atlas

__all__ = ["Atlas", "load_atlas"]
