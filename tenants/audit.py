"""The audit trail of management actions."""

from __future__ import annotations

from typing import Any

from tenants.models import Audit


def record(actor: str, action: str, subject: str, **detail: Any) -> None:
    """Note who did what to whom; commits, or vanishes, with what was done."""
    Audit.objects.create(actor=actor, action=action, subject=subject, detail=detail)
