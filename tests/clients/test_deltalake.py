"""Concurrent writers of one Delta table: each version is made by exactly one, none is lost."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.client import BaseClient

from tests.clients.client import environment, run
from tests.clients.conftest import BUCKET
from tests.clients.installed import PROGRAMS
from tests.s3.accounts import Account

pytestmark = [pytest.mark.clients, pytest.mark.cluster]

WRITERS = 4
COMMITS = 12


def test_no_commit_of_concurrent_delta_writers_is_lost(
    account: Account, witness: BaseClient, tmp_path: Path
) -> None:
    settings = environment(account, tmp_path)
    table = f"s3://{BUCKET}/delta"
    program = PROGRAMS / "delta_writer.py"
    # The table exists before they race for its versions.
    first = run([sys.executable, program, table, "0", "1"], settings)

    with ThreadPoolExecutor(WRITERS) as pool:
        reports = list(
            pool.map(
                lambda writer: run(
                    [sys.executable, program, table, str(writer), str(COMMITS)], settings
                ),
                range(1, WRITERS + 1),
            )
        )

    reported = sorted(row for report in [first, *reports] for row in json.loads(report))
    found = json.loads(run([sys.executable, PROGRAMS / "delta_reader.py", table], settings))
    assert found["rows"] == reported
    assert found["version"] == WRITERS * COMMITS
