"""The command line: one command a step, each a thin shell around a public function.

Exit codes: 0 done, 2 the input is at fault (one sentence says what to do), 1 a bug of ours (with its traceback).
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from types import FrameType
from typing import Annotated, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from palpate import __version__
from palpate.blas_check import check_blas
from palpate.cli.ranks import leave, one_thread_a_rank
from palpate.errors import InputError

COMMANDS = (
    "phantom",
    "fetch",
    "deidentify",
    "ingest",
    "mesh",
    "invert",
    "maps",
    "overlay",
    "report",
    "tumour",
    "calibrate",
    "forecast",
    "outlook",
    "verify",
)
"""In the order a study meets them; each is the function or group of its own name in palpate.cli.<name>."""


WITHOUT_ALGEBRA = ("fetch", "deidentify")
"""Commands that move images and multiply no matrices."""


class _LazyGroup(TyperGroup):
    """Imports a command's module when it is asked for, so that no command pays for another's."""

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002 - typer's signature
        """Names of the commands, in the order of a study."""
        return list(COMMANDS)

    def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | TyperGroup | None:  # noqa: ARG002
        """The command or group of commands of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        named = getattr(importlib.import_module(f"palpate.cli.{cmd_name}"), cmd_name)
        if not isinstance(named, typer.Typer):
            single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            single.command(cmd_name)(named)
            named = single
        command = get_command(named)
        command.name = cmd_name
        return command if isinstance(command, TyperCommand | TyperGroup) else None


app = typer.Typer(
    cls=_LazyGroup,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 120},
)


@app.callback(invoke_without_command=True)
def _palpate(
    context: typer.Context, *, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    """Virtual palpation: from MR elastography to stiffness maps that know their uncertainty. Not a medical device."""
    if version:
        print(f"palpate {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())
    elif context.invoked_subcommand not in WITHOUT_ALGEBRA and "--help" not in sys.argv:
        check_blas()


def main() -> NoReturn:
    """Run the command line and leave with the exit code that says whose fault a failure is."""
    # A cluster ends a job with SIGTERM; as an exception it lets half-written outputs be removed. PETSc would catch the
    # signal first and abort with a page of its own.
    signal.signal(signal.SIGTERM, _terminated)
    os.environ["PETSC_OPTIONS"] = f"-no_signal_handler {os.environ.get('PETSC_OPTIONS', '')}"
    one_thread_a_rank()
    try:
        code = app(standalone_mode=False, prog_name="palpate")
    except typer.TyperException as error:  # an unknown option, a missing argument
        leave(error.exit_code, f"palpate: {error.format_message()} Try 'palpate --help'.")
    except InputError as error:
        leave(2, f"palpate: {error}")
    except (KeyboardInterrupt, typer.Abort):
        leave(130, "palpate: interrupted; nothing half-written was left behind.")
    except _Terminated:
        leave(143, "palpate: terminated; nothing half-written was left behind.")
    except Exception:  # noqa: BLE001 - the outermost door: whatever arrives here is ours to mend
        leave(1, f"{traceback.format_exc()}palpate: this is our bug, not your input. Please report the lines above.")
    sys.exit(code if isinstance(code, int) else 0)


class _Terminated(BaseException):
    """Somebody asked the process to end. No Exception, so that no step takes it for a failure it can handle."""


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated
