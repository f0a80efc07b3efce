"""Sets of axes along which the components of a wave field may have been measured, with the components' names."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from palpate.imaging.wavefield import WaveField

_TURNED = 0.05
"""Sine of an angle below which two sets of axes count as one."""


@dataclass(frozen=True, slots=True)
class ComponentFrame:
    """Set of three axes along which components may have been measured.

    Attributes:
        axes: axes in rows, along R, A, S, shape (3, 3).
        names: name of each axis, such as "R".
        kind: kind of the components, which stands before a name, such as "encoding direction".
    """

    axes: NDArray[np.float64]
    names: tuple[str, str, str]
    kind: str

    def component(self, number: int) -> str:
        """Return the name of a component, such as "encoding direction 2"."""
        return f"{self.kind} {self.names[number]}"


def component_frames(field: WaveField, encoding_axes: NDArray[np.float64] | None = None) -> tuple[ComponentFrame, ...]:
    """Return the world's frame, and those of the image and of the encoding where they differ from those before.

    Encoding axes that nearly are those of a frame take their place in it, under its names: a direction that was not
    encoded holds noise alone along its own axis, while a degree beside it the waves of the others are larger.

    Args:
        field: wave field, for its axes.
        encoding_axes: axes along which the scanner encoded, in R A S, shape (3, 3), where they are known.
    """
    frames = [ComponentFrame(np.eye(3), ("R", "A", "S"), "component")]
    image = (field.affine_mm[:3, :3] / field.voxel_size_mm).T
    if not _along(image, np.eye(3)):
        frames.append(ComponentFrame(image, ("i", "j", "k"), "the component along image axis"))
    if encoding_axes is None:
        return tuple(frames)
    if not any(_along(encoding_axes, one.axes) for one in frames):
        return (*frames, ComponentFrame(encoding_axes, ("1", "2", "3"), "encoding direction"))
    return tuple(
        replace(one, axes=_in_order_of(one.axes, encoding_axes)) if _along(encoding_axes, one.axes) else one
        for one in frames
    )


def _in_order_of(axes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return others as unit vectors in the order and with the signs of the axes that they nearly are."""
    unit = others / np.linalg.norm(others, axis=1, keepdims=True)
    cosines = axes @ unit.T
    order = np.abs(cosines).argmax(axis=1)
    return np.asarray(np.sign(cosines[range(3), order])[:, None] * unit[order])


def _along(axes: NDArray[np.float64], others: NDArray[np.float64]) -> bool:
    """Return whether axes are others in any order and with any sign."""
    unit = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    cosines = np.abs(unit @ others.T)
    return bool(np.all(cosines.max(axis=1) > np.sqrt(1.0 - _TURNED**2)))
