"""A property-based fuzzer finds no answer that the OpenAPI document does not describe."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.conftest import SessionFiles
from tests.service.serve_client import listening, running


@pytest.mark.long
def test_a_fuzzer_of_the_openapi_document_is_clean(finished_session: SessionFiles, tmp_path: Path) -> None:
    """No failure of the server, no status, type or form that the document leaves out, for data of any form.

    That data of the right form have an answer is not checked: a sphere may lie beside the map.
    """
    results = finished_session.folder.parent.parent
    with running(results, tmp_path, requests_per_second=1e5) as client, listening(client.app) as (host, port):
        checks = ("--exclude-checks", "positive_data_acceptance", "--max-examples", "20")
        command = (Path(sys.executable).with_name("schemathesis"), "run", f"http://{host}:{port}/openapi.json")
        done = subprocess.run([*command, *checks], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
