"""`palpate causes`: effect of a treatment on history, by a graph of how it was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def causes(
    history: Annotated[Path, typer.Argument(help="Tab-separated table with one row for each decision; numbers.")],
    graph: Annotated[Path, typer.Option(help="YAML file with edges (cause -> effect) and hidden causes.")],
    treatment: Annotated[str, typer.Option(help="Column of the treatment.")],
    outcome: Annotated[str, typer.Option(help="Column of the outcome.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
    adjust: Annotated[
        list[str] | None,
        typer.Option(help="Column to adjust for; repeat for each. Without it the smallest set that is enough."),
    ] = None,
) -> None:
    """Estimate what a treatment does from patients whose state chose it, in the unit of the outcome.

    The graph says what acts on what. The answer holds the sets of columns that close every back door, the plain
    contrast, the adjusted effect (treated less untreated, or one unit more) with its 95 % interval, whether the graph
    allows to call it an effect, and E-values: how strongly a hidden cause must act to explain it away. Consequences of
    the treatment are refused among the columns to adjust for.
    """
    import json

    from palpate.outputs import claim_file
    from palpate.progress import say
    from palpate.twin.causes.question import CAUSES, answer, read_graph, read_history_table

    target = claim_file(out, CAUSES, {"history": history, "graph": graph})
    found = answer(read_history_table(history), read_graph(graph), treatment, outcome, adjust)
    with target.writing() as partial:
        partial.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    for one in found["warnings"]:  # type: ignore[attr-defined]  # a list of objects
        say(f"WARNING: {one['sentence']} {one['advice']}")
    naive, effect = found["naive"], found["adjusted"]
    for word, one in (("contrast", naive), ("adjusted", effect)):
        print(f"{word}\t{one['estimate']:.4g}\t({one['lower']:.4g} to {one['upper']:.4g})")  # type: ignore[index]
