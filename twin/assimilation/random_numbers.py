"""Random numbers of a filter, keyed by purpose and day.

A run that is taken up at a checkpoint meets the numbers that a run from the beginning meets, so that both agree to the
last bit.
"""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, *purpose: object) -> np.random.Generator:
    """Return a generator of its own for one purpose.

    Args:
        seed: seed of the filter.
        purpose: parts of the purpose, such as a stream and a day, each by its text.
    """
    text = "/".join([str(seed), *map(repr, purpose)])
    key = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key))
