"""Line and bar plots as SVG data: convergence, calibration, residuals, harmonics; and truth against estimate as PNG."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from palpate.imaging.files.stiffness_folder import Modulus
from palpate.service.report.pictures import INK, QUIET, png
from palpate.service.score import Score

# Told apart by people with any colour vision, and in grey.
COLOURS: Final[Mapping[Modulus, str]] = {"storagemodulus": "#0b6e6e", "lossmodulus": "#c4622d"}
"""Colours of the moduli, which people with any colour vision tell apart, also in grey."""
NAMES: Final[Mapping[Modulus, str]] = {"storagemodulus": "G′", "lossmodulus": "G″"}
"""Symbols of the moduli."""
_SIZE = (4.7, 3.1)


def convergence(objective: Sequence[float], misfit: Sequence[float]) -> str:
    """Draw objective and misfit over Gauss-Newton iterations; logarithmic where all are positive."""
    figure, axes = chart()
    if min([*objective, *misfit]) > 0.0:
        axes.set_yscale("log")
    axes.plot(range(len(objective)), objective, "-o", color=COLOURS["storagemodulus"], ms=4, label="objective")
    if misfit:
        axes.plot(range(len(misfit)), misfit, "--s", color=COLOURS["lossmodulus"], ms=3.5, label="misfit")
    axes.set_xlabel("Gauss-Newton iteration")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)
    return svg_data(figure)


def calibration(scores: Mapping[Modulus, Score]) -> str:
    """Draw the observed coverage of intervals over their probability; on the diagonal the intervals are calibrated."""
    figure, axes = chart()
    axes.plot([0.4, 1.0], [0.4, 1.0], color=QUIET, lw=1, ls=":")
    for shift, (modulus, score) in zip((-0.004, 0.004), scores.items(), strict=True):
        levels = np.array([item.level for item in score.coverage])
        shares = np.array([item.share for item in score.coverage])
        below = shares - [item.lower for item in score.coverage]
        above = [item.upper for item in score.coverage] - shares
        axes.errorbar(
            levels + shift,
            shares,
            yerr=np.maximum([below, above], 0.0),
            fmt="o",
            ms=5,
            capsize=3,
            lw=1.3,
            color=COLOURS[modulus],
            label=NAMES[modulus],
        )
    axes.set_xlabel("nominal probability of the interval")
    axes.set_ylabel("share that holds the truth")
    axes.set_ylim(0.3, 1.02)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return svg_data(figure)


def rank_histograms(densities: Mapping[Modulus, NDArray[np.floating]], kind: str) -> str:
    """Draw ranks of the truth among posterior draws: flat if calibrated, a bowl if too narrow, a hill if too wide.

    Args:
        densities: density of the ranks in equal bins of [0, 1], for each modulus.
        kind: things that are ranked, such as voxels.
    """
    figure, axes = chart()
    axes.axhline(1.0, color=QUIET, lw=1, ls=":")
    for modulus, density in densities.items():
        axes.stairs(
            density, np.linspace(0.0, 1.0, len(density) + 1), color=COLOURS[modulus], lw=1.5, label=NAMES[modulus]
        )
    axes.set_xlabel(f"{kind}: rank of the truth among the draws")
    axes.set_ylabel("density")
    axes.set_ylim(bottom=0.0)
    axes.legend(frameon=False, fontsize=8)
    return svg_data(figure)


def coverage_by_kind(shares: Mapping[str, Mapping[Modulus, tuple[float, float]]], level: float) -> str:
    """Draw the share of intervals of one level that hold the truth, a row for each kind, with two standard errors.

    Args:
        shares: share and its standard error for each kind and modulus.
        level: probability of the intervals.
    """
    figure, axes = chart()
    axes.axvline(level, color=QUIET, lw=1, ls=":")
    for row, by_modulus in enumerate(shares.values()):
        for shift, (modulus, (share, error)) in zip((-0.13, 0.13), by_modulus.items(), strict=True):
            axes.errorbar(
                share, row + shift, xerr=2.0 * error, fmt="o", ms=4, capsize=2, lw=1.2, color=COLOURS[modulus],
                label=NAMES[modulus] if row == 0 else None,
            )  # fmt: skip
    axes.set_yticks(range(len(shares)), list(shares), fontsize=7.5)
    axes.invert_yaxis()
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel(f"share of {100 * level:.0f} % intervals that hold the truth")
    axes.legend(frameon=False, fontsize=8, loc="best")
    return svg_data(figure)


def residual_histogram(residual: NDArray[np.floating], *, signed: bool) -> str:
    """Draw a histogram of normalised residuals beside that of white noise of the assumed strength.

    Args:
        residual: residual over its standard deviation, shape (n,).
        signed: whether the residual has a sign; else it is a root mean square over components.
    """
    figure, axes = chart()
    top = float(np.clip(np.percentile(np.abs(residual), 99.5), 2.0, 8.0))
    bins = np.linspace(-top if signed else 0.0, top, 46)
    axes.hist(residual, bins=list(bins), density=True, color=COLOURS["storagemodulus"], alpha=0.55, label="residual")
    if signed:
        axes.plot(bins, np.exp(-(bins**2) / 2.0) / np.sqrt(2.0 * np.pi), color=INK, lw=1.4, label="white noise")
    else:
        axes.axvline(1.0, color=INK, lw=1.4, label="expected size")
    axes.set_xlabel("residual / its standard deviation")
    axes.set_yticks([])
    axes.legend(frameon=False, fontsize=8)
    return svg_data(figure)


def harmonics(amplitudes: NDArray[np.floating], names: Sequence[str], unit: str) -> str:
    """Draw the amplitude of each temporal harmonic for each encoding direction, logarithmic.

    Args:
        amplitudes: amplitudes of the harmonics, shape (n_directions, n_harmonics).
        names: names of the directions.
        unit: unit of the amplitudes.
    """
    figure, axes = chart()
    n_directions, n_harmonics = amplitudes.shape
    width = 0.8 / n_directions
    shades = [COLOURS["storagemodulus"], "#6fb1a8", COLOURS["lossmodulus"], "#e2b48c"]
    for number, (row, name) in enumerate(zip(amplitudes, names, strict=True)):
        at = np.arange(1, n_harmonics + 1) + (number - (n_directions - 1) / 2.0) * width
        axes.bar(at, row, width=0.92 * width, color=shades[number % len(shades)], label=name)
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.3 * float(amplitudes[amplitudes > 0.0].min(initial=1.0)))
    axes.set_xticks(range(1, n_harmonics + 1))
    axes.set_xlabel("harmonic of the vibration")
    axes.set_ylabel(f"amplitude, {unit}" if unit else "amplitude")
    axes.legend(frameon=False, fontsize=8)
    return svg_data(figure)


def directions(flux: NDArray[np.floating]) -> str:
    """Draw the share of the waves' flux by direction of travel, on an equal-area map of the sphere.

    Args:
        flux: direction and strength of travel along R, A, S at each point, shape (n, 3).
    """
    figure, axes = chart()
    size = np.linalg.norm(flux, axis=1)
    azimuth = np.degrees(np.arctan2(flux[:, 1], flux[:, 0])) % 360.0
    height = flux[:, 2] / np.maximum(size, 1e-300)
    density, *_ = np.histogram2d(azimuth, height, bins=(24, 12), range=((0.0, 360.0), (-1.0, 1.0)), weights=size)
    uniform = size.sum() / density.size
    image = axes.imshow(
        density.T / max(uniform, 1e-300), origin="lower", extent=(0, 360, -1, 1), aspect="auto", cmap="YlGnBu", vmin=0.0
    )
    axes.set_xticks([0, 90, 180, 270, 360], ["R", "A", "L", "P", "R"])
    axes.set_yticks([-1.0, 0.0, 1.0], ["I", "level", "S"])
    bar = figure.colorbar(image, ax=axes)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7.5, colors=QUIET)
    bar.set_label("flux over its mean", fontsize=8, color=QUIET)
    return svg_data(figure)


def truth_against_estimate(pairs: Mapping[Modulus, tuple[NDArray[np.floating], NDArray[np.floating]]]) -> str:
    """Draw the density of voxels over true and estimated moduli, kPa; on the diagonal the estimate is right.

    Args:
        pairs: truth and posterior mean in the voxels that count, for each modulus, kPa, each of shape (n,).
    """
    figure = Figure(figsize=(9.6, 3.5), dpi=110, facecolor="white", layout="constrained")
    for axes, (modulus, (true_kpa, mean_kpa)) in zip(figure.subplots(1, len(pairs)), pairs.items(), strict=True):
        top = float(np.percentile(np.concatenate([true_kpa, mean_kpa]), 99.8)) * 1.05
        axes.hexbin(true_kpa, mean_kpa, gridsize=45, extent=(0, top, 0, top), cmap="YlGnBu", mincnt=1, linewidths=0.1)
        axes.plot([0, top], [0, top], color=INK, lw=1, ls=":")
        axes.set_xlim(0, top)
        axes.set_ylim(0, top)
        axes.set_aspect("equal")
        axes.set_xlabel(f"true {NAMES[modulus]}, kPa")
        axes.set_ylabel(f"posterior mean {NAMES[modulus]}, kPa")
        _quiet(axes)
    return png(figure)


def chart(size: tuple[float, float] = _SIZE) -> tuple[Figure, Axes]:
    """Return an empty plot in the page's style.

    Args:
        size: width and height, inches.
    """
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    axes = figure.subplots()
    _quiet(axes)
    return figure, axes


def _quiet(axes: Axes) -> None:
    """Take away what does not carry meaning."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#b8c2c8")
    axes.tick_params(which="both", colors=QUIET, labelsize=8)
    axes.xaxis.label.set(fontsize=8.5, color=INK)
    axes.yaxis.label.set(fontsize=8.5, color=INK)


def svg_data(figure: Figure) -> str:
    """Return the figure as a data URI; equal figures give equal bytes, and no reader's fonts change it."""
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "palpate"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
