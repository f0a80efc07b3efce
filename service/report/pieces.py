"""Pieces of the viewer's scene: each lies in an element of its own, so that the page draws before it has read them all.

A browser that parses one JSON text of all volumes has read every map before it draws one. Here the JSON names its
volumes, those of the first picture stand before the scripts, and the others are read when they are first needed.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_NAME: Final = "viewer-piece-"


class PagePiece(str):
    """Bytes in base64 that get an element of their own on the page."""

    __slots__ = ()

    @classmethod
    def of(cls, content: bytes) -> PagePiece:
        """Return bytes as a piece.

        Args:
            content: bytes, such as a compressed image.
        """
        return cls(base64.b64encode(content).decode("ascii"))


@dataclass(frozen=True, slots=True)
class SplitScene:
    """Scene without its volumes, and the volumes by their names.

    Attributes:
        scene: scene as JSON values; a name stands in the place of each piece.
        first: pieces of the first picture, in base64, by the identifiers of their elements.
        later: all other pieces.
    """

    scene: Mapping[str, Any]
    first: Mapping[str, str]
    later: Mapping[str, str]


def split(scene: Mapping[str, Any]) -> SplitScene:
    """Split a scene into its JSON values and its pieces; equal pieces occur once.

    Args:
        scene: scene of `palpate.service.report.scene.scene`.
    """
    names = _Names()
    kept = names.without_pieces(scene)
    wanted = {names.of[piece] for piece in _first_pieces(scene)}
    pieces = {name: str(piece) for piece, name in names.of.items()}
    first = {name: text for name, text in pieces.items() if name in wanted}
    return SplitScene(kept, first, {name: text for name, text in pieces.items() if name not in wanted})


def _first_pieces(scene: Mapping[str, Any]) -> list[PagePiece]:
    """Return the pieces of the first picture: one image, one map, the veil and the outlines of one frame."""
    frame, image = scene["frames"][scene["first"]], scene["image"]
    if image is not None:
        below = image["preview"] or image["data"]
    else:
        below = frame["images"][0]["data"] if frame["images"] else None
    every = (below, frame["layers"][0]["data"], frame["veil"], frame["outline_data"])
    return [one for one in every if one is not None]


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of the pieces, in the order in which they were met."""

    of: dict[PagePiece, str] = field(default_factory=dict)

    def without_pieces(self, value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return a JSON value with a name in the place of each piece."""
        if isinstance(value, PagePiece):
            return self.of.setdefault(value, f"{_NAME}{len(self.of)}")
        if isinstance(value, Mapping):
            return {key: self.without_pieces(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.without_pieces(inner) for inner in value]
        return value
