"""Page of the service: pick a session and a sphere, and see the number, its distribution and the slice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from palpate.service.report.render import OwnAssets, render_page

POLICY: Final = "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""Policy of the page's response, beside the stricter one that the page itself states."""


def page_text(*, with_token: bool, purposes: Sequence[str]) -> str:
    """Return the page as HTML text.

    Args:
        with_token: whether a person has to give a token.
        purposes: purposes of use.
    """
    return _page(with_token, tuple(purposes))


@cache
def _page(with_token: bool, purposes: tuple[str, ...]) -> str:  # noqa: FBT001 - a cache knows its arguments by place
    return render_page(
        "serve.html",
        assets=OwnAssets(_asset("serve.html"), _asset("serve.css"), _asset("serve.js")),
        connect="'self'",
        title="Ask for a region",
        with_token=with_token,
        purposes=purposes,
    )


def _asset(name: str) -> str:
    return files("palpate.service.serve.assets").joinpath(name).read_text(encoding="utf-8")
