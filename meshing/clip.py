"""Tetrahedra cut along the planes between voxels, exactly: each piece lies in one voxel.

A plane cuts a tetrahedron into a smaller one and a prism, or into two prisms; a prism is three tetrahedra.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NEGLIGIBLE = 1e-13
"""Smallest share of a tetrahedron that counts as a piece; smaller ones are rounding where a node lies on a plane."""

type Tetrahedra = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces that tetrahedra are cut into along the planes between voxels.

    Attributes:
        owner: index of the tetrahedron that a piece belongs to, shape (p,).
        fraction: volume as a fraction of its tetrahedron's, shape (p,); the fractions of a tetrahedron sum to one.
        middle: centroid in voxel indices, shape (p, 3).
    """

    owner: NDArray[np.int64]
    fraction: NDArray[np.float64]
    middle: NDArray[np.float64]


def clip(corners: Tetrahedra) -> Pieces:
    """Cut tetrahedra along all planes halfway between whole numbers.

    Args:
        corners: corners of the tetrahedra in voxel indices, so that voxel n spans n - 1/2 to n + 1/2, shape (m, 4, 3).
    """
    pieces, owner = corners, np.arange(len(corners))
    whole = _volumes(corners)
    for axis in range(3):
        pieces, owner = _cut_along(pieces, owner, axis, whole)
    fraction = _volumes(pieces) / whole[owner]
    fraction /= np.bincount(owner, weights=fraction, minlength=len(corners))[owner]
    return Pieces(owner, fraction, np.asarray(pieces.mean(axis=1)))


def _cut_along(
    pieces: Tetrahedra, owner: NDArray[np.int64], axis: int, whole: NDArray[np.float64]
) -> tuple[Tetrahedra, NDArray[np.int64]]:
    """Cut along one axis' planes, from the lowest up: what lies below a plane is done, the rest meets the next one."""
    done, owners = [pieces[:0]], [owner[:0]]
    while len(pieces):
        order = np.argsort(pieces[..., axis], axis=1, kind="stable")
        pieces = np.take_along_axis(pieces, order[..., None], axis=1)
        height = pieces[..., axis]
        plane = np.floor(height[:, 0] + 0.5) + 0.5
        finished = height[:, 3] <= plane
        done.append(pieces[finished])
        owners.append(owner[finished])
        low, low_owner, high, high_owner = _halve(pieces[~finished], owner[~finished], plane[~finished], axis)
        keep = _volumes(low) > _NEGLIGIBLE * whole[low_owner]
        done.append(low[keep])
        owners.append(low_owner[keep])
        keep = _volumes(high) > _NEGLIGIBLE * whole[high_owner]
        pieces, owner = high[keep], high_owner[keep]
    return np.concatenate(done), np.concatenate(owners)


def _halve(
    tets: Tetrahedra, owner: NDArray[np.int64], plane: NDArray[np.float64], axis: int
) -> tuple[Tetrahedra, NDArray[np.int64], Tetrahedra, NDArray[np.int64]]:
    """Tetrahedra with nodes in ascending height and a plane between the first and the last: parts below and above."""
    under = (tets[..., axis] < plane[:, None]).sum(axis=1)
    parts: tuple[list[Tetrahedra], list[Tetrahedra]] = ([], [])
    owners: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = ([], [])
    for count in (1, 2, 3):
        chosen = under == count
        nodes = [tets[chosen, corner] for corner in range(4)]
        cuts = {
            (low, high): _crossing(nodes[low], nodes[high], plane[chosen], axis)
            for low in range(count)
            for high in range(count, 4)
        }
        for side, made in enumerate(_parts(count, nodes, cuts)):
            parts[side].append(np.concatenate(made))
            owners[side].append(np.tile(owner[chosen], len(made)))
    return np.concatenate(parts[0]), np.concatenate(owners[0]), np.concatenate(parts[1]), np.concatenate(owners[1])


def _parts(
    count: int, n: list[NDArray[np.float64]], x: dict[tuple[int, int], NDArray[np.float64]]
) -> tuple[list[Tetrahedra], list[Tetrahedra]]:
    """Return the tetrahedra below and above, from nodes and crossings."""
    if count == 1:
        cut = [x[0, 1], x[0, 2], x[0, 3]]
        return [np.stack([n[0], *cut], axis=1)], _prism(cut, n[1:])
    if count == 3:
        cut = [x[0, 3], x[1, 3], x[2, 3]]
        return _prism(cut, n[:3]), [np.stack([n[3], *cut], axis=1)]
    below = _prism([n[0], x[0, 2], x[0, 3]], [n[1], x[1, 2], x[1, 3]])
    return below, _prism([n[2], x[0, 2], x[1, 2]], [n[3], x[0, 3], x[1, 3]])


def _prism(a: list[NDArray[np.float64]], b: list[NDArray[np.float64]]) -> list[Tetrahedra]:
    """Return three tetrahedra that fill the prism between two triangles."""
    return [
        np.stack([a[0], a[1], a[2], b[2]], axis=1),
        np.stack([a[0], a[1], b[1], b[2]], axis=1),
        np.stack([a[0], b[0], b[1], b[2]], axis=1),
    ]


def _crossing(
    low: NDArray[np.float64], high: NDArray[np.float64], plane: NDArray[np.float64], axis: int
) -> NDArray[np.float64]:
    """Return where edges meet the plane, exactly on it."""
    part = (plane - low[:, axis]) / (high[:, axis] - low[:, axis])
    point = low + part[:, None] * (high - low)
    point[:, axis] = plane
    return np.asarray(point)


def _volumes(tets: Tetrahedra) -> NDArray[np.float64]:
    a, b, c = (tets[:, corner] - tets[:, 0] for corner in (1, 2, 3))
    return np.asarray(np.abs(np.einsum("ij,ij->i", a, np.cross(b, c))) / 6.0)
