"""One statement on Django's connection: what synchronous code of jobs and commands asks in SQL.

Parameters are positional (`%s`) or named (`%(name)s`), as the statement has them.
"""

from __future__ import annotations

from typing import Any

from django.db import connection


def rows(statement: str, *params: Any, **named: Any) -> list[tuple[Any, ...]]:
    """The rows a statement answers."""
    with connection.cursor() as cursor:
        cursor.execute(statement, named or params)
        return list(cursor.fetchall())


def one(statement: str, *params: Any, **named: Any) -> Any:
    """The first column of the first row; None when there is none."""
    found = rows(statement, *params, **named)
    return found[0][0] if found else None


def changed(statement: str, *params: Any, **named: Any) -> int:
    """How many rows a statement changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, named or params)
        number: int = cursor.rowcount
    return number
