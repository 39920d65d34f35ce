"""What a handler is given besides its subject and cursor."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from jobs.catalogue import Family
from jobs.lease import Lease


class Context:
    """The claim a handler works under."""

    __slots__ = ("_lease",)

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    @property
    def job_id(self) -> UUID:
        return self._lease.job_id

    @property
    def family(self) -> Family:
        return self._lease.family

    @property
    def token(self) -> int:
        """Grows with every claim on the job; whoever holds the larger one holds the job."""
        return self._lease.token

    @property
    def detail(self) -> dict[str, Any]:
        """What was said when the work was owed."""
        return self._lease.detail

    def check(self) -> None:
        """Raise `LeaseLost` when the claim is gone: call it before what cannot be undone."""
        self._lease.check()
