"""Versions, extents, uploads, parts and usage as rows.

Here: the tables as Django knows them, for migrations and the admin.
Not here: how they are written and asked (sql/, commits, lookup): the data path never uses the ORM.

Promise: at most one current version and one `null` version per key; an extent belongs to exactly
one version or part; a bucket with versions cannot be deleted (sql/guards.sql).
"""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from buckets.models import Bucket


class Version(models.Model):
    """One immutable state of a key; a delete marker is a version without bytes."""

    id = models.UUIDField(primary_key=True)
    # The foreign key's two halves are the commit function (it checks the bucket under its lock)
    # and a trigger on `bucket`: a row lock on one bucket per insert would be the busiest row of
    # the database.
    bucket = models.ForeignKey(
        Bucket, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    key = models.TextField(db_collation="C")
    rank = models.BigIntegerField(help_text="-seq: the smallest is the newest.")
    is_latest = models.BooleanField()
    is_marker = models.BooleanField()
    is_null = models.BooleanField(help_text="Its id on the wire is `null`.")
    size = models.BigIntegerField()
    etag = models.TextField()
    checksums = models.JSONField(null=True, help_text="algorithm, type, value")
    headers = models.JSONField(default=dict)
    metadata = models.JSONField(default=dict)
    tags = models.JSONField(default=dict)
    storage_class = models.TextField(default="STANDARD")
    storage_policy = models.TextField()
    acl = models.TextField(null=True, help_text="A canned ACL.")
    owner_id = models.UUIDField(null=True, help_text="The writing tenant, when not the bucket's.")
    encryption = models.JSONField(null=True)
    lock_mode = models.TextField(null=True)
    lock_until = models.DateTimeField(null=True)
    lock_hold = models.BooleanField(default=False)
    parts = models.JSONField(null=True, help_text="[[number, size, checksum], ...]")
    last_modified = models.DateTimeField()
    superseded_at = models.DateTimeField(null=True)
    replication = models.TextField(null=True)

    class Meta:
        db_table = "version"
        constraints = [
            models.UniqueConstraint(fields=["bucket", "key", "rank"], name="version_rank"),
            # Two constraints instead of one over both: the second is also the index LIST walks,
            # and a plain write feeds one index instead of two.
            models.UniqueConstraint(
                fields=["bucket", "key"],
                condition=Q(is_latest=True, is_marker=False),
                name="version_current",
            ),
            models.UniqueConstraint(
                fields=["bucket", "key"],
                condition=Q(is_latest=True, is_marker=True),
                name="version_current_marker",
            ),
            models.UniqueConstraint(
                fields=["bucket", "key"], condition=Q(is_null=True), name="version_null"
            ),
            models.CheckConstraint(condition=Q(size__gte=0), name="version_size"),
            models.CheckConstraint(
                condition=Q(lock_mode__isnull=True)
                | Q(lock_mode__in=["GOVERNANCE", "COMPLIANCE"], lock_until__isnull=False),
                name="version_lock",
            ),
            models.CheckConstraint(
                condition=Q(is_marker=False) | Q(size=0, parts__isnull=True),
                name="version_marker_is_empty",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} {self.id.hex}"


class Upload(models.Model):
    """A multipart upload; kept for a while once completed, so that a retried Complete is
    answered."""

    id = models.UUIDField(primary_key=True)
    bucket = models.ForeignKey(
        Bucket, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    key = models.TextField(db_collation="C")
    initiated = models.DateTimeField()
    initiator_id = models.UUIDField(null=True, help_text="The user who began it.")
    owner_id = models.UUIDField(null=True, help_text="The tenant who began it.")
    headers = models.JSONField(default=dict)
    metadata = models.JSONField(default=dict)
    tags = models.JSONField(default=dict)
    acl = models.TextField(null=True)
    storage_class = models.TextField(default="STANDARD")
    storage_policy = models.TextField()
    checksum_algorithm = models.TextField(null=True)
    checksum_type = models.TextField(null=True)
    encryption = models.JSONField(null=True)
    lock_mode = models.TextField(null=True)
    lock_until = models.DateTimeField(null=True)
    lock_hold = models.BooleanField(default=False)
    state = models.TextField(choices=[("open", "open"), ("completed", "completed")], default="open")
    completed = models.JSONField(null=True, help_text="The list it was completed with.")
    completed_at = models.DateTimeField(null=True)
    version_id = models.UUIDField(null=True)

    class Meta:
        db_table = "upload"
        constraints = [
            models.CheckConstraint(
                condition=Q(state="open", version_id__isnull=True)
                | Q(state="completed", version_id__isnull=False, completed__isnull=False),
                name="upload_state",
            ),
        ]
        indexes = [
            models.Index(
                fields=["bucket", "key", "initiated", "id"],
                condition=Q(state="open"),
                name="upload_open",
            ),
            models.Index(
                fields=["completed_at"], condition=Q(state="completed"), name="upload_completed"
            ),
            models.Index(fields=["bucket", "id"], name="upload_of_bucket"),
        ]

    def __str__(self) -> str:
        return f"{self.key} {self.id.hex}"


class Part(models.Model):
    """One part of an open upload; sending its number again replaces it."""

    id = models.UUIDField(primary_key=True)
    upload = models.ForeignKey(
        Upload, on_delete=models.DO_NOTHING, db_index=False, related_name="sent_parts"
    )
    number = models.IntegerField()
    size = models.BigIntegerField()
    etag = models.TextField()
    checksums = models.JSONField(default=dict, help_text="algorithm: value")
    seq = models.BigIntegerField()
    last_modified = models.DateTimeField()

    class Meta:
        db_table = "part"
        constraints = [
            models.UniqueConstraint(fields=["upload", "number"], name="part_number"),
            models.CheckConstraint(
                condition=Q(number__gte=1, number__lte=10000), name="part_number_range"
            ),
            models.CheckConstraint(condition=Q(size__gte=0), name="part_size"),
        ]

    def __str__(self) -> str:
        return f"{self.upload_id} part {self.number}"


class Extent(models.Model):
    """A byte range of a version, or of an upload's part, in a segment.

    In a packed segment `offset` is where the record begins, `record_size` its payload's length,
    and [skip, skip + length) the bytes meant. In a segment of raw bytes they are [offset, offset +
    length).
    """

    id = models.BigAutoField(primary_key=True)
    version = models.ForeignKey(
        Version,
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="extents",
    )
    part = models.ForeignKey(
        Part,
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="extents",
    )
    position = models.IntegerField()
    segment_id = models.UUIDField()
    offset = models.BigIntegerField()
    record_size = models.BigIntegerField(null=True)
    skip = models.BigIntegerField(default=0)
    length = models.BigIntegerField()

    class Meta:
        db_table = "extent"
        constraints = [
            models.UniqueConstraint(
                fields=["version", "position"],
                condition=Q(version__isnull=False),
                name="extent_of_version",
            ),
            models.UniqueConstraint(
                fields=["part", "position"],
                condition=Q(part__isnull=False),
                name="extent_of_part",
            ),
            models.CheckConstraint(
                condition=Q(version__isnull=False, part__isnull=True)
                | Q(version__isnull=True, part__isnull=False),
                name="extent_one_owner",
            ),
            models.CheckConstraint(
                condition=Q(offset__gte=0, skip__gte=0, length__gt=0), name="extent_range"
            ),
        ]
        indexes = [models.Index(fields=["segment_id"], name="extent_segment")]

    def __str__(self) -> str:
        return f"{self.segment_id} at {self.offset}, {self.length} bytes"


class Usage(models.Model):
    """What a bucket holds, as of the last fold of `usage_delta`."""

    bucket = models.OneToOneField(
        Bucket, primary_key=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    bytes = models.BigIntegerField(default=0, help_text="Of all versions.")
    objects = models.BigIntegerField(default=0, help_text="Keys with a current version.")
    versions = models.BigIntegerField(default=0, help_text="All versions, markers included.")
    folded_at = models.DateTimeField(db_default=Now())

    rows = models.Manager()  # `objects` is a column here

    class Meta:
        db_table = "usage"
        verbose_name_plural = "usage"

    def __str__(self) -> str:
        return f"{self.bucket_id}: {self.objects} objects"
