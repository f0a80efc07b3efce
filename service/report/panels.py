"""Pictures of one run, from maps to plots, each with a description for those who cannot see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from palpate.config.report import ReportSettings
from palpate.imaging.files.stiffness_folder import MODULI, Modulus
from palpate.service.report import content, plots
from palpate.service.report.pictures import Layer, sheet
from palpate.service.report.scales import MODULUS_COLOURS, SPREAD_COLOURS
from palpate.service.report.session import RunView
from palpate.service.report.slices import SliceView, chosen_slices
from palpate.service.report.viewer import colour_tops_kpa
from palpate.units import m_to_um

_ERROR_COLOURS = "RdBu_r"
_WAVE_COLOURS = "PuOr"
_ALONG_AN_AXIS = 0.99
"""Cosine above which a direction is called by the axis that it nearly has."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Picture of the page, with its description.

    Attributes:
        source: data URI of the picture.
        alt: content of the picture in words, for those who cannot see it.
        caption: explanation of how to read the picture.
        title: heading of the picture; empty where it stands under another.
    """

    source: str
    alt: str
    caption: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Panels:
    """Pictures of one run on one set of slices.

    Attributes:
        run: run to show.
        settings: settings of the page.
        view: orientation and window of the slices.
        slices: indices of the slices along the third axis.
    """

    run: RunView
    settings: ReportSettings
    view: SliceView
    slices: tuple[int, ...]

    @classmethod
    def of(cls, run: RunView, settings: ReportSettings) -> Panels:
        """Choose slices through the informed region, or through the mask where no voxel is informed."""
        stiffness = run.stiffness
        covered = stiffness.moduli["storagemodulus"].mean.covered
        region = stiffness.informed if stiffness.informed.any() else covered
        return cls(run, settings, SliceView.of(stiffness.affine_mm, covered), chosen_slices(region))

    def maps(self) -> Picture:
        """Draw anatomy or magnitude, means and spreads of both moduli, and the relative spread."""
        moduli, informed = self.run.stiffness.moduli, self.run.stiffness.informed
        tops = colour_tops_kpa(self.run, self.settings)
        layers = []
        for modulus in MODULI:
            name = plots.NAMES[modulus]
            mean, std = moduli[modulus].mean.values, moduli[modulus].std.values
            top = tops["mean", modulus]
            layers.append(Layer(f"{name}, posterior mean", mean, MODULUS_COLOURS, 0.0, top, "kPa", informed))
            top = tops["std", modulus]
            layers.append(Layer(f"{name}, standard deviation", std, SPREAD_COLOURS, 0.0, top, "kPa", informed))
        if self.run.magnitude is not None and self.run.magnitude.values.shape == informed.shape:
            grey = self.run.magnitude.values
            bottom, top = (float(v) for v in np.nanpercentile(grey, [1.0, 99.5]))
            layers.append(Layer("MRE magnitude", grey, "gray", bottom, top, None, informed))
            relative = std_over_mean(self.run, "storagemodulus")
            layers.append(Layer("G′, standard deviation over mean", relative, SPREAD_COLOURS, 0.0, 0.5, "", informed))
        return Picture(
            source=sheet(layers, self.view, self.slices),
            alt=f"Slices of posterior mean and standard deviation of both moduli. {self._range_words()}",
            caption="Three slices through the slab, from low to high. The patient's right is on the left; "
            + informed_words(informed, moduli["storagemodulus"].mean.covered),
        )

    def beside(self) -> tuple[str, Picture] | None:
        """Draw direct inversion, posterior and, if known, truth, on one scale; return the heading and the picture."""
        run = self.run
        tops = colour_tops_kpa(run, self.settings)
        layers = []
        for modulus in MODULI:
            marginals, name = run.stiffness.moduli[modulus], plots.NAMES[modulus]
            rows = [("direct inversion", marginals.direct), ("posterior mean", marginals.mean)]
            if run.truth is not None:
                rows.append(("truth", run.truth[modulus]))
            for words, the_map in rows:
                if the_map is not None:
                    values, top = the_map.values, tops["mean", modulus]
                    layers.append(Layer(f"{name}, {words}", values, MODULUS_COLOURS, 0.0, top, "kPa"))
            if run.truth is not None:
                error = 100.0 * (marginals.mean.values / run.truth[modulus].values - 1.0)
                layers.append(Layer(f"{name}, error of the mean", error, _ERROR_COLOURS, -40.0, 40.0, "%"))
        if run.truth is None and all(run.stiffness.moduli[modulus].direct is None for modulus in MODULI):
            return None
        title = "Beside the direct inversion" + ("" if run.truth is None else " and the truth")
        caption = "The direct inversion divides measured derivatives; it has no interval."
        picture = Picture(
            source=sheet(by_column(layers), self.view, self.slices),
            alt="The same slices of G′ (left) and G″ (right): " + "; ".join(layer.name for layer in layers),
            caption=caption + (" The truth was given with the session." if run.truth else ""),
        )
        return title, picture

    def waves(self) -> Picture | None:
        """Draw the real and imaginary part of the displacement along R, A and S, or along the measured directions."""
        field = self.run.field
        if field is None:
            return None
        u_um = m_to_um(field.displacement_m)
        unit = content.displacement_unit(self.run)
        layers = []
        tops = []
        names = list("RAS") if field.directions is None else [_direction_name(one) for one in field.directions]
        whole = "along right, anterior and superior," if field.directions is None else "along the measured directions,"
        for number, axis in enumerate(names):
            tops.append(float(np.percentile(np.abs(u_um[field.mask, number]), 99.0)))
            for words, part in (("Re", u_um.real), ("Im", u_um.imag)):
                values = np.where(field.mask, part[..., number], np.nan)
                layers.append(Layer(f"{words} U along {axis}", values, _WAVE_COLOURS, -tops[-1], tops[-1], unit))
        return Picture(
            source=sheet(layers, self.view, self.slices),
            alt=f"Slices of real and imaginary part of the displacement along {', '.join(names)}, up to "
            + ", ".join(f"{top:.3g}" for top in tops)
            + f" {unit}.",
            caption=f"The measured displacement, the input of the inversion, {whole} bulk motion included.",
        )

    def residual(self) -> Picture | None:
        """Draw the residual over its standard deviation."""
        residual = self.run.stiffness.residual
        if residual is None or residual.values.shape != self.run.stiffness.informed.shape:
            return None
        signed = is_signed(residual.values)
        colours, bottom = (_ERROR_COLOURS, -4.0) if signed else (SPREAD_COLOURS, 0.0)
        layer = Layer("Residual over its standard deviation", residual.values, colours, bottom, 4.0, "")
        return Picture(
            source=sheet([layer], self.view, self.slices, columns=1),
            alt="Slices of the normalised residual.",
            caption="Structure in this map shows what the model does not explain: waves that it lacks, or noise that is"
            " not white.",
        )

    def plots(self) -> list[Picture]:
        """Draw convergence, calibration, residuals, harmonics and directions of travel, if their data are there."""
        kinds = (self._convergence, self._calibration, self._histogram, self._harmonics, self._directions)
        return [made for made in (kind() for kind in kinds) if made]

    def scatter(self) -> Picture | None:
        """Draw truth against estimate where the truth is known."""
        if self.run.truth is None or self.run.scores is None:
            return None
        pairs: dict[Modulus, tuple[NDArray[np.floating], NDArray[np.floating]]] = {}
        for modulus in MODULI:
            true_kpa = self.run.truth[modulus].values
            counted = self.run.stiffness.informed & np.isfinite(true_kpa)
            pairs[modulus] = (true_kpa[counted], self.run.stiffness.moduli[modulus].mean.values[counted])
        words = [f"{plots.NAMES[m]}: {_correlation(*pair)}" for m, pair in pairs.items()]
        return Picture(
            source=plots.truth_against_estimate(pairs),
            alt="Density of voxels over true and estimated moduli. " + "; ".join(words),
            caption="Informed voxels; darker means more voxels. On the dotted line the estimate equals the truth.",
        )

    def _range_words(self) -> str:
        """Return the spread of the posterior mean over the tissue, in words."""
        words = []
        for modulus in MODULI:
            the_map = self.run.stiffness.moduli[modulus].mean
            if not the_map.covered.any():
                words.append(f"no voxel has a value of {plots.NAMES[modulus]}")
                continue
            low, high = np.percentile(the_map.values[the_map.covered], [5.0, 95.0])
            words.append(f"{plots.NAMES[modulus]} from {low:.2f} to {high:.2f} kPa in nine tenths of the tissue")
        return "; ".join(words) + "."

    def _convergence(self) -> Picture | None:
        steps = [s for s in self.run.stiffness.inversion.get("iterations") or [] if s.get("objective") is not None]
        if len(steps) < 2:
            return None
        misfit = [step["misfit"] for step in steps if step.get("misfit") is not None]
        first, last = steps[0]["objective"], steps[-1]["objective"]
        return Picture(
            source=plots.convergence(
                [step["objective"] for step in steps], misfit if len(misfit) == len(steps) else []
            ),
            alt=f"The objective falls from {first:.3g} to {last:.3g} in {len(steps) - 1} iterations.",
            caption="A flat end means that further iterations change nothing.",
            title="Convergence",
        )

    def _calibration(self) -> Picture | None:
        if self.run.scores is None:
            return None
        words = [
            f"{plots.NAMES[modulus]}, {100 * item.level:.0f} % interval: {100 * item.share:.1f} %"
            for modulus, score in self.run.scores.items()
            for item in score.coverage
        ]
        return Picture(
            source=plots.calibration(self.run.scores),
            alt="Share of voxels whose interval holds the truth. " + "; ".join(words),
            caption="On the dotted line intervals contain the truth as often as stated. Below it they are too narrow.",
            title="Coverage of the intervals",
        )

    def _histogram(self) -> Picture | None:
        residual = self.run.stiffness.residual
        if residual is None or not residual.covered.any():
            return None
        values = residual.values[residual.covered]
        size, signed = float(np.sqrt(np.mean(values.astype(float) ** 2))), is_signed(residual.values)
        words = (
            "If it is much wider than white noise, the model misses something. If it is much narrower, the noise is"
            " overstated."
        )
        if not signed:
            words = (
                "Size in each voxel. If most voxels lie far above the expected size, the model misses something. If"
                " most lie far below, the noise is overstated. The fit is closer at the edge of the tissue."
            )
        return Picture(
            source=plots.residual_histogram(values, signed=signed),
            alt=f"Histogram of the normalised residual; its root mean square is {size:.2f}.",
            caption=words,
            title="Residual",
        )

    def _harmonics(self) -> Picture | None:
        directions = self.run.frequency_record.get("directions") or []
        rows = [one["harmonic_amplitudes_rad"] for one in directions if one.get("harmonic_amplitudes_rad")]
        if not rows or len({len(row) for row in rows}) != 1:
            return None
        names = [f"encoding {number}" for number in range(1, len(rows) + 1)]
        return Picture(
            source=plots.harmonics(np.asarray(rows, dtype=float), names, "rad"),
            alt="Amplitude of each harmonic: "
            + "; ".join(
                f"{name} {', '.join(f'{v:.2g}' for v in row)} rad" for name, row in zip(names, rows, strict=True)
            ),
            caption="The vibration is the first harmonic. The others hold noise alone; its size is measured there.",
            title="Signal and noise of the scan",
        )

    def _directions(self) -> Picture | None:
        travel = self.run.directions
        if travel is None:
            return None
        shares = ", ".join(f"{side} {100 * share:.0f} %" for side, share in travel.towards().items())
        return Picture(
            source=plots.directions(travel.flux),
            alt=f"Share of the waves' flux by the side of the patient that it travels towards: {shares}.",
            caption=f"Towards {shares}. Waves from many sides probe every part of the tissue; if all travel one way,"
            " parts that they reach weakly are less certain.",
            title="Where the waves travel",
        )


def _correlation(true_kpa: NDArray[np.floating], mean_kpa: NDArray[np.floating]) -> str:
    """Return the correlation of two lists of voxels in words; constant or single values have none."""
    if len(true_kpa) < 2 or not true_kpa.std() or not mean_kpa.std():
        return "no correlation can be stated"
    return f"correlation {np.corrcoef(true_kpa, mean_kpa)[0, 1]:.2f}"


def std_over_mean(run: RunView, modulus: Modulus) -> NDArray[np.floating]:
    """Return the posterior standard deviation over the mean, shape (i, j, k)."""
    marginals = run.stiffness.moduli[modulus]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(marginals.std.values / marginals.mean.values)


def informed_words(informed: NDArray[np.bool_], covered: NDArray[np.bool_]) -> str:
    """Return the end of a caption that says which voxels are informed.

    Args:
        informed: informed voxels, shape (i, j, k).
        covered: voxels with a value, shape (i, j, k).
    """
    if not informed.any():
        return "no voxel is informed."
    return "all voxels are informed." if informed[covered].all() else "the line encloses the informed voxels."


def is_signed(values: NDArray[np.floating]) -> bool:
    """Return whether a residual has a sign, rather than being a size."""
    return bool(np.nanmin(values) < 0.0)


def by_column(layers: list[Layer]) -> list[Layer]:
    """Order layers for a sheet of two columns: the first half on the left, the second on the right."""
    half = len(layers) // 2
    return [layer for pair in zip(layers[:half], layers[half:], strict=True) for layer in pair]


def _direction_name(direction: NDArray[np.float64]) -> str:
    """Return a direction in words: the nearest of R, A and S, or its cosines where it is oblique."""
    nearest = int(np.abs(direction).argmax())
    if abs(direction[nearest]) > _ALONG_AN_AXIS:
        return "RAS"[nearest]
    return " ".join(f"{cosine:.2f}" for cosine in direction)
