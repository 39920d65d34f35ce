"""Segments as rows: where each is, in which layout, and which of its shards are not in place.

The data path reads and writes these tables by SQL (`sql/segments.sql`, `segment_rows.py`);
the models exist for migrations and for the operator's eyes.
"""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now


class Segment(models.Model):
    """Up to 64 MiB of bytes, placed, coded, repaired and collected as one.

    open     a pack segment its owner appends to
    writing  an upload's own segment, until that upload commits
    sealed   copies, complete: no commit of new bytes can follow
    stored   coded
    dead     no extent names it; its shards are on their way to the trash
    """

    class Layout(models.TextChoices):
        REPLICATED = "replicated"
        CODED = "coded"

    class State(models.TextChoices):
        OPEN = "open"
        WRITING = "writing"
        SEALED = "sealed"
        STORED = "stored"
        DEAD = "dead"

    id = models.UUIDField(primary_key=True)
    storage_policy = models.TextField()
    layout = models.TextField(choices=Layout.choices)
    state = models.TextField(choices=State.choices)
    epoch = models.IntegerField(db_default=1, help_text="Raised with every new layout")
    owner = models.TextField(null=True, blank=True, help_text="The process that appends to it")
    lease_until = models.DateTimeField(null=True, blank=True)
    size = models.BigIntegerField(db_default=0, help_text="Address space in use, in bytes")
    drives = ArrayField(models.IntegerField(), help_text="Drive of each shard by index; 0: none")
    confirmed = ArrayField(
        models.BigIntegerField(), null=True, blank=True, help_text="Durable bytes of each copy"
    )
    cell_size = models.IntegerField(null=True, blank=True)
    created = models.DateTimeField(db_default=Now())
    sealed_at = models.DateTimeField(null=True, blank=True)
    successor = models.UUIDField(
        null=True, blank=True, help_text="Of a dead one: the segment its records were gathered into"
    )
    changed = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "segment"
        constraints = [
            models.CheckConstraint(
                name="segment_layout", condition=Q(layout__in=["replicated", "coded"])
            ),
            models.CheckConstraint(
                name="segment_state",
                condition=Q(state__in=["open", "writing", "sealed", "stored", "dead"]),
            ),
            models.CheckConstraint(name="segment_epoch", condition=Q(epoch__gte=1)),
            models.CheckConstraint(name="segment_sizes", condition=Q(size__gte=0)),
            models.CheckConstraint(name="segment_placed", condition=Q(drives__len__gte=1)),
            models.CheckConstraint(
                name="segment_confirmed",
                condition=Q(confirmed__isnull=True) | Q(confirmed__len=F("drives__len")),
            ),
            models.CheckConstraint(
                name="segment_owned",
                condition=~Q(state__in=["open", "writing"])
                | Q(owner__isnull=False, lease_until__isnull=False),
            ),
            models.CheckConstraint(
                name="segment_cells",
                condition=~Q(layout="coded") | Q(cell_size__isnull=False, cell_size__gt=0),
            ),
            models.CheckConstraint(
                name="segment_open_is_copies", condition=~Q(state="open") | Q(layout="replicated")
            ),
        ]
        indexes = [
            GinIndex(name="segment_drives", fields=["drives"]),
            # Few rows are in these states at any time; the steady ones cost nothing here.
            models.Index(
                name="segment_unsettled",
                fields=["state", "created"],
                condition=Q(state__in=["open", "writing", "sealed", "dead"]),
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class SegmentShard(models.Model):
    """A shard that is not where the segment's row says, or not as it should be."""

    class State(models.TextChoices):
        MISSING = "missing"
        CORRUPT = "corrupt"
        MOVING = "moving"

    id = models.BigAutoField(primary_key=True)
    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, db_index=False)
    epoch = models.IntegerField()
    index = models.IntegerField()
    drive_id = models.IntegerField(null=True, blank=True)
    state = models.TextField(choices=State.choices)
    noticed = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "segment_shard"
        constraints = [
            models.CheckConstraint(
                name="segment_shard_state",
                condition=Q(state__in=["missing", "corrupt", "moving"]),
            ),
            models.CheckConstraint(name="segment_shard_index", condition=Q(index__gte=0)),
            models.UniqueConstraint(
                name="segment_shard_once", fields=["segment", "epoch", "index"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.segment_id}.{self.epoch}.{self.index} {self.state}"


class RetiredLayout(models.Model):
    """Shards a newer layout has replaced: readable until `not_before`, then collected."""

    id = models.BigAutoField(primary_key=True)
    segment_id = models.UUIDField(help_text="The segment itself may be gone already")
    epoch = models.IntegerField()
    drives = ArrayField(models.IntegerField())
    layout = models.TextField(choices=Segment.Layout.choices)
    not_before = models.DateTimeField()
    trashed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "retired_layout"
        constraints = [
            # One row per layout epoch; single shards that moved get rows of their own drives.
            models.UniqueConstraint(
                name="retired_layout_once", fields=["segment_id", "epoch", "drives"]
            ),
        ]
        indexes = [
            models.Index(
                name="retired_layout_due",
                fields=["not_before"],
                condition=Q(trashed_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.segment_id}.{self.epoch}"
