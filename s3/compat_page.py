"""The page of S3 compatibility, generated from the operations table:
`python -m s3.compat_page > docs/s3-compatibility.md`.
"""

import sys

from s3.handlers.absent import StandIn
from s3.operations import TABLE, Operation

HEAD = """# S3 compatibility

Generated from `s3/operations.py` by `python -m s3.compat_page`; do not edit.

Every operation of S3 has a row. *Served* means it does what S3 documents; the others say what a
client is told instead. A subresource that is in no row is `501 NotImplemented`; one that is, asked
by another method, is `405 MethodNotAllowed` with `Allow`.
"""
COLUMNS = ("Operation", "Request", "Policy action", "Answer")
LEVELS = (
    ("service", "Service", "/"),
    ("bucket", "Buckets", "/bucket"),
    ("object", "Objects", "/bucket/key"),
)


def page() -> str:
    """Return the whole page."""
    sections = [_section(level, title, path) for level, title, path in LEVELS]
    return "\n".join([HEAD, _summary(), *sections])


def _summary() -> str:
    names = {row.name for row in TABLE}
    served = {row.name for row in TABLE if row.implemented}
    return f"{len(served)} of {len(names)} operations are served.\n"


def _section(level: str, title: str, path: str) -> str:
    rows = [row for row in TABLE if row.level == level]
    lines = [f"## {title}", "", f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [_line(row, path) for row in rows]
    return "\n".join([*lines, ""])


def _line(row: Operation, path: str) -> str:
    query = f"?{'&'.join(row.query)}" if row.query else ""
    header = f" with `{row.header}`" if row.header else ""
    answer = row.handler.says if isinstance(row.handler, StandIn) else "served"
    action = f"`{row.action}`" if row.action else "-"
    return f"| {row.name} | `{row.method} {path}{query}`{header} | {action} | {answer} |"


if __name__ == "__main__":
    sys.stdout.write(page())
