"""`manage.py rebuild`: the database of a store made anew from its drives alone.

With DATABASE_URL that database is filled, which must be migrated or new, and empty. Without, the
home's own embedded PostgreSQL is started for as long as it takes; `make run` then carries on.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.config import config, environment
from core.errors import ConfigurationError, StoreError
from core.wording import counted
from objstore_site.local.complaint import Complaint
from objstore_site.local.home import Home
from objstore_site.local.servers import LocalServers
from objstore_site.rebuild.rebuilding import rebuild
from objstore_site.rebuild.report import Report
from storage_nodes.node.identity import IDENTITY


class Command(BaseCommand):
    help = "Make the database anew from the drives' directories (into an empty database)"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--drive",
            metavar="PATH",
            action="append",
            type=Path,
            help="a drive's directory; may be repeated. Default: all drives of this home",
        )
        parser.add_argument(
            "--accept-gaps",
            action="store_true",
            help="go on although changes between two files of the journal are lost",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if not config().database.url:
                self._with_own_database()
                return
            paths = options["drive"] or home_drives(config().home)
            call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
            report = rebuild(config().database.url, paths, accept_gaps=options["accept_gaps"])
        except (StoreError, Complaint) as why:
            raise CommandError(str(why)) from None
        self.stdout.write(json.dumps(asdict(report), indent=2) if options["json"] else told(report))

    def _with_own_database(self) -> None:
        """Run ourselves again beside the home's own PostgreSQL."""
        home = Home(config().home)
        home.prepare()
        home.lock()
        servers = LocalServers.of(config(), home)
        if servers.postgres is None:
            raise ConfigurationError("There is no database to fill.")
        servers.redis = None
        servers.start()
        try:
            done = subprocess.run(
                [sys.executable, *sys.argv],
                env=environment({"DATABASE_URL": servers.addresses().database_url}),
                check=False,
            )
        finally:
            servers.stop()
        if done.returncode:
            sys.exit(done.returncode)


def home_drives(home: Path) -> list[Path]:
    """Every drive below a home, whichever nodes it has now."""
    found = sorted(path.parent for path in (home / "drives").glob(f"*/*/{IDENTITY}"))
    if not found:
        raise ConfigurationError(
            f"There are no drives below {home / 'drives'}; name them: --drive."
        )
    return found


def told(report: Report) -> str:
    """The report for people: what counts first, what was not placed in full."""
    lines = [
        f"Rebuilt from {counted(report.drives_found, 'drive')}: snapshot {report.snapshot},"
        f" {counted(report.changes, 'change')} in {counted(report.segments_of_changes, 'file')},"
        f" up to {report.reached}.",
        "Rows: " + ", ".join(f"{each} {rows}" for each, rows in report.rows.items() if rows) + ".",
        f"{report.seconds} s, {report.objects_per_s:.0f} versions/s.",
        f"Access keys: {report.secrets}.",
        f"Shards: {report.shards_verified} verified, {report.shards_missing} missing (repair is"
        f" owed), {report.shards_moved} elsewhere, {report.shards_restored} from trash.",
    ]
    for title, listed in (
        ("Drives that were not there", report.drives_missing),
        ("Directories that are no drives", report.directories_refused),
        ("Gaps in the journal", report.gaps),
        ("Journal files that do not verify", report.damaged_journal_files),
        ("Kinds of changes this version does not know", report.unknown_kinds),
        ("Rows not placed", report.not_placed),
        ("Shards that do not verify", report.shards_damaged),
        ("Layouts taken in place of lost ones", report.layouts_adopted),
        ("Segments that cannot be read now", report.segments_lost),
        ("Kept in quarantine", report.quarantined),
        ("Records without a journal entry", report.records_without_entry),
        ("Notes", report.notes),
    ):
        if listed:
            lines += ["", f"{title}:"]
            lines += [
                f"  {each}: {listed[each]}" if isinstance(listed, dict) else f"  {each}"
                for each in listed
            ]
    if report.versions_unreadable:
        lines.append(f"  In them: {counted(report.versions_unreadable, 'version')}.")
    return "\n".join(lines)
