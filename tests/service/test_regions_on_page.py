"""Labelled regions on the page: the numbers of regions.tsv, and a click that leads to the region."""

from __future__ import annotations

import csv
import html
import json
import re
import shutil
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from numpy.typing import NDArray

from palpate.config.report import ReportSettings
from palpate.errors import InputError
from palpate.imaging.dicom_out import report_codes
from palpate.imaging.files.nifti import write_nifti
from palpate.imaging.files.stiffness_folder import read_stiffness
from palpate.imaging.region_values.command import RegionsCommand, write_regions
from palpate.service.query.ask import Query, ask
from palpate.service.query.options import QueryOptions
from palpate.service.query.region_spec import SphereSpec
from palpate.service.query.report import report_identity, write_report
from palpate.service.query.session import open_session
from palpate.service.report.page import render
from palpate.service.report.session import read_session
from tests.service.browser import needs_browser, running_browser
from tests.service.conftest import SHAPE, SessionFiles

NAMES = {1: "front & left", 2: "rechts außen", 7: "ring"}
SPHERE = "-24,-14,30,10"
ROW = re.compile(r"<tr(?: data-mm=\"([^\"]*)\")?><th scope=\"row\">(?:<button[^>]*>)?([^<]*)(.*?)</tr>", re.DOTALL)
DATA = re.compile(r'<data value="([^"]*)" data-key="region_([a-z_]+)">([^<]*)</data>')
SEEN = (
    "(() => { const b = document.getElementById('viewer-canvas').getBoundingClientRect();"
    " return b.top < innerHeight && b.bottom > 0; })()"
)
POINT = "Array.from(niivue.frac2mm(niivue.scene.crosshairPos, 0, true)).slice(0, 3)"


@pytest.fixture(scope="module")
def session(finished_session: SessionFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session with a table of three labels and a sphere; only read."""
    folder = tmp_path_factory.mktemp("regions") / "sub-01" / "ses-01"
    shutil.copytree(finished_session.folder, folder)
    labels = folder.parent / "dseg.nii.gz"
    write_nifti(labels, _labels(), read_stiffness(folder / "mre")[0].affine_mm)
    told = "index\tname\n" + "".join(f"{index}\t{name}\n" for index, name in NAMES.items())
    labels.with_name("dseg.tsv").write_text(told, encoding="utf-8")
    write_regions(RegionsCommand(folder, labels=labels, spheres=(SPHERE,)), None)
    return folder


def _labels() -> NDArray[np.uint8]:
    """Two boxes, and a ring whose middle is not in it."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[4:9, 6:15, 3:9], labels[9:12, 6:15, 3:9] = 1, 2
    labels[12:17, 8:13, 5] = 7
    labels[13:16, 9:12, 5] = 0
    return labels


def _page(folder: Path) -> str:
    return render(read_session(folder), ReportSettings())


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "regions.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def _tables(page: str) -> list[list[tuple[str, str, dict[str, tuple[float, str]]]]]:
    """Name, place, and numbers of each row of each table of regions, as value and text."""
    return [
        [
            (html.unescape(name), place, {key: (float(value), text) for value, key, text in DATA.findall(cells)})
            for place, name, cells in ROW.findall(table.partition("<tbody>")[2])
        ]
        for table in re.findall(r'<table class="regions">(.*?)</table>', page, re.DOTALL)
    ]


def test_every_row_is_the_files_row(session: Path) -> None:
    """A number on the page that differs from the table in its last digit makes a reader doubt both."""
    tables, rows = _tables(_page(session)), _rows(session)
    quantities = list(dict.fromkeys(one["quantity"] for one in rows))
    assert len(tables) == len(quantities) == 4
    for quantity, table in zip(quantities, tables, strict=True):
        own = [one for one in rows if one["quantity"] == quantity]
        assert [name.partition(" (")[0] for name, *_ in table] == [one["region"] for one in own]
        for (_, _, numbers), row in zip(table, own, strict=True):
            assert set(numbers) >= {"mean", "lower", "upper", "mean_error", "covered_share", "informed_share"}
            for column, (value, text) in numbers.items():
                assert value == float(row[column]), column
                shown = re.match(r"([0-9.]+)( %)?", text)
                assert shown, text
                decimals = len(shown[1].partition(".")[2])
                scale = 100.0 if shown[2] else 1.0
                assert abs(float(shown[1]) - scale * value) <= 0.5000001 * 10.0**-decimals, (column, text)


def test_query_and_dicom_report_state_the_same(session: Path, tmp_path: Path) -> None:
    """One region, four readers: table, page, palpate query and its structured report, to the table's last digit."""
    opened = open_session(session)
    answer = ask(opened, Query(SphereSpec(SPHERE), QueryOptions()))
    path = tmp_path / "report.dcm"
    write_report(path, answer, report_identity(opened, answer, None, tmp_path / "key" / "of-mine", path))
    (group,) = hd.sr.srread(path).content.get_volumetric_roi_measurement_groups()
    tables = _tables(_page(session))
    asked = {one.quantity.key: one for one in answer.runs[0].figures}
    row = next(one for one in _rows(session) if one["number"] == "n/a")
    for quantity, table in zip(dict.fromkeys(one["quantity"] for one in _rows(session)), tables, strict=True):
        numbers = next(numbers for name, _, numbers in table if name == row["region"])
        measured = group.get_measurements(name=report_codes.CONCEPTS[quantity])
        for statistic in ("mean", "lower", "upper"):
            on_page = f"{numbers[statistic][0]:.8g}"
            assert on_page == f"{getattr(asked[quantity], statistic):.8g}"
            code = report_codes.STATISTICS[statistic]
            assert on_page in [f"{one.value:.8g}" for one in measured if one.derivation == code]


def test_places_lie_in_their_regions(session: Path) -> None:
    """The middle of a ring lies beside it: a click must lead to tissue that belongs to the row."""
    affine_mm = read_stiffness(session / "mre")[0].affine_mm
    found = {}
    for name, place, _ in _tables(_page(session))[0][:3]:
        index = np.linalg.solve(affine_mm, np.append([float(one) for one in place.split()], 1.0))[:3]
        found[name.partition(" (")[0]] = int(_labels()[tuple(np.rint(index).astype(int))])
    assert found == {name: number for number, name in NAMES.items()}


@needs_browser
def test_a_click_on_a_row_moves_the_cross_hair(session: Path, tmp_path: Path) -> None:
    """By mouse on any cell of the row, and by the keyboard on the region's name."""
    page = tmp_path / "report.html"
    page.write_text(_page(session), encoding="utf-8")
    with running_browser(tmp_path / "profile") as browser:
        browser.size(1440, 900)
        browser.open(page)
        browser.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
        for which in ("td", "th button"):
            for row in (0, 2):
                moved = (
                    f"(() => {{ const row = document.querySelectorAll('table.regions tbody tr')[{row}];"
                    f" row.querySelector('{which}').click(); return row.dataset.mm; }})()"
                )
                place_mm = [float(one) for one in browser.evaluate(moved).split()]
                np.testing.assert_allclose(browser.evaluate(POINT), place_mm, atol=0.01)
                assert browser.evaluate(SEEN), "the cross-hair moved where nobody sees it"
                browser.evaluate("document.querySelector('table.regions').scrollIntoView()")


def test_nothing_where_there_is_no_table(finished_session: SessionFiles) -> None:
    """An empty heading would say that somebody forgot something."""
    text = _page(finished_session.folder)
    assert "Labelled regions" not in text
    assert "-regions" not in text.partition("<main")[0].partition("</style>")[2]


def test_a_table_of_another_inversion_is_not_shown(session: Path, tmp_path: Path) -> None:
    """Numbers of the maps before, beside the maps of today, look just like right ones."""
    folder = tmp_path / "ses-01"
    shutil.copytree(session, folder)
    record = folder / "mre" / "sub-01_ses-01_inversion.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"peak_memory_mb": 813.0}))
    text = _page(folder)
    assert "belongs to another inversion" in text
    assert "Labelled regions" not in text


@pytest.mark.parametrize("damage", ["header", "cell", "number"])
def test_a_damaged_table_is_refused(session: Path, tmp_path: Path, damage: str) -> None:
    """Half a table, or another one of that name, must not become half a page."""
    folder = tmp_path / "ses-01"
    shutil.copytree(session, folder)
    table = folder / "regions.tsv"
    lines = table.read_text(encoding="utf-8").splitlines()
    if damage == "header":
        lines[0] = lines[0].replace("region", "area")
    elif damage == "cell":
        lines[-1] = lines[-1].rpartition("\t")[0]
    else:
        cells = lines[1].split("\t")
        lines[1] = "\t".join([*cells[:6], "soft", *cells[7:]])
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="another table" if damage == "header" else "regions.tsv: found a row"):
        read_session(folder)
