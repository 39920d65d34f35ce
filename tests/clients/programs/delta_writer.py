"""One of several writers that append to the same Delta table: `TABLE WRITER COMMITS`.

Prints the rows whose commit deltalake reported, one JSON list in all.
"""

from __future__ import annotations

import json
import os
import sys

import pyarrow as pa
from deltalake import CommitProperties, write_deltalake

options = {
    "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
    "AWS_ALLOW_HTTP": "true",
    # The commit file is put with If-None-Match: exactly one of many writers makes each version.
    "conditional_put": "etag",
}
# Far above the number of writers: every one of them loses the race for a version at times.
PATIENCE = CommitProperties(max_commit_retries=200)


def append(table: str, writer: int, commits: int) -> list[int]:
    """Append one row per commit."""
    reported = []
    for number in range(commits):
        row = writer * 1000 + number
        write_deltalake(
            table,
            pa.table({"row": pa.array([row], pa.int64())}),
            mode="append",
            storage_options=options,
            commit_properties=PATIENCE,
        )
        reported.append(row)
    return reported


if __name__ == "__main__":
    sys.stdout.write(json.dumps(append(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
