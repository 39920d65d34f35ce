"""What a rebuild did, and what it could not place."""

from __future__ import annotations

from dataclasses import dataclass, field

# Lists longer than this are cut in the report; their length is told beside.
MOST_LISTED = 1000


@dataclass(kw_only=True)
class Report:
    """The keys are an interface: `manage.py rebuild --json` prints them."""

    cluster: str = ""
    drives_found: int = 0
    drives_missing: list[str] = field(default_factory=list)
    directories_refused: list[str] = field(default_factory=list)
    snapshot: str = ""
    segments_of_changes: int = 0
    changes: int = 0
    # The last change that came back; what was committed later is only in the old database.
    reached: str = ""
    gaps: list[str] = field(default_factory=list)
    damaged_journal_files: list[str] = field(default_factory=list)
    unknown_kinds: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    # Rows whose bucket, tenant, user or node is not there, or whose name a newer row has.
    not_placed: dict[str, int] = field(default_factory=dict)
    shards_verified: int = 0
    shards_damaged: list[str] = field(default_factory=list)
    shards_missing: int = 0
    shards_moved: int = 0
    shards_restored: int = 0
    layouts_adopted: list[str] = field(default_factory=list)
    segments_lost: list[str] = field(default_factory=list)
    versions_unreadable: int = 0
    # On drives, in no journal entry: kept apart, never published, never deleted.
    quarantined: list[str] = field(default_factory=list)
    records_without_entry: list[str] = field(default_factory=list)
    secrets: str = ""
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    objects_per_s: float = 0.0

    def shortened(self) -> Report:
        """The same with long lists cut."""
        for name, value in vars(self).items():
            if isinstance(value, list) and len(value) > MOST_LISTED:
                self.notes.append(f"{name}: {len(value)} in all, the first {MOST_LISTED} listed")
                setattr(self, name, value[:MOST_LISTED])
        return self
