"""`palpate prior`: priors of a tumour's parameters that hospitals learn together without sharing patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

prior = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Learn population priors from calibrated patients, and pool those of several hospitals.",
)


@prior.command()
def learn(
    calibrations: Annotated[
        list[Path], typer.Argument(help="Results folder with sub-*/twin/calibration, or calibration folders.")
    ],
    out: Annotated[Path, typer.Option(help="JSON file to write and to share.")],
) -> None:
    """Learn how parameters are distributed over at least 10 calibrated patients of one hospital.

    The file holds the number of patients, means and covariance of the logarithms of rates (1/s, m2/s),
    radiosensitivity (1/Gy) and kill by drugs (1/g), and the settings of the twin that follow. It holds nothing of any
    single patient. What the data of the patients do not tell stays as in the prior of the configuration.
    """
    from palpate.outputs import claim_file
    from palpate.progress import say
    from palpate.twin.calibration_file import load_calibration
    from palpate.twin.trust.shared_prior import PRIOR, population_of, population_text
    from palpate.twin.trust.studies import calibration_files

    target = claim_file(out, PRIOR, {f"calibration {at}": path for at, path in enumerate(calibrations)})
    files = calibration_files(calibrations)
    found = population_of({str(path): load_calibration(path) for path in files})
    with target.writing() as partial:
        partial.write_text(population_text(found), encoding="utf-8")
    say(f"prior of {found.patients} patients in {out}")


@prior.command()
def pool(
    priors: Annotated[list[Path], typer.Argument(help="Files of palpate prior learn or palpate prior pool.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.")],
) -> None:
    """Pool the priors of several hospitals, each by its number of patients; hospitals may join one after another."""
    from palpate.errors import InputError
    from palpate.outputs import claim_file
    from palpate.progress import say
    from palpate.twin.trust.population import pool as pooled
    from palpate.twin.trust.shared_prior import PRIOR, population_text, read_population

    target = claim_file(out, PRIOR, {f"prior {at}": path for at, path in enumerate(priors)})
    read = [read_population(path) for path in priors]
    for path, one in zip(priors, read, strict=True):
        if one.names != read[0].names:
            raise InputError(
                path,
                found=f"the parameters {', '.join(one.names)}",
                expected=f"those of {priors[0]}: {', '.join(read[0].names)}",
                advice="Pool hospitals that calibrated with the same drugs.",
            )
    found = pooled(read)
    with target.writing() as partial:
        partial.write_text(population_text(found), encoding="utf-8")
    say(f"prior of {found.patients} patients of {len(read)} files in {out}")
