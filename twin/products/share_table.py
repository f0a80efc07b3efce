"""Shares of a forecast's variance as a table and as plain JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from palpate.twin.doubt.shares import SharedVariance, VarianceShares
from palpate.twin.doubt.sources import EPISTEMIC
from palpate.twin.products.table_text import table_text

COLUMNS: Final = ("day", "quantity", "std_ml", "source", "kind", "share", "lower", "upper")
"""Columns of variance_shares.tsv; lower and upper are the ends of the share's 95 % interval."""
_DIGITS: Final = 4


def share_rows(found: Sequence[SharedVariance]) -> list[dict[str, object]]:
    """Return a row for each day, quantity and source.

    Args:
        found: shares of each quantity on each day.
    """
    return [
        {
            "day": one.day,
            "quantity": one.quantity,
            "std_ml": one.std,
            "source": each.source,
            "kind": "epistemic" if each.source in EPISTEMIC else "aleatoric",
            "share": each.share,
            "lower": each.lower,
            "upper": each.upper,
        }
        for one in found
        for each in one.shares
    ]


def law_rows(found: VarianceShares) -> list[dict[str, object]]:
    """Return the laws of growth and their weights.

    Args:
        found: shares of every quantity on every day.
    """
    return [{"law": one.name, "weight": one.weight, "effective_draws": round(one.effective)} for one in found.laws]


def share_table(found: Sequence[SharedVariance]) -> str:
    """Return the lines of variance_shares.tsv.

    Args:
        found: shares of each quantity on each day.
    """
    rows = (tuple(row[name] for name in COLUMNS) for row in share_rows(found))
    return table_text([COLUMNS, *rows], _DIGITS)
