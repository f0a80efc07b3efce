"""The page of a session: true to the files, closed to the network, free of identity, and usable without a mouse."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import pytest

from palpate.config.report import ReportSettings
from palpate.errors import InputError
from palpate.imaging.files.maps import Map, read_map, read_mask, write_map
from palpate.imaging.files.stiffness_folder import MODULI
from palpate.service.report.page import render
from palpate.service.report.planning_image import average_down, without_air
from palpate.service.report.session import read_session
from palpate.service.report.slices import SliceView, chosen_slices
from palpate.service.verify import verify_folder
from tests.conftest import Outcome

type SessionMaker = Callable[..., Any]
type Inside = Callable[..., Outcome]
type Files = Any


class Page(HTMLParser):
    """The elements, numbers and scripts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.numbers: list[tuple[str, float, str]] = []
        self.texts: dict[str, list[str]] = {"script": [], "style": [], "data": []}
        self._open: list[str] = []
        self.feed(text)
        values = [attributes for tag, attributes in self.elements if tag == "data"]
        for attributes, shown in zip(values, self.texts["data"], strict=True):
            self.numbers.append((str(attributes["data-key"]), float(str(attributes["value"])), shown))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the element."""
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag in self.texts:
            self.texts[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        """Close the element and what was left open in it."""
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Keep the text of scripts, styles and numbers."""
        if self._open and self._open[-1] in self.texts:
            self.texts[self._open[-1]][-1] += data


def _page(files: Files, *, truth: bool = True, **settings: object) -> str:
    return render(read_session(files.folder, files.truth if truth else None), ReportSettings.model_validate(settings))


@pytest.fixture(scope="module")
def finished_page(finished_session: Files) -> str:
    """The page of the session that nobody changes."""
    return _page(finished_session)


def test_nothing_is_fetched_and_only_its_own_scripts_run(finished_page: str) -> None:
    """The page lies on hospital machines: a single outside address would leak that a patient was looked at."""
    page = Page(finished_page)
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            if name in ("src", "href", "srcset", "action", "data", "poster", "formaction", "background"):
                assert str(value).startswith(("data:", "#")), f"{tag} {name}={value}"
        assert tag not in ("iframe", "object", "embed", "base", "form")
    assert not re.search(r"url\(|@import", "".join(page.texts["style"]))
    head = [attributes for tag, attributes in page.elements if tag == "meta"]
    policy = str(next(a["content"] for a in head if a.get("http-equiv") == "Content-Security-Policy"))
    assert "default-src 'none'" in policy
    assert not re.search(r"https?:|\*|script-src[^;]*'unsafe", policy)
    scripts = [t for t, (_, a) in zip(page.texts["script"], _scripts(page), strict=True) if a.get("type") is None]
    assert len(scripts) == 2
    for script in scripts:
        assert f"'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'" in policy


def _scripts(page: Page) -> list[tuple[str, dict[str, str | None]]]:
    return [element for element in page.elements if element[0] == "script"]


def test_every_number_is_the_files_number(finished_session: Files, finished_page: str) -> None:
    """A reader acts on the page, not on the NIfTI: each figure is computed anew from the files, the plain way."""
    page = Page(finished_page)
    mre = finished_session.mre
    informed = read_mask(mre / "sub-01_ses-01_desc-informed_mask.nii.gz")
    covered = read_map(mre / "sub-01_ses-01_stat-mean_storagemodulus.nii.gz").covered
    expected = {"informed_share": informed.sum() / covered.sum()}
    with h5py.File(mre / "sub-01_ses-01_samples.h5") as file:
        inside = informed[tuple(np.asarray(file["voxels"]).T)]
        storage, loss = (np.asarray(file[f"{modulus}_kpa"])[:, inside] for modulus in MODULI)
    for key, values in (
        ("storagemodulus_median_kpa", storage),
        ("lossmodulus_median_kpa", loss),
        ("complexmodulus_median_kpa", np.hypot(storage, loss)),
        ("losstangent_median", loss / storage),
    ):
        medians = np.sort(np.median(values, axis=1))
        expected[f"{key}_value"] = float(np.median(medians))
        # With 60 draws the 2.5 % position lies between the first and the second.
        place = 0.025 * 61 - 1
        expected[f"{key}_lower"] = float(medians[0] + place * (medians[1] - medians[0]))
        expected[f"{key}_upper"] = float(medians[-1] - place * (medians[-1] - medians[-2]))
    # The mean over the informed region of each draw; the summary's quantiles are by the same rule.
    for key, values in (("storagemodulus_mean_kpa", storage), ("lossmodulus_mean_kpa", loss)):
        means = np.sort(values.astype(np.float64).mean(axis=1))
        if key.startswith("loss"):
            continue
        expected[f"{key}_value"] = float(means.mean())
        expected[f"{key}_lower"] = float(means[0] + place * (means[1] - means[0]))
        expected[f"{key}_upper"] = float(means[-1] - place * (means[-1] - means[-2]))
    (run,) = verify_folder(mre, finished_session.truth)
    for modulus, score in run.scores.items():
        expected[f"{modulus}_error"] = score.median_error
        expected[f"{modulus}_direct"] = float(score.direct_median_error)
        expected[f"{modulus}_bias"] = score.median_bias
        expected[f"{modulus}_width"] = score.interval_width
        for item in score.coverage:
            expected[f"{modulus}_coverage_{100 * item.level:.0f}"] = item.share
    assert {key for key, _, _ in page.numbers} == set(expected)
    for key, value, _ in page.numbers:
        assert value == pytest.approx(expected[key], rel=1e-5), key


def test_what_is_read_is_the_number_rounded(finished_page: str) -> None:
    """The text beside each value must be that value: to half a unit of its last digit, percent or not."""
    for key, value, text in Page(finished_page).numbers:
        match = re.match(r"(-?[0-9]+)(?:\.([0-9]+))?( %)?", text)
        assert match, text
        shown = float(match[0].removesuffix(" %"))
        scale = 100.0 if match[3] else 1.0
        assert abs(shown - scale * value) <= 0.5000001 * 10.0 ** -len(match[2] or ""), key


def test_the_viewer_shows_the_maps(finished_session: Files, finished_page: str) -> None:
    """Volumes are squeezed for the page; they must stay within a thousandth of the colour scale and in place."""
    page = Page(finished_page)
    data = json.loads(next(t for t in page.texts["script"] if t.startswith("{")))
    pieces = {
        str(attributes["id"]): text
        for (_, attributes), text in zip(_scripts(page), page.texts["script"], strict=True)
        if attributes.get("type") == "text/plain"
    }
    (run,) = data["frames"]
    for layer in run["layers"]:
        statistic, modulus = layer["key"].split("-")
        if statistic == "above":
            continue
        source = read_map(finished_session.mre / f"sub-01_ses-01_stat-{statistic}_{modulus}.nii.gz")
        image = _image(pieces[layer["data"]])
        np.testing.assert_allclose(image.affine, source.affine_mm, atol=1e-4)
        np.testing.assert_allclose(image.get_fdata(), np.nan_to_num(source.values), atol=1e-3 * layer["top"])
    informed = read_mask(finished_session.mre / "sub-01_ses-01_desc-informed_mask.nii.gz")
    covered = read_map(finished_session.mre / "sub-01_ses-01_stat-mean_storagemodulus.nii.gz").covered
    np.testing.assert_array_equal(_image(pieces[run["veil"]]).get_fdata() > 0.5, covered & ~informed)
    assert _image(pieces[data["image"]["data"]]).shape[0] > 10


def _image(text: str) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text)))


def test_no_identifier_of_the_study(finished_session: Files, finished_page: str) -> None:
    """The page is passed around: labels of the study only, no DICOM identifier, no path of the machine."""
    assert "1.2.826" not in finished_page
    assert str(finished_session.folder) not in finished_page
    assert "Stiffness of sub-01 ses-01" in finished_page
    assert "not a medical device" in finished_page


def test_words_of_the_input_cannot_become_markup(make_session: SessionMaker) -> None:
    """Records come from other people's files; a tag in one must be shown, not obeyed."""
    files = make_session()
    path = files.mre / "sub-01_ses-01_inversion.json"
    record = json.loads(path.read_text())
    record["settings"]["note"] = "</script><script>alert(1)</script>"
    path.write_text(json.dumps(record))
    page = Page(_page(files))
    assert len([one for one in _scripts(page) if one[1].get("type") != "text/plain"]) == 3
    assert not any("alert(1)" in script for script in page.texts["script"])


def test_pictures_have_words_and_fields_have_labels(finished_page: str) -> None:
    """Who cannot see the maps still gets the numbers; who has no mouse still gets the controls."""
    page = Page(finished_page)
    pictures = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(pictures) >= 7
    assert all(len(str(attributes.get("alt") or "")) > 20 for attributes in pictures)
    assert ("html", {"lang": "en"}) in page.elements
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))
    identifiers = [a["id"] for _, a in page.elements if "id" in a]
    assert len(identifiers) == len(set(identifiers))
    for tag, attributes in page.elements:
        if tag == "a" and str(attributes["href"]).startswith("#"):
            assert str(attributes["href"])[1:] in identifiers


def test_the_same_session_gives_the_same_page(finished_session: Files, finished_page: str) -> None:
    """A page that changes without cause cannot be compared or archived by its digest."""
    assert _page(finished_session) == finished_page


@pytest.mark.long
def test_runs_share_one_page(make_session: SessionMaker) -> None:
    """Repeated runs are how a reader judges repeatability; each must be there, and the page must stay small."""
    files = make_session(runs=("_run-1", "_run-2"), frequencies_hz=(62.5,), anatomy=False)
    text = _page(files)
    for title in ("Run 1, 62.5 Hz", "Run 2, 62.5 Hz"):
        assert text.count(title) >= 3
    assert len(text) < 8e6


def test_a_bare_wave_field_folder_still_gets_a_page(make_session: SessionMaker) -> None:
    """Maps made elsewhere come without ingest, anatomy, draws, baseline or truth: the page shows what there is."""
    files = make_session(anatomy=False, dicom=False)
    shutil.rmtree(files.wavefield)
    for name in (
        "samples.h5",
        "desc-direct_storagemodulus.nii.gz",
        "desc-direct_lossmodulus.nii.gz",
        "desc-residual_map.nii.gz",
    ):
        (files.mre / f"sub-01_ses-01_{name}").unlink()
    text = _page(files, truth=False, viewer=False)
    assert "without intervals" in text
    assert "Beside the direct" not in text
    assert len(text) < 1e6


def test_warnings_reach_the_reader(make_session: SessionMaker) -> None:
    """A map that did not converge, or that prior assumptions made, must say so before its numbers are read."""
    files = make_session()
    record = files.mre / "sub-01_ses-01_inversion.json"
    kept = json.loads(record.read_text())
    record.write_text(json.dumps(kept | {"converged": False}))
    text = _page(files, viewer=False)
    assert text.index("Not converged") < text.index('headline"')
    stated = {"code": "not-converged", "sentence": "It did not converge in 3 steps.", "advice": ""}
    record.write_text(json.dumps(kept | {"converged": False, "warnings": [stated]}))
    assert _page(files, viewer=False).count("not converge") == 1
    mask = files.mre / "sub-01_ses-01_desc-informed_mask.nii.gz"
    old = read_map(mask)
    write_map(mask, np.zeros_like(old.values), old.affine_mm, units="1", description="informed")
    text = _page(files, viewer=False)
    assert text.count("No voxel has a value that comes mostly from this scan") == 1
    assert "Only 0 %" not in text


def _warning(number: int) -> dict[str, str]:
    return {"code": f"code-{number}", "sentence": f"Sentence {number}.", "advice": f"Advice {number}."}


def test_every_records_warnings_are_listed_once(make_session: SessionMaker) -> None:
    """Steps warn in several places and, for one version, under two keys; each warning is shown, and none twice."""
    files = make_session(frequencies_hz=(50.0, 70.0))
    inversion = files.mre / "sub-01_ses-01_inversion.json"
    content = json.loads(inversion.read_text())
    content |= {"warnings": [_warning(1)], "doubts": ["Sentence 1. Advice 1.", "An older doubt."]}
    content["per_frequency"][1] |= {"warnings": [_warning(2)]}
    inversion.write_text(json.dumps(content))
    ingest = files.wavefield / "sub-01_ses-01_ingest.json"
    content = json.loads(ingest.read_text())
    content |= {"warnings": [_warning(3)]}
    content["frequencies"][0] |= {"warnings": [_warning(4)]}
    content["anatomy"] |= {"registration": {"doubts": ["The anatomy was moved."]}}
    ingest.write_text(json.dumps(content))
    text = _page(files, viewer=False)
    listed = text[text.index('class="notes"') : text.index("</section>")]
    for number in (1, 2, 3, 4):
        assert listed.count(f"Sentence {number}. Advice {number}.") == 1
    assert "70 Hz: Sentence 2." in listed
    assert "50 Hz: Sentence 4." in listed
    assert listed.count("An older doubt.") == listed.count("The anatomy was moved.") == 1


def test_the_clinicians_sentence_stands_once(finished_page: str) -> None:
    """An interval is easily taken for a normal range."""
    said = "the true value lies inside the 95 % interval in 95 of 100 voxels. It is not a normal range."
    assert finished_page.count(said) == 1


def test_isotropy_is_named_beside_the_figure(finished_page: str) -> None:
    """Fibres leave no trace in the waves, so that no warning can find them: the assumption stands before any map."""
    (place,) = [found.start() for found in re.finditer("isotropic tissue assumed; fibres of ratio 2", finished_page)]
    assert finished_page.index('class="headline"') < place < finished_page.index('id="viewer"')


def test_numbers_that_are_none_are_dashes(make_session: SessionMaker) -> None:
    """Draws that hold no informed voxel have no median; "nan kPa" or an older number in its place would be read."""
    files = make_session()
    with h5py.File(files.mre / "sub-01_ses-01_samples.h5", "r+") as file:
        for modulus in MODULI:
            file[f"{modulus}_kpa"][...] = np.nan
    page = Page(_page(files, truth=False, viewer=False))
    assert not [key for key, value, _ in page.numbers if not np.isfinite(value)]
    assert not any("nan" in text for text in page.texts["data"])


def test_slices_are_shown_the_radiological_way() -> None:
    """Left and right are mixed up once in every career: the patient's right must be on the left, front on top."""
    position = np.stack(np.meshgrid(*(np.arange(n) for n in (6, 5, 4)), indexing="ij"), axis=-1).astype(float)
    for edges in (np.diag([2.0, 2.0, 3.0]), np.diag([-2.0, 2.0, 3.0]), np.diag([2.0, -2.0, 3.0]), _swapped()):
        affine_mm = np.eye(4)
        affine_mm[:3, :3] = edges
        world = position @ edges.T
        view = SliceView.of(affine_mm, np.ones((6, 5, 4), dtype=bool))
        right, front = view.picture(world[..., 0], 1), view.picture(world[..., 1], 1)
        assert np.all(np.diff(right, axis=1) < 0.0)
        assert np.all(np.diff(front, axis=0) < 0.0)
        assert view.labels == ("R", "L", "A", "P")


def _swapped() -> np.ndarray:
    return np.array([[0.0, 2.0, 0.0], [-2.0, 0.0, 0.0], [0.0, 0.0, 3.0]])


def test_slices_go_through_the_region() -> None:
    """A slice beside the informed tissue would show nothing."""
    region = np.zeros((4, 4, 20), dtype=bool)
    region[:, :, 8:14] = True
    assert all(8 <= index < 14 for index in chosen_slices(region))


def test_anatomy_keeps_its_place_when_cropped_and_averaged() -> None:
    """The overlay lies on the squeezed anatomy: a landmark must stay where it is in the world."""
    shape = (40, 44, 36)
    affine_mm = np.diag([0.8, 0.8, 1.0, 1.0])
    affine_mm[:3, 3] = [-15.0, -12.0, -9.0]
    world = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1) @ affine_mm[:3, :3].T
    landmark_mm = np.array([1.0, 3.0, 5.0])
    blob = np.exp(-(((world + affine_mm[:3, 3] - landmark_mm) / 2.5) ** 2).sum(axis=-1)).astype(np.float32)
    cut = without_air(Map(blob, affine_mm, "1", ""))
    assert cut.values.size < blob.size
    for image in (cut, average_down(cut, 1.7)):
        weights = image.values / image.values.sum()
        indices = np.stack(np.meshgrid(*(np.arange(n) for n in image.values.shape), indexing="ij"), axis=-1)
        centre = (weights[..., None] * indices).sum(axis=(0, 1, 2))
        np.testing.assert_allclose(image.affine_mm[:3, :3] @ centre + image.affine_mm[:3, 3], landmark_mm, atol=0.05)


def test_bad_sessions_are_the_users_input(make_session: SessionMaker, palpate_inside: Inside, tmp_path: Path) -> None:
    """Each ends in exit code 2, one sentence, and no page."""
    files = make_session()
    out = tmp_path / "report.html"

    def refused(*arguments: object) -> str:
        done = palpate_inside("report", "--out", out, *arguments)
        assert done.code == 2, done.printed
        assert done.printed.count("\n") == 1
        assert not out.exists()
        return done.printed

    assert "stat-mean" in refused("--session", tmp_path / "nothing")
    assert "no such file" in refused("--session", files.folder, "--truth", tmp_path)
    assert "unknown key" in refused("--session", files.folder, "--settings", '{"vewer": true}')
    with pytest.raises(InputError, match="not JSON"):
        (files.mre / "sub-01_ses-01_inversion.json").write_text("{")
        read_session(files.folder)
