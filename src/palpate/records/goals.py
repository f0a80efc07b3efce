"""Goals that a program can judge: "<= 20", ">= 3", "< 5", "> 0" or "93..97", ends included."""

from __future__ import annotations

import math
import operator
import re
from typing import Final

_NUMBER: Final = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_BOUND: Final = re.compile(rf"(<=|>=|<|>)\s*({_NUMBER})")
_RANGE: Final = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")
_COMPARE: Final = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}


def judge(goal: str, value: float | None) -> str:
    """Return whether a value meets a goal, in words.

    Args:
        goal: bound, range, or prose that no program can judge.
        value: measured value; None misses every goal that can be judged.

    Returns:
        "met", "missed by 3.2", "missed: no figure", or "" where the goal is prose or absent.

    Raises:
        ValueError: the goal looks like a bound or a range and is neither.
    """
    bound, limits = _BOUND.fullmatch(goal.strip()), _RANGE.fullmatch(goal.strip())
    if bound is None and limits is None:
        if goal.strip().startswith(("<", ">")) or ".." in goal:
            raise ValueError(f"goal {goal!r} is neither a bound such as '<= 20' nor a range such as '93..97'")
        return ""
    if value is None:
        return "missed: no figure"
    if bound is not None:
        limit = float(bound[2])
        return "met" if _COMPARE[bound[1]](value, limit) else f"missed by {figure(abs(value - limit))}"
    assert limits is not None
    low, high = float(limits[1]), float(limits[2])
    return "met" if low <= value <= high else f"missed by {figure(max(low - value, value - high))}"


def figure(value: float | str | None) -> str:
    """Return a figure as a table shows it: four significant digits, trailing zeros dropped; "-" for none."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    if not -4 <= magnitude < 6:
        return f"{value:.3g}"
    text = f"{value:.{max(0, 3 - magnitude)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
