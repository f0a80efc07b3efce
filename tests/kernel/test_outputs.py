"""A step may write where nothing is lost: folders and files appear whole, and replace only what the same step made."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from palpate.errors import InputError
from palpate.output_kinds import FileKind, json_kind, page_kind
from palpate.output_marker import MARKER
from palpate.outputs import claim_file, claim_folder

SCORES = FileKind("verify maps", "file of scores", (".json",), json_kind("covered"))
OLD_MARKER = "Written by palpate 0.1.0; a re-run replaces this folder as a whole.\n"


class Stopped(Exception):  # noqa: N818 - an event, not an error
    """Stands for whatever ends a step half-way."""


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _written(path: Path, step: str = "invert", name: str = "map") -> Path:
    """A folder as a step writes it."""
    with claim_folder(path, step, {}).writing() as partial:
        (partial / name).write_text(name)
    return path


def _snapshot(root: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(root.rglob("*"))}


def test_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """A map of an earlier run must not survive beside the maps of a later one."""
    _written(tmp_path / "mre", name="first")
    _written(tmp_path / "mre", name="second")
    assert _names(tmp_path / "mre") == {"second", MARKER}
    assert _names(tmp_path) == {"mre"}


def test_stopped_folder_leaves_the_old_one(tmp_path: Path) -> None:
    """A failed run must cost neither the earlier result nor room on the disk."""
    path = _written(tmp_path / "mre", name="first")
    with pytest.raises(Stopped), claim_folder(path, "invert", {}).writing() as partial:
        (partial / "second").write_text("hal")
        raise Stopped
    assert _names(path) == {"first", MARKER}
    assert _names(tmp_path) == {"mre"}


def test_rename_that_fails_gives_the_old_folder_its_name_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the two renames the earlier result has no name of its own; a failing disk must not leave it there."""
    path = _written(tmp_path / "mre", name="first")
    rename, calls = os.replace, []

    def second_fails(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(InputError, match="a disk that fails"):
        _written(path, name="second")
    assert len(calls) == 3
    assert _names(path) == {"first", MARKER}
    assert _names(tmp_path) == {"mre"}


def _itself(folder: Path) -> Path:
    return folder


def _inside(folder: Path) -> Path:
    return folder / "new" / "deeper"


def _above(folder: Path) -> Path:
    return folder.parent


def _linked(folder: Path) -> Path:
    link = folder.parents[1] / "link"
    link.symlink_to(folder, target_is_directory=True)
    return link


def _beside_a_link(folder: Path) -> Path:
    return _linked(folder) / "new"


def _dotted(folder: Path) -> Path:
    return folder / ".." / folder.name / "."


@pytest.mark.parametrize("place", [_itself, _inside, _above, _linked, _beside_a_link, _dotted])
@pytest.mark.parametrize("made_by", ["invert", None])
def test_folder_of_an_input_is_refused(place: Callable[[Path], Path], made_by: str | None, tmp_path: Path) -> None:
    """An output that is, contains or lies inside an input deletes it or becomes part of it, however it is spelt.

    It does not matter who made the input: the posterior of an earlier run of the same step is an input all the same.
    """
    source = tmp_path / "study" / "mre"
    if made_by:
        _written(source, made_by)
        _written(source.parent / "kept", made_by)
    else:
        source.mkdir(parents=True)
        (source / "IM1").write_text("x")
    out = place(source)
    before = _snapshot(tmp_path)
    with pytest.raises(InputError, match=r"--out: found .*the input mre"):
        claim_folder(out, "invert", {"mre": source, "anatomy": None})
    assert _snapshot(tmp_path) == before


def test_relative_input_is_compared_by_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`palpate mesh . --out sub/..` means the same folder twice."""
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="the input mre itself"):
        claim_folder(Path("sub/.."), "mesh", {"mre": Path()})


@pytest.mark.parametrize("other", ["phantom", "ingest", "maps"])
def test_output_of_another_step_is_refused(other: str, tmp_path: Path) -> None:
    """The marker says who made a folder; another step's result is not this step's to delete."""
    _written(tmp_path / "out", other)
    before = _snapshot(tmp_path)
    with pytest.raises(InputError, match=f"the output of palpate {other}"):
        claim_folder(tmp_path / "out", "invert", {})
    assert _snapshot(tmp_path) == before


OLD = {
    "phantom": "sessions.tsv",
    "fetch": "series0003",
    "deidentify": "deidentification.json",
    "ingest": "sub-01_acq-50Hz_wavefield.json",
    "mesh": "sub-01_zones.h5",
    "invert": "sub-01_inversion.json",
    "maps": "sub-01_stat-mean_storagemodulus.dcm",
    "overlay": "sub-01_space-T1w_stat-mean_storagemodulus.nii.gz",
    "calibrate": "calibration.h5",
    "forecast": "forecast.json",
}


@pytest.mark.parametrize(("made_by", "name"), OLD.items())
def test_marker_without_a_step_is_read_by_the_contents(made_by: str, name: str, tmp_path: Path) -> None:
    """Results of older versions are re-made by their own step and refused to all others."""
    (tmp_path / name).write_text("x")
    (tmp_path / MARKER).write_text(OLD_MARKER)
    claim_folder(tmp_path, made_by, {})
    for step in OLD.keys() - {made_by}:
        with pytest.raises(InputError, match=f"the output of palpate {made_by}"):
            claim_folder(tmp_path, step, {})


def test_marker_without_a_step_and_known_contents_is_refused(tmp_path: Path) -> None:
    """Where nobody can tell who made it, nobody may replace it."""
    (tmp_path / "thesis.tex").write_text("years")
    (tmp_path / MARKER).write_text(OLD_MARKER)
    with pytest.raises(InputError, match="no step is known to make"):
        claim_folder(tmp_path, "invert", {})


def _file(out: Path, name: str) -> None:
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).write_text("years")


def _edited(out: Path, name: str) -> None:
    path = out / name
    old = path.read_text()
    path.write_text(old.upper())
    assert len(path.read_text()) == len(old)
    assert path.read_text() != old


def _link(out: Path, name: str) -> None:
    (out / name).symlink_to(out.parent)


def _folder(out: Path, name: str) -> None:
    (out / name).mkdir()


type Disturb = Callable[[Path, str], None]

STRANGE: list[tuple[Disturb, str, str, str]] = [
    (_file, "notes.txt", "notes.txt", "a file that palpate invert did not write"),
    (_file, ".git/HEAD", ".git", "a folder that palpate invert did not make"),
    (_file, ".git", ".git", "a file that palpate invert did not write"),
    (_file, ".gitignore", ".gitignore", "a file that palpate invert did not write"),
    (_file, ".receipt.json/mine", ".receipt.json", "a folder that palpate invert did not make"),
    (_file, "deep/.env", "deep/.env", "a file that palpate invert did not write"),
    (_file, "report.html", "report.html", "a file that palpate invert did not write"),
    (_file, "deep/scores.json", "deep/scores.json", "a file that palpate invert did not write"),
    (_folder, "paper", "paper", "a folder that palpate invert did not make"),
    (_link, "all", "all", "a link that palpate invert did not make"),
    (_edited, "map", "map", "a file that was changed after palpate invert had written it"),
    (_edited, "deep/map", "deep/map", "a file that was changed after palpate invert had written it"),
]


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize(("disturb", "name", "told", "words"), STRANGE, ids=[one[1] for one in STRANGE])
def test_what_somebody_added_or_changed_is_not_deleted(
    disturb: Disturb,
    name: str,
    told: str,
    words: str,
    copied: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    """Notes, a repository, a page of one's own or a corrected map inside an output are not the step's to delete.

    The sentence names the first of them, since nobody finds one file among hundreds. A copy, whose times are other
    ones, is judged by its contents.
    """
    out = tmp_path / "out"
    with claim_folder(out, "invert", {}).writing() as partial:
        (partial / "deep").mkdir()
        for one in ("map", "deep/map"):
            (partial / one).write_text("stiff")
    if copied:
        shutil.copytree(out, tmp_path / "copy", copy_function=shutil.copyfile)
        out = tmp_path / "copy"
    claim_folder(out, "invert", {})
    disturb(out, name)
    before = _names(tmp_path) | _names(out)
    with pytest.raises(InputError) as refused:
        claim_folder(out, "invert", {})
    assert str(refused.value).startswith(f"{out / told}: found {words};")
    assert _names(tmp_path) | _names(out) == before


def test_what_palpate_and_systems_leave_does_not_stop_a_run(tmp_path: Path) -> None:
    """Scores and pages that palpate added go with the result; nobody misses what an operating system drops.

    The same scores, edited, are somebody's work.
    """
    out = _written(tmp_path / "out")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._map", ".snakemake_timestamp", ".receipt.json"):
        (out / name).write_text("x")
    _file(out, "@eaDir/map@SynoEAStream")
    for _ in range(2):
        with claim_file(out / "scores.json", SCORES, {}).writing() as partial:
            partial.write_text(json.dumps({"covered": 0.95}))
        claim_folder(out, "invert", {})
    (out / "scores.json").write_text(json.dumps({"covered": 0.96}))
    with pytest.raises(InputError, match=r"scores\.json: found a file that was changed after"):
        claim_folder(out, "invert", {})


def test_marker_of_names_alone_keeps_what_it_does_not_name(tmp_path: Path) -> None:
    """For some weeks markers listed names without contents; these still tell the step's files from others."""
    out = _written(tmp_path / "out")
    told = json.loads((out / MARKER).read_text())
    (out / MARKER).write_text(json.dumps({"step": told["step"], "files": list(told["files"])}))
    claim_folder(out, "invert", {})
    _folder(out, ".git")
    with pytest.raises(InputError, match=r"\.git: found a folder"):
        claim_folder(out, "invert", {})


def test_output_inside_an_output_of_the_same_step_is_refused(tmp_path: Path) -> None:
    """The next run of the outer one would take the inner one with it, or be refused for ever."""
    out = _written(tmp_path / "out")
    for inner in (out / "new", out / "new" / "deeper"):
        with pytest.raises(InputError, match="which palpate invert wrote and replaces as a whole"):
            claim_folder(inner, "invert", {})
    claim_folder(tmp_path / "other", "invert", {})


def test_output_inside_an_older_output_is_not_deleted(tmp_path: Path) -> None:
    """A marker of an older version lists no files, but the marker of a result inside says that it is one."""
    (tmp_path / "sessions.tsv").write_text("x")
    (tmp_path / MARKER).write_text(OLD_MARKER)
    claim_folder(tmp_path, "phantom", {})
    _written(tmp_path / "results" / "mre")
    with pytest.raises(InputError, match="mre: found the output of another run"):
        claim_folder(tmp_path, "phantom", {})


def test_foreign_folder_is_refused_until_the_last_moment(tmp_path: Path) -> None:
    """`--out ~` must not delete a home folder, nor what came to lie there while a long step worked."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years")
    with pytest.raises(InputError, match="did not write"):
        claim_folder(tmp_path / "home", "mesh", {})
    with pytest.raises(InputError, match="did not write"), claim_folder(tmp_path / "out", "mesh", {}).writing():
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.tex").write_text("years")
    assert _names(tmp_path / "out") == {"thesis.tex"}
    assert _names(tmp_path) == {"home", "out"}


def test_file_in_the_way_is_refused(tmp_path: Path) -> None:
    """The user confused a file with a folder; the file must survive, also where it lies further up."""
    path = tmp_path / "mre"
    path.write_text("mine")
    for out in (path, path / "below"):
        with pytest.raises(InputError, match="a file"):
            claim_folder(out, "mesh", {})
        with pytest.raises(InputError):
            claim_file(path / "below.json", SCORES, {})
    assert path.read_text() == "mine"


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    """A path that leads nowhere is a mistake in the command, not a bug."""
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(InputError):
        claim_folder(tmp_path / "a" / "out", "mesh", {})


def test_file_replaces_only_its_own_kind(tmp_path: Path) -> None:
    """`--out` of a page or of scores named after a map would put a page where a map was."""
    scores = tmp_path / "scores.json"
    for _ in range(2):
        with claim_file(scores, SCORES, {}).writing() as partial:
            partial.write_text(json.dumps({"covered": 0.95}))
    for name, content in {"map.nii.gz": b"\x1f\x8b", "settings.json": b'{"a": 1}', "notes": b"years"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="did not write"):
            claim_file(tmp_path / name, SCORES, {})
        assert (tmp_path / name).read_bytes() == content
    (tmp_path / "empty").touch()  # as mktemp makes it
    claim_file(tmp_path / "empty", SCORES, {})


def test_file_that_was_edited_is_not_replaced(tmp_path: Path) -> None:
    """Somebody's remarks in a page are lost work; the marker of the results, or the file's receipt, tells of them."""
    scores = _written(tmp_path / "mre") / "scores.json"
    for _ in range(2):
        with claim_file(scores, SCORES, {}).writing() as partial:
            partial.write_text(json.dumps({"covered": 0.95}))
    scores.write_text(json.dumps({"covered": 0.95, "remark": "years"}))
    with pytest.raises(InputError, match="changed after palpate had written it"):
        claim_file(scores, SCORES, {})


def test_file_is_neither_an_input_nor_taken_for_one(tmp_path: Path) -> None:
    """Scores may lie beside the maps that they are of, under a name that no step reads as one of the maps."""
    maps = tmp_path / "mre"
    maps.mkdir()
    (maps / "sub-01_mean.nii.gz").write_text("x")
    inputs = {"results": maps, "truth": None}
    claim_file(maps / "scores.json", SCORES, inputs)
    claim_file(tmp_path / "sub-01_mean.json", SCORES, inputs)
    (tmp_path / "link").symlink_to(maps)
    for name in ("sub-01_inversion.json", "sub-01_mean.json", "scores.nii.gz", "scores.txt"):
        for folder in (maps, tmp_path / "link"):
            with pytest.raises(InputError, match="that a step may read"):
                claim_file(folder / name, SCORES, inputs)
    for place in (maps, tmp_path, Path(os.devnull)):
        with pytest.raises(InputError):
            claim_file(place, SCORES, inputs)
    (tmp_path / "truth.json").write_text('{"covered": 1}')  # of the right kind, and an input all the same
    with pytest.raises(InputError, match="the input truth itself"):
        claim_file(tmp_path / "truth.json", SCORES, {"truth": tmp_path / "truth.json"})


@pytest.mark.parametrize(
    "head", ['<meta name="generator" content="palpate report">', "<title>Stiffness of sub-01 – palpate</title>"]
)
def test_page_is_known_by_its_generator_or_its_older_title(head: str, tmp_path: Path) -> None:
    """A page is replaced by a page of the same command, whichever version made it, and by no other."""
    page = tmp_path / "page.html"
    page.write_text(f"<!DOCTYPE html><html><head>{head}</head></html>", encoding="utf-8")
    assert page_kind("report", "Stiffness of ")(page)
    assert not page_kind("outlook", "Tumour of ")(page)
    page.write_text("<!DOCTYPE html><html><head><title>Stiffness of steel</title></head></html>")
    assert not page_kind("report", "Stiffness of ")(page)
