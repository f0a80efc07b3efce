"""The credibility report: goals missed first, what lacks is said, and a study's own records are read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from palpate.cli.verify import verify
from palpate.config.credibility import CredibilitySettings
from palpate.config.section import parse_settings
from palpate.errors import InputError
from palpate.records.benchmark import read_records
from palpate.service.credibility.page import credibility_text, render, write_credibility
from palpate.service.credibility.plan import LAWS, SECTIONS
from palpate.service.credibility.report import credibility, limitations
from tests.conftest import CHECKOUT
from tests.service.twin_files import write_twin


def put(folder: Path, name: str, *rows: dict[str, Any]) -> None:
    """Write a record as a benchmark does."""
    blank = {"unit": "%", "published": None, "baselines": {}, "goal": ""}
    facts = {"published": "Rose 1948", "notes": ["a note"], "date": "2026-11-30", "commit": "a" * 40}
    told = {"name": name, "rows": [blank | row for row in rows], "tree_was_dirty": False} | facts
    (folder / f"{name}.json").write_text(json.dumps(told))


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Three records: one with goals met and missed, one without a goal, and one that the plan does not name."""
    folder = tmp_path / "records"
    folder.mkdir()
    put(
        folder,
        "lesions",
        {"quantity": "coverage", "ours": 60.0, "goal": "93..97", "published": 95.0},
        {"quantity": "contrast", "ours": 5.0, "goal": "<= 20"},
    )
    put(folder, "growth_cohort", {"quantity": "burden", "ours": 95.0})
    put(folder, "of_another_group", {"quantity": "speed", "ours": None, "goal": ">= 3"})
    return folder


def test_goals_missed_come_first(records: Path) -> None:
    """A reader who stops after one screen must have seen them."""
    found = credibility(records=records)
    content = found.to_json()
    assert [(one["record"], one["quantity"]) for one in content["goals_missed"]] == [
        ("lesions", "coverage"),
        ("of_another_group", "speed"),
    ]
    assert next(iter(content)) == "goals_missed"
    assert content["goals"] == 3
    page = render(found)
    main = page[page.index("<main") :]
    assert main.index("missed by 33") < main.index("Question of interest") < main.index("Evidence</h2>")
    assert credibility_text(found).splitlines()[1].startswith("  lesions: coverage")


def test_what_has_no_record_is_not_measured(records: Path) -> None:
    """A benchmark that nobody ran must not look as one that passed."""
    found = credibility(records=records)
    absent = {one.name for one in found.not_measured}
    assert absent == {name for plan in SECTIONS for name in plan.benchmarks} - {"lesions", "growth_cohort"}
    page = render(found)
    assert all(f"{name}: " in page for name in absent)
    assert page.count("not measured") >= len(absent)


def test_figures_stand_beside_the_published_ones(records: Path) -> None:
    """Validation is a comparison, and its date and commit tell how old it is."""
    page = render(credibility(records=records))
    assert "Rose 1948" in page
    assert re.search(r"<td[^>]*>60</td><td[^>]*>95</td>", page)
    assert "2026-11-30, commit aaaaaaaa" in page
    assert "no goal was set" in page


def test_every_record_of_this_version_is_listed() -> None:
    """A record that the plan forgets is listed all the same, and every goal is counted."""
    known, found = read_records(), credibility()
    listed = {record.name for section in found.sections for record in section.records if record.facts is not None}
    assert listed == set(known)
    assert found.judged == sum(len(one.judged) for one in known.values())
    assert len(found.missed) == sum(figure.missed for one in known.values() for figure in one.figures)


def test_the_plan_names_what_exists() -> None:
    """A renamed benchmark or law would be called not measured for ever."""
    assert [
        name for plan in SECTIONS for name in plan.benchmarks if not (CHECKOUT / "benchmarks" / f"{name}.py").exists()
    ] == []
    assert [path for path in LAWS if not (CHECKOUT / path).exists()] == []


def test_limits_are_those_of_the_documentation() -> None:
    """Every point of the page of limitations is there, without its Markdown."""
    found = limitations()
    text = (CHECKOUT / "docs" / "limitations.md").read_text()
    assert sum(map(len, found.values())) == len(re.findall(r"^- ", text, re.M))
    assert not any("](" in line or "**" in line for lines in found.values() for line in lines)


@pytest.mark.parametrize(
    ("influence", "consequence", "risk"),
    [
        ("low", "low", "low"),
        ("high", "high", "high"),
        ("high", "low", "medium"),
        ("low", "high", "medium"),
        ("medium", "low", "low"),
        ("medium", "medium", "medium"),
        ("high", "medium", "high"),
    ],
)
def test_risk_grows_with_both(influence: str, consequence: str, risk: str) -> None:
    """V&V 40 grades the model's influence and the decision's consequence together."""
    text = json.dumps({"influence": influence, "consequence": consequence})
    assert parse_settings(CredibilitySettings, text).risk == risk


def test_a_study_adds_its_own_records(tmp_path: Path, records: Path) -> None:
    """Innovations, dates, shifts and warnings of each tumour are in the report, with what older records lack."""
    twin = write_twin(tmp_path / "results" / "sub-02" / "twin")
    told = json.loads((twin.calibration / "calibration.json").read_text())
    told["warnings"] = [{"code": "clock-shifted", "sentence": "Treatments look 14 days late.", "advice": "Check."}]
    told["clocks"] = [{"stream": "treatments", "shift_days": 14.0, "flagged": True, "identified": True}]
    told["dates_as_recorded"] = 0.1
    told["prior_shifts"] = [{"sentence": "MGMT methylated: the prior is multiplied by 1.39."}]
    (twin.calibration / "calibration.json").write_text(json.dumps(told))
    session = tmp_path / "results" / "sub-02" / "ses-01" / "mre"
    session.mkdir(parents=True)
    (session / "sub-02_ses-01_inversion.json").write_text(json.dumps({"converged": True, "misfit": 1.1}))
    (tmp_path / "results" / "heldout.json").write_text(
        json.dumps(
            {
                "levels": [0.5, 0.8, 0.9, 0.95],
                "groups": [
                    {
                        "group": "all",
                        "quantity": "visible_ml",
                        "subjects": 12,
                        "coverage": [0.5, 0.8, 0.75, 1.0],
                        "wilson": [[0.2, 0.8]] * 4,
                        "ece": 0.11,
                    }
                ],
                "shift": None,
            }
        )
    )
    found = credibility(records=records, results=tmp_path / "results")
    assert found.study is not None
    tumour, stiffness = found.study.subjects
    assert tumour.innovations == "1 as expected, 1 wrong"
    assert tumour.clocks == "all dates right with a probability of 10 %; shifted: treatments by 14 days"
    assert tumour.domain == "not recorded"
    assert stiffness.converged == "converged"
    page = render(found)
    for words in ("Treatments look 14 days late", "multiplied by 1.39", "hold 75 % of 12", "no reference was given"):
        assert words in page


def test_a_study_without_a_test_of_its_own_is_told_how(tmp_path: Path, records: Path) -> None:
    """Coverage in simulated patients is not coverage in a hospital's own."""
    write_twin(tmp_path / "results" / "sub-02" / "twin")
    found = credibility(records=records, results=tmp_path / "results")
    assert found.study is not None
    assert "palpate verify heldout" in found.study.heldout


@pytest.mark.parametrize("content", ["{", "[]", '{"rows": [{}]}', '{"rows": 3}'])
def test_a_file_that_is_no_record_is_named(records: Path, content: str) -> None:
    """A damaged record must not vanish from the tally."""
    (records / "limit.json").write_text(content)
    with pytest.raises(InputError, match=r"limit\.json"):
        credibility(records=records)


def test_folders_without_records_are_refused(tmp_path: Path, records: Path) -> None:
    """An empty folder is a wrong path and not a study without warnings."""
    with pytest.raises(InputError, match="no record of a calibration"):
        credibility(records=records, results=tmp_path)
    with pytest.raises(InputError, match="no folder"):
        credibility(records=tmp_path / "nowhere")


def test_equal_reports_are_equal_files_and_others_are_kept(tmp_path: Path, records: Path) -> None:
    """The page may be compared between versions, and never replaces what palpate did not write."""
    found = credibility(records=records)
    assert render(found) == render(credibility(records=records))
    page = tmp_path / "credibility.html"
    write_credibility(page, found)
    write_credibility(page, found)
    assert json.loads(page.with_suffix(".json").read_text())["goals"] == 3
    mine = tmp_path / "mine.html"
    mine.write_text("<!doctype html><title>mine</title>")
    with pytest.raises(InputError):
        write_credibility(mine, found)


def test_command_states_the_users_own_context(tmp_path: Path, records: Path) -> None:
    """Risk belongs to a use, and a use to who decides."""
    context = tmp_path / "context.yaml"
    context.write_text("question: Does the tumour need a scan earlier?\ninfluence: medium\nconsequence: high\n")
    out = tmp_path / "c.html"
    words = ["credibility", "--records", str(records), "--context", str(context), "--out", str(out)]
    done = CliRunner().invoke(verify, words)
    assert done.exit_code == 0, done.output
    assert "the model risk is high" in done.output
    assert "Does the tumour need a scan earlier?" in out.read_text()
