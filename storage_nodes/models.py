"""Zones, nodes and drives as rows.

Here: what an operator declares (zone, weight, draining) and what health observes (states, space).
Not here: segments and shards (`segment_models`, read and written by SQL only).
"""

from django.db import models
from django.db.models import Q

from storage_nodes.segment_models import RetiredLayout, Segment, SegmentShard

__all__ = ["Drive", "Node", "RetiredLayout", "Segment", "SegmentShard", "Zone"]


class Zone(models.Model):
    """A failure domain of nodes: a rack, a room, a site."""

    id = models.AutoField(primary_key=True)
    name = models.TextField(unique=True)

    class Meta:
        db_table = "zone"
        constraints = [models.CheckConstraint(name="zone_name", condition=~Q(name=""))]

    def __str__(self) -> str:
        return self.name


class Node(models.Model):
    """The daemon that owns the drives of one host."""

    class State(models.TextChoices):
        UP = "up"
        DOWN = "down"

    id = models.UUIDField(primary_key=True)
    name = models.TextField(unique=True)
    zone = models.ForeignKey(Zone, on_delete=models.PROTECT)
    address = models.TextField(help_text="HTTP address for other hosts")
    socket = models.TextField(null=True, blank=True, help_text="Unix socket for its own host")
    host = models.TextField(db_default="", help_text="Which machine it runs on, as it says itself")
    state = models.TextField(choices=State.choices, db_default="up")
    last_seen = models.DateTimeField(null=True)

    class Meta:
        db_table = "node"
        constraints = [
            models.CheckConstraint(name="node_name", condition=~Q(name="")),
            models.CheckConstraint(name="node_state", condition=Q(state__in=["up", "down"])),
        ]

    def __str__(self) -> str:
        return self.name


class Drive(models.Model):
    """A mounted directory with an identity.

    Rows are never deleted: `drives int[]` of segments names them. A replaced drive is a new row.
    """

    class State(models.TextChoices):
        ACTIVE = "active"
        DRAINING = "draining"
        GONE = "gone"
        FENCED = "fenced"
        REMOVED = "removed"

    id = models.AutoField(primary_key=True)
    uuid = models.UUIDField(unique=True, help_text="The identity written on the drive")
    node = models.ForeignKey(Node, on_delete=models.PROTECT)
    path = models.TextField()
    weight = models.FloatField(db_default=1.0)
    state = models.TextField(choices=State.choices, db_default="active")
    draining = models.BooleanField(
        db_default=False, help_text="Being emptied; remembered while the drive is gone or fenced"
    )
    reason = models.TextField(db_default="", blank=True, help_text="Why it is gone or fenced")
    size_bytes = models.BigIntegerField(db_default=0)
    free_bytes = models.BigIntegerField(db_default=0)
    device = models.BigIntegerField(null=True, help_text="st_dev: equal ones share their fate")
    gone_since = models.DateTimeField(null=True, blank=True)
    last_seen = models.DateTimeField(null=True)

    class Meta:
        db_table = "drive"
        constraints = [
            models.CheckConstraint(
                name="drive_state",
                condition=Q(state__in=["active", "draining", "gone", "fenced", "removed"]),
            ),
            models.CheckConstraint(name="drive_weight", condition=Q(weight__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.node_id}:{self.path}"
