"""The rows of a database that a rebuild is to bring back, to be compared."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import psycopg

# What is observed, estimated or made up anew; everything else comes back as it was.
NOT_COMPARED = {
    "node": {"state", "last_seen", "host"},
    "drive": {
        *("state", "reason", "size_bytes", "free_bytes", "device", "gone_since", "last_seen"),
        "path",
    },
    "segment": {"lease_until", "changed", "sealed_at"},
    "extent": {"id"},
    "usage": {"folded_at"},
}
TABLES = (
    *("tenant", "account_user", "access_key", "audit", "zone", "node", "drive", "bucket"),
    *("bucket_document", "segment", "version", "upload", "part", "extent", "usage"),
)


def rows(url: str, tables: Iterable[str] = TABLES) -> dict[str, list[dict[str, Any]]]:
    """Every row that is to come back, in one order."""
    found: dict[str, list[dict[str, Any]]] = {}
    with psycopg.connect(url) as opened:
        for table in tables:
            listed = [row[0] for row in opened.execute(f"SELECT to_jsonb(t) FROM {table} t")]
            for row in listed:
                for column in NOT_COMPARED.get(table, ()):
                    row.pop(column)
            if table == "usage":
                listed = [row for row in listed if row["versions"]]
            found[table] = sorted(listed, key=lambda row: json.dumps(row, sort_keys=True))
    return found
