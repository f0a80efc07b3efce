"""HTML pages from templates: one file each, with a policy under which a browser can load nothing from elsewhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

import palpate
from palpate.service.report.pieces import split

_SCRIPTS: Final = ("cross_hair.js", "graphics.js", "volumes.js", "viewer.js")
"""Scripts of the viewer, in their order."""


@dataclass(frozen=True, slots=True)
class OwnAssets:
    """Assets of a page that lies outside the report's folder.

    Attributes:
        template: text of the template; it may include those of all pages.
        style: style beside that of all pages.
        script: script of the page, which the template puts into a script element; empty for none.
    """

    template: str
    style: str = ""
    script: str = ""


def render_page(
    name: str,
    *,
    viewer_data: Mapping[str, Any] | None = None,
    assets: OwnAssets | None = None,
    connect: str = "data: blob:",
    **content: object,
) -> str:
    """Return a page as HTML text: filled-in text is escaped, and a name that is not given is an error.

    Args:
        name: name of the page's template.
        viewer_data: scene of the interactive viewer; None for a page without it.
        assets: assets of the page; None where its template is among those of the report.
        connect: sources that its scripts may ask; the viewer unpacks its images through data: addresses.
        **content: content of the template, beside policy, style, script and version, which all pages share.
    """
    own = assets or OwnAssets(_asset(name))
    loader = FunctionLoader(lambda asked: own.template if asked == name else _asset(asked))
    templates = Environment(autoescape=True, undefined=StrictUndefined, loader=loader)
    viewer = None if viewer_data is None else _viewer(viewer_data)
    running: list[str] = [] if viewer is None else [viewer.library, viewer.script]
    running += [own.script] * bool(own.script)
    return templates.get_template(name).render(
        policy=Markup(_content_policy(running, connect)),
        style=Markup(_asset("page.css") + own.style),
        script=Markup(own.script),
        version=palpate.__version__,
        viewer=viewer,
        **content,
    )


def _content_policy(scripts: Iterable[str], connect: str) -> str:
    """Return the Content-Security-Policy of the page: only its own scripts, no address outside the file.

    Args:
        scripts: texts of all scripts that may run.
        connect: sources that they may ask.
    """
    digests = (base64.b64encode(sha256(script.encode("utf-8")).digest()).decode("ascii") for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {allowed}",
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            f"connect-src {connect}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


@dataclass(frozen=True, slots=True)
class _Viewer:
    """The viewer's data and scripts, safe to stand between script tags.

    Attributes:
        data: scene as JSON, which names its pieces.
        first: pieces of the first picture, by their identifiers.
        later: all other pieces.
        library: library that draws.
        script: the page's own script.
    """

    data: Markup
    first: Mapping[str, str]
    later: Mapping[str, str]
    library: Markup
    script: Markup


def _viewer(data: Mapping[str, Any]) -> _Viewer:
    parts = split(data)
    # "<" as an escape: no text in the data can end the script element.
    packed = json.dumps(parts.scene, separators=(",", ":")).replace("<", "\\u003c")
    script = "".join(map(_asset, _SCRIPTS))
    return _Viewer(Markup(packed), parts.first, parts.later, Markup(_asset("niivue.umd.js")), Markup(script))


def _asset(name: str) -> str:
    """Return a text file that the package carries."""
    return files("palpate.service.report.assets").joinpath(name).read_text(encoding="utf-8")
