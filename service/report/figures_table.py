"""Table of figures, of which every page may have some."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FiguresTable:
    """Table of figures as the macro `figures` of parts.html draws it.

    Attributes:
        caption: caption.
        head: heads of the columns.
        rows: texts of the cells.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
