"""What a Delta table holds: `TABLE`. Prints its version and its rows as JSON."""

from __future__ import annotations

import json
import os
import sys

from deltalake import DeltaTable

options = {"AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"], "AWS_ALLOW_HTTP": "true"}

if __name__ == "__main__":
    table = DeltaTable(sys.argv[1], storage_options=options)
    rows = sorted(table.to_pyarrow_table()["row"].to_pylist())
    sys.stdout.write(json.dumps({"version": table.version(), "rows": rows}))
