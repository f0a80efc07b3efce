"""One style for the help of every command: whole sentences, an example, and -h, -q and -v everywhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, Final, get_args, get_type_hints

import typer
from typer.core import TyperArgument, TyperCommand
from typer.models import OptionInfo

from palpate.cli.given import given_parameters
from palpate.progress import Loudness, set_loudness
from palpate.run_crate.command import carrying_out

CONTEXT: Final[dict[str, Any]] = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
"""Settings of all commands for click: `-h`, and lines of help up to 120 characters."""

EXAMPLES: Final = {
    "run": "palpate run study/sessions.tsv --results study/results --cores 8",
    "phantom": "palpate phantom --out patient",
    "fetch": "palpate fetch https://archive.example/dicom-web --study 1.2.840.1 --out scan",
    "deidentify": "palpate deidentify scan --key ~/study.key --out scan-for-others",
    "ingest": "palpate ingest sub-01/mre.zip --anatomy sub-01/t1 --label sub-01_ses-01 --out wavefield",
    "mesh": "palpate mesh wavefield --out zones",
    "invert": "mpiexec -n 4 palpate invert wavefield --out stiffness --settings '{\"samples\": 400}'",
    "maps": "palpate maps stiffness --wavefield wavefield --scan sub-01/mre.zip --anatomy sub-01/t1 --out dicom",
    "overlay": "palpate overlay stiffness --wavefield wavefield --out on-anatomy",
    "report": "palpate report --session results/sub-01/ses-01 --out report.html",
    "regions": "palpate regions results/sub-01/ses-01 --labels dseg.nii.gz --names labels.tsv --out regions.tsv",
    "change": "palpate change results/sub-01/ses-01 results/sub-01/ses-02 --labels dseg.nii.gz --out change.tsv",
    "query": "palpate query results/sub-01/ses-01 --sphere=-30,-14,30,10 --above 3",
    "serve": "palpate serve results --port 8000",
    "override keep": "palpate override keep results override.json --subject 01 --shown answer.json",
    "override show": "palpate override show --subject 01 --format csv",
    "tumour": "palpate tumour study/sessions.tsv --subject 01 --out history.h5",
    "calibrate": "palpate calibrate history.h5 --out calibration",
    "assimilate": "palpate assimilate history.h5 --out sub-02_record.h5",
    "forecast": "palpate forecast calibration --after-days 30 --after-days 60 --out forecast",
    "trial": "palpate trial trial.yaml --out trial",
    "plan": "palpate plan results/sub-02/twin/calibration --limits limits.yaml --out plan",
    "causes": "palpate causes history.tsv --graph graph.yaml --treatment chemo --outcome ln_volume --out causes.json",
    "outlook": "palpate outlook calibration --forecast forecast --out outlook.html",
    "prior learn": "palpate prior learn results --out ours.json",
    "prior pool": "palpate prior pool ours.json theirs.json --out all.json",
    "status": "palpate status results --sessions study/sessions.tsv --out study.html",
    "verify maps": "palpate verify maps stiffness --truth patient/sub-01/ses-01/truth",
    "verify forecast": "palpate verify forecast forecast --truth patient/sub-02/truth/truth.json",
    "verify calibration": "palpate verify calibration results --sessions study/sessions.tsv",
    "verify heldout": "palpate verify heldout results --participants study/participants.tsv",
    "verify credibility": "palpate verify credibility results --out credibility.html",
    "verify audit": "palpate verify audit trails/audit --heads trails/audit-heads",
    "verify consent": "palpate verify consent results --consents consents",
    "verify provenance": "palpate verify provenance results/sub-01/ses-01/mre --key signing-key.pub",
    "check": "palpate check --config config.yaml",
    "config show": "palpate config show config.yaml --section inversion",
    "config profile": "palpate config profile slurm > my-cluster/config.yaml",
    "config schema": "palpate config schema > config.schema.json",
}
"""Example line for each command; the names of files are those of docs/files.md."""

VALUES: Final[dict[object, str]] = {str: "<text>", int: "<integer>", float: "<number>", Path: "<path>"}
"""Words for the values of options and arguments."""

_QUIET = Annotated[bool, typer.Option("--quiet", "-q", help="Show errors only.")]
_VERBOSE = Annotated[bool, typer.Option("--verbose", "-v", help="Show also the numbers of every step.")]


def dressed(name: str, named: Callable[..., None] | typer.Typer) -> typer.Typer:
    """Return a command or group of commands with the common options, its first sentence as overview, and an example.

    Args:
        name: name of the command.
        named: function of the command, or its group.
    """
    if not isinstance(named, typer.Typer):
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        _add(single, name, name, named)
        return single
    group = typer.Typer(
        name=name,
        help=named.info.help,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        no_args_is_help=True,
        context_settings=CONTEXT,
        short_help=named.info.help,
        epilog=with_example(next(line for words, line in EXAMPLES.items() if words.startswith(f"{name} "))),
    )
    group.callback()(_group)  # keeps a group of one command a group
    for one in named.registered_commands:
        assert one.callback is not None  # a registered command has a function
        own = one.name or one.callback.__name__
        _add(group, own, f"{name} {own}", one.callback)
    return group


def _group() -> None:
    """Hold commands."""


class _Command(TyperCommand):
    """Command whose arguments name their values in a user's words, as options do by their metavar."""

    def __init__(self, name: str | None, **given: Any) -> None:  # noqa: ANN401 - whatever a command takes
        super().__init__(name, **given)
        for one in self.params:
            if isinstance(one, TyperArgument) and (word := VALUES.get(_single(one.type_descriptor.annotation))):
                one.display_type = partial(_word_of, word)  # type: ignore[method-assign]


def _word_of(word: str, _: object) -> str:
    """Return the word, in the place of a method that is given the context."""
    return word


def _add(app: typer.Typer, name: str, words: str, function: Callable[..., None]) -> None:
    """Register a function as a command under a name; `words` is the command as a user types it."""
    first = inspect.cleandoc(function.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    example = EXAMPLES.get(words)
    epilog = None if example is None else with_example(example)
    register = app.command(name, cls=_Command, context_settings=CONTEXT, short_help=first, epilog=epilog)
    register(_spoken(words, function))


def with_example(line: str) -> str:
    """Return the end of a help text, with an example whose lines are kept.

    Args:
        line: command as a user types it.
    """
    return f"\b\nExample:\n  {line}"


def _spoken(words: str, function: Callable[..., None]) -> Callable[..., None]:
    """Return a command's function with the options -q and -v, which notes how it was started."""
    plain = get_type_hints(function, include_extras=True)

    @wraps(function)
    def spoken(*, quiet: bool = False, verbose: bool = False, **given: object) -> None:
        choose_loudness(quiet=quiet, verbose=verbose)
        out = given.get("out")
        with carrying_out(words, out if isinstance(out, Path) else None, tuple(given_parameters(plain, given))):
            function(**given)

    hints = {name: _worded(hint) for name, hint in plain.items()}
    own = [one.replace(annotation=hints[one.name]) for one in inspect.signature(function).parameters.values()]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=hint)
        for name, hint in (("quiet", _QUIET), ("verbose", _VERBOSE))
    ]
    spoken.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    spoken.__annotations__ = hints | {"quiet": _QUIET, "verbose": _VERBOSE}
    del spoken.__wrapped__  # what is read of this function is what stands above
    return spoken


def _worded(hint: Any) -> Any:  # noqa: ANN401 - annotations have no common type
    """Return an annotation whose option names its value in a user's words, not in those of Python's types."""
    notes = getattr(hint, "__metadata__", ())
    word = VALUES.get(_single(hint))
    if word is None or not notes or not isinstance(notes[0], OptionInfo) or notes[0].metavar:
        return hint
    option = copy(notes[0])
    option.metavar = word
    return Annotated[hint.__origin__, option]


def _single(hint: Any) -> Any:  # noqa: ANN401 - annotations have no common type
    """Return the type of one value of an annotation, which may be optional, repeated or annotated."""
    inner = [one for one in get_args(hint) if one is not type(None)]
    return _single(inner[0]) if inner else hint


def choose_loudness(*, quiet: bool, verbose: bool) -> None:
    """Set how much is said, where an option asks for it.

    Args:
        quiet: whether -q was given.
        verbose: whether -v was given.

    Raises:
        InputError: both were given.
    """
    if quiet and verbose:
        raise typer.BadParameter("--quiet and --verbose exclude each other: give one of them.")
    if quiet or verbose:
        set_loudness(Loudness.QUIET if quiet else Loudness.VERBOSE)
