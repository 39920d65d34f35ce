"""`manage.py migrate`: Django's own, wholly or not at all.

Django notes a migration that has deferred SQL in a transaction after the one that made its tables;
a crash between the two leaves tables that no later run can make again.
"""

from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate
from django.db import transaction


class Command(migrate.Command):
    """All migrations in one transaction: none of ours may be non-atomic."""

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic(using=options["database"]):
            super().handle(*args, **options)
