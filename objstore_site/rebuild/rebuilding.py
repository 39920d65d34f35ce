"""The database of a cluster made anew, from its drives' directories alone.

Here: the order of things, in one transaction: all or nothing. Not here: the steps themselves
(`directories`, `history`, `tables`, `shards`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from core.clock import monotonic
from core.config import config
from core.errors import ConfigurationError, StoreError
from core.wording import counted
from objstore_site.rebuild import directories, history, tables
from objstore_site.rebuild.keys import keep_cluster
from objstore_site.rebuild.report import Report
from objstore_site.rebuild.shards import Reconciler
from tenants.keyring import keyring

_ONE_SECRET = "SELECT id, secret FROM access_key ORDER BY id LIMIT 1"


def rebuild(url: str, paths: Sequence[Path], *, accept_gaps: bool = False) -> Report:
    """Fill the empty database at `url`; ConfigurationError says why nothing was done."""
    report = Report()
    started = monotonic()
    found, refused = directories.open_all(paths)
    report.directories_refused = [f"{path}: {why}" for path, why in refused.items()]
    if not found:
        raise ConfigurationError(
            "No drive was found: " + ("; ".join(report.directories_refused) or "none was named")
        )
    report.cluster, report.drives_found = str(found[0].cluster), len(found)
    told = history.find(found)
    if told is None:
        raise ConfigurationError(
            f"No complete snapshot of the journal was found on {counted(len(found), 'drive')}."
        )
    report.snapshot = str(told.snapshot.name)
    report.segments_of_changes = len(told.segments)
    report.gaps, report.damaged_journal_files = told.gaps, told.damaged
    if told.gaps and not accept_gaps:
        raise ConfigurationError(
            "The journal has gaps: "
            + "; ".join(told.gaps)
            + ". Bring the missing drives, or accept"
            " the loss with --accept-gaps."
        )
    if made := keep_cluster(config().nodes.key_file, report.cluster):
        report.notes.append(made)
    with psycopg.connect(url, application_name="objstore rebuild") as connection:
        _fill(connection, told, found, report)
    report.seconds = round(monotonic() - started, 3)
    report.objects_per_s = round(report.rows["version"] / max(report.seconds, 0.001), 1)
    return report.shortened()


def _fill(
    connection: psycopg.Connection[tuple[Any, ...]],
    told: history.History,
    found: list[directories.Directory],
    report: Report,
) -> None:
    # Large sorts and index builds; this connection alone.
    connection.execute("SET LOCAL work_mem = '128MB'")
    connection.execute("SET LOCAL temp_buffers = '64MB'")
    connection.execute("SET LOCAL synchronous_commit = on")
    tables.refuse_unless_empty(connection)
    tables.fill(connection, told, report)
    directories.survey(found)
    reconciler = Reconciler(connection, found, report)
    reconciler.run(datetime.fromisoformat(str(told.about["at"])))
    tables.raise_epochs(connection, reconciler.newest_epoch)
    report.secrets = _secrets(connection)


def _secrets(connection: psycopg.Connection[tuple[Any, ...]]) -> str:
    """Whether the access keys' secrets can be opened here."""
    row = connection.execute(_ONE_SECRET).fetchone()
    if row is None:
        return "there are no access keys"
    key_file = config().crypto.master_key_file
    if not key_file.exists():
        return f"sealed: put the master key back at {key_file}, or issue every access key anew"
    try:
        keyring().open(bytes(row[1]), row[0])
    except (StoreError, ValueError):
        return f"sealed under another master key than {key_file}: bring the right one"
    return "open with this home's master key"
