"""The folder of forms that a configuration names reaches the steps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
import yaml

from palpate.imaging.files.wavefield_folder import write_wave_field
from tests.conftest import BIN, CHECKOUT, user_environment
from tests.solvers.inversion.small_fields import BAR, Case, softening, wave_field

COMPILE: Final = """
import sys
from pathlib import Path
from palpate.solvers.compile_ahead import USES
from palpate.solvers.compiled import compiling_into
Path(sys.argv[1]).mkdir()
with compiling_into(Path(sys.argv[1])):
    USES["invert"]()
"""


@pytest.mark.long
@pytest.mark.parametrize("named", [True, False], ids=["named", "not-named"])
def test_forms_of_the_configuration(named: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """Without a compiler the inversion runs by the forms that the configuration names, and by no others."""
    # Options with which no other folder of forms was compiled.
    (tmp_path / "dolfinx_jit_options.json").write_text(json.dumps({"cffi_extra_compile_args": ["-O1"]}))
    compiled = subprocess.run(
        [sys.executable, "-c", COMPILE, str(tmp_path / "ahead")], cwd=tmp_path, env=user_environment(), check=False
    )
    assert compiled.returncode == 0
    (tmp_path / "wavefield").mkdir()
    write_wave_field(tmp_path / "wavefield", wave_field(Case(BAR, softening, 0.03, 4)))
    (tmp_path / "sessions.tsv").write_text("subject\tsession\tmre\n01\t01\twavefield\n")
    study = {"sessions": "sessions.tsv", "results": "out", "inversion": {"samples": 20, "max_iterations": 1}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(study | ({"forms": "ahead"} if named else {})))
    words = ["-s", CHECKOUT / "Snakefile", "-c1", "--configfile", "config.yaml", "--", "out/sub-01/ses-01/mre"]
    done = subprocess.run(
        [BIN / "snakemake", *words],
        cwd=tmp_path,
        env=user_environment({"CC": "no-such-compiler"}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert (done.returncode == 0) is named, printed
    assert ("palpate check --compile" in printed) is not named
