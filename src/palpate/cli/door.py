"""Entry of the command line: the commands, and the exit code and sentence for every exception that they raise.

Exit codes: 0 done, 2 the input or the machine is at fault (one sentence says what to do), 1 a bug of ours (with its
traceback) or, of `palpate verify provenance`, a result that is not what its record says, 3 `palpate check` found that
something is missing, 128 + n stopped by signal n.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys
import traceback
from contextlib import suppress
from typing import Annotated, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from palpate import __version__
from palpate.blas_check import check_blas
from palpate.cli import COMMANDS, ON_RANKS
from palpate.cli.failed_exit import leave, one_thread_a_rank
from palpate.cli.style import CONTEXT, choose_loudness, dressed, with_example
from palpate.errors import InputError
from palpate.launcher import clear_pmix, launcher_size
from palpate.machine_failures import machine_fault
from palpate.receipt import ORDER, begin
from palpate.renamed import current_arguments
from palpate.resources import begin as begin_record

WITHOUT_ALGEBRA = ("run", "fetch", "deidentify", "status", "check", "config")
"""Commands that do not multiply matrices, or that report on it themselves."""


class _LazyGroup(TyperGroup):
    """Group that imports a command's module only when it is needed, so that no command waits for another's imports."""

    def list_commands(self, ctx: object) -> list[str]:  # noqa: ARG002 - typer's signature
        """Return the names of the commands, in the order of a study."""
        return list(COMMANDS)

    def get_command(self, ctx: object, cmd_name: str) -> TyperCommand | TyperGroup | None:  # noqa: ARG002
        """Return the command or group of commands of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        named = getattr(importlib.import_module(f"palpate.cli.{cmd_name}"), cmd_name)
        command = get_command(dressed(cmd_name, named))
        command.name = cmd_name
        return command if isinstance(command, TyperCommand | TyperGroup) else None


app = typer.Typer(
    cls=_LazyGroup,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=CONTEXT,
    epilog=with_example("palpate ingest sub-01/mre.zip --label sub-01_ses-01 --out wavefield"),
)


@app.callback(invoke_without_command=True)
def _palpate(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show errors only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show also the numbers of every step.")] = False,
) -> None:
    """Turn MR elastography into stiffness maps with their uncertainty. Not a medical device."""
    if version:
        print(f"palpate {__version__}")
        return
    if context.invoked_subcommand is None:
        print(context.get_help())
        return
    choose_loudness(quiet=quiet, verbose=verbose)
    _demand_one_process(context.invoked_subcommand)
    if context.invoked_subcommand not in WITHOUT_ALGEBRA and not {"-h", "--help"} & set(sys.argv):
        check_blas()
    if order := os.environ.pop(ORDER, None):
        begin(order)
    begin_record(context.invoked_subcommand)


def _demand_one_process(command: str) -> None:
    """Refuse a launcher of several ranks before a command that one process carries out, which would run N times.

    Raises:
        InputError: a launcher started several processes of this command.
    """
    if command in ON_RANKS or launcher_size() == 1:
        return
    *others, last = ON_RANKS
    raise InputError(
        f"palpate {command}",
        found=f"{launcher_size()} copies of the command, started by a launcher of MPI ranks",
        expected="one process",
        advice=f"Start it without mpiexec or srun; ranks share the work of {', '.join(others)} and {last} alone.",
    )


def _finish_stdout() -> None:
    """Write what stdout still holds; where that fails, Python would fail once more at its end.

    Raises:
        OSError: the disk behind stdout is full.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        sys.stdout = None
        raise


def run() -> NoReturn:
    """Run the command line in this process and leave with the exit code for the cause of a failure."""
    # PETSc would answer signals with a page of its own.
    os.environ["PETSC_OPTIONS"] = f"-no_signal_handler {os.environ.get('PETSC_OPTIONS', '')}"
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns of a home that it cannot write, and goes on
    clear_pmix()
    one_thread_a_rank()
    try:
        code = app(args=current_arguments(sys.argv[1:]), standalone_mode=False, prog_name="palpate")
        _finish_stdout()
    except typer.TyperException as error:  # an unknown option, a missing argument
        context: typer.Context | None = getattr(error, "ctx", None)  # only errors of one command have one
        command = context.command_path if context else "palpate"
        leave(error.exit_code, f"palpate: {error.format_message()} Try '{command} --help'.")
    except InputError as error:
        leave(2, f"palpate: {error}")
    except (KeyboardInterrupt, typer.Abort):  # only where no supervisor waits beside this process
        leave(130, "palpate: interrupted.")
    except BrokenPipeError:  # whoever read what this command prints has enough
        sys.stdout = None  # else Python complains once more at its end
        leave(2, "palpate: the program that read this output has closed it.")
    except Exception as error:  # noqa: BLE001 - the outermost door: whatever arrives here is the machine's or ours to mend
        fault = machine_fault(error)
        if fault is not None:
            with suppress(OSError):
                _finish_stdout()
            leave(2, f"palpate: {fault}")
        leave(1, f"{traceback.format_exc()}palpate: this is our bug, not your input. Please report the lines above.")
    gc.freeze()  # else Python searches all that was imported for cycles before it ends: a third of a second
    sys.exit(code if isinstance(code, int) else 0)
