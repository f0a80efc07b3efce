"""Program that multiplies matrices of many shapes and reports the result by its exit code; see blas_check.py.

Run as a process of its own, because a BLAS that overruns its stack takes the process with it. It first prints the name
and version of NumPy's BLAS. Exit code 0: all products right; WRONG: one was wrong; a crash ends it by a signal.
"""

from __future__ import annotations

import sys
from typing import Final

import numpy as np
from numpy.typing import NDArray

WRONG: Final = 3
"""Exit code for a wrong product."""

INNER: Final = (63, 200, 256, 257, 320, 384, 448, 512, 513, 640, 768, 1000, 1024, 1536, 2048, 3071, 4096)
"""Inner dimensions: BLAS packs blocks of some hundred, by sizes that depend on the processor's caches."""

OUTER: Final = ((12, 8), (37, 61), (96, 150))
"""Rows and columns of products."""

RANDOM_SHAPES: Final = 60
"""Number of products of random shapes."""
LARGEST: Final = (4096, 160, 160)
"""Inner dimension, rows and columns of random shapes."""


def product_is_right(left: NDArray[np.inexact], right: NDArray[np.inexact], probe: NDArray[np.inexact]) -> bool:
    """Return whether left^T right is the product, by one vector and sums that pass no BLAS (Freivalds 1977).

    Args:
        left: small whole numbers, so that sums are exact in any order, shape (k, m).
        right: small whole numbers, shape (k, n).
        probe: small whole numbers, shape (n,).
    """
    through = (left * (right * probe).sum(axis=1)[:, None]).sum(axis=0)
    return bool(np.array_equal(((left.T @ right) * probe).sum(axis=1), through))


def _whole(generator: np.random.Generator, shape: tuple[int, ...], kind: type[np.inexact]) -> NDArray[np.inexact]:
    """Draw -1, 0 and 1."""
    return generator.integers(-1, 2, shape).astype(kind)


def main() -> int:
    """Print which BLAS it is, multiply, return the exit code."""
    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    sys.stdout.write(f"{blas.get('name', 'unknown BLAS')} {blas.get('version', '')}".strip())
    sys.stdout.flush()
    generator = np.random.default_rng(0)
    shapes = [(inner, *outer) for inner in INNER for outer in OUTER]
    shapes += [(int(k), int(m), int(n)) for k, m, n in generator.integers(1, LARGEST, (RANDOM_SHAPES, 3))]
    kinds: tuple[type[np.inexact], ...] = (np.float64, np.complex128, np.float64, np.float32)
    for number, (inner, rows, columns) in enumerate(shapes):
        kind = kinds[number % len(kinds)]
        # Sums over products of such entries, 4096 x 160 at most, stay below the whole numbers that float32 holds.
        left, right = _whole(generator, (inner, rows), kind), _whole(generator, (inner, columns), kind)
        if not product_is_right(left, right, _whole(generator, (columns,), kind)):
            return WRONG
    return 0


if __name__ == "__main__":
    sys.exit(main())
