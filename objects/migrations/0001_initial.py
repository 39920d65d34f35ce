"""Versions, extents, uploads, parts and usage; what commits them and asks for them."""

from pathlib import Path

import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.manager
from django.db import migrations, models

SQL = Path(__file__).parent.parent / "sql"
# In the order they need one another.
FILES = ("tables", "guards", "versions", "uploads", "commit", "lookup", "listing")


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("jobs", "0001_initial"),
        ("storage_nodes", "0002_segments"),
        ("buckets", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Usage",
            fields=[
                (
                    "bucket",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="buckets.bucket",
                    ),
                ),
                ("bytes", models.BigIntegerField(default=0, help_text="Of all versions.")),
                (
                    "objects",
                    models.BigIntegerField(default=0, help_text="Keys with a current version."),
                ),
                (
                    "versions",
                    models.BigIntegerField(default=0, help_text="All versions, markers included."),
                ),
                (
                    "folded_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "verbose_name_plural": "usage",
                "db_table": "usage",
            },
            managers=[
                ("rows", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="Upload",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("key", models.TextField(db_collation="C")),
                ("initiated", models.DateTimeField()),
                ("initiator_id", models.UUIDField(help_text="The user who began it.", null=True)),
                ("owner_id", models.UUIDField(help_text="The tenant who began it.", null=True)),
                ("headers", models.JSONField(default=dict)),
                ("metadata", models.JSONField(default=dict)),
                ("tags", models.JSONField(default=dict)),
                ("acl", models.TextField(null=True)),
                ("storage_class", models.TextField(default="STANDARD")),
                ("storage_policy", models.TextField()),
                ("checksum_algorithm", models.TextField(null=True)),
                ("checksum_type", models.TextField(null=True)),
                ("encryption", models.JSONField(null=True)),
                ("lock_mode", models.TextField(null=True)),
                ("lock_until", models.DateTimeField(null=True)),
                ("lock_hold", models.BooleanField(default=False)),
                (
                    "state",
                    models.TextField(
                        choices=[("open", "open"), ("completed", "completed")], default="open"
                    ),
                ),
                (
                    "completed",
                    models.JSONField(help_text="The list it was completed with.", null=True),
                ),
                ("completed_at", models.DateTimeField(null=True)),
                ("version_id", models.UUIDField(null=True)),
                (
                    "bucket",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="buckets.bucket",
                    ),
                ),
            ],
            options={
                "db_table": "upload",
            },
        ),
        migrations.CreateModel(
            name="Part",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("number", models.IntegerField()),
                ("size", models.BigIntegerField()),
                ("etag", models.TextField()),
                ("checksums", models.JSONField(default=dict, help_text="algorithm: value")),
                ("seq", models.BigIntegerField()),
                ("last_modified", models.DateTimeField()),
                (
                    "upload",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="sent_parts",
                        to="objects.upload",
                    ),
                ),
            ],
            options={
                "db_table": "part",
            },
        ),
        migrations.CreateModel(
            name="Version",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("key", models.TextField(db_collation="C")),
                ("rank", models.BigIntegerField(help_text="-seq: the smallest is the newest.")),
                ("is_latest", models.BooleanField()),
                ("is_marker", models.BooleanField()),
                ("is_null", models.BooleanField(help_text="Its id on the wire is `null`.")),
                ("size", models.BigIntegerField()),
                ("etag", models.TextField()),
                ("checksums", models.JSONField(help_text="algorithm, type, value", null=True)),
                ("headers", models.JSONField(default=dict)),
                ("metadata", models.JSONField(default=dict)),
                ("tags", models.JSONField(default=dict)),
                ("storage_class", models.TextField(default="STANDARD")),
                ("storage_policy", models.TextField()),
                ("acl", models.TextField(help_text="A canned ACL.", null=True)),
                (
                    "owner_id",
                    models.UUIDField(
                        help_text="The writing tenant, when not the bucket's.", null=True
                    ),
                ),
                ("encryption", models.JSONField(null=True)),
                ("lock_mode", models.TextField(null=True)),
                ("lock_until", models.DateTimeField(null=True)),
                ("lock_hold", models.BooleanField(default=False)),
                ("parts", models.JSONField(help_text="[[number, size, checksum], ...]", null=True)),
                ("last_modified", models.DateTimeField()),
                ("superseded_at", models.DateTimeField(null=True)),
                ("replication", models.TextField(null=True)),
                (
                    "bucket",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="buckets.bucket",
                    ),
                ),
            ],
            options={
                "db_table": "version",
            },
        ),
        migrations.CreateModel(
            name="Extent",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("position", models.IntegerField()),
                ("segment_id", models.UUIDField()),
                ("offset", models.BigIntegerField()),
                ("record_size", models.BigIntegerField(null=True)),
                ("skip", models.BigIntegerField(default=0)),
                ("length", models.BigIntegerField()),
                (
                    "part",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="extents",
                        to="objects.part",
                    ),
                ),
                (
                    "version",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="extents",
                        to="objects.version",
                    ),
                ),
            ],
            options={
                "db_table": "extent",
            },
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(
                condition=models.Q(("state", "open")),
                fields=["bucket", "key", "initiated", "id"],
                name="upload_open",
            ),
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(
                condition=models.Q(("state", "completed")),
                fields=["completed_at"],
                name="upload_completed",
            ),
        ),
        migrations.AddIndex(
            model_name="upload",
            index=models.Index(fields=["bucket", "id"], name="upload_of_bucket"),
        ),
        migrations.AddConstraint(
            model_name="upload",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "open"), ("version_id__isnull", True)),
                    models.Q(
                        ("completed__isnull", False),
                        ("state", "completed"),
                        ("version_id__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="upload_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="part",
            constraint=models.UniqueConstraint(fields=("upload", "number"), name="part_number"),
        ),
        migrations.AddConstraint(
            model_name="part",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__gte", 1), ("number__lte", 10000)),
                name="part_number_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="part",
            constraint=models.CheckConstraint(
                condition=models.Q(("size__gte", 0)), name="part_size"
            ),
        ),
        migrations.AddConstraint(
            model_name="version",
            constraint=models.UniqueConstraint(
                fields=("bucket", "key", "rank"), name="version_rank"
            ),
        ),
        migrations.AddConstraint(
            model_name="version",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_latest", True), ("is_marker", False)),
                fields=("bucket", "key"),
                name="version_current",
            ),
        ),
        migrations.AddConstraint(
            model_name="version",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_latest", True), ("is_marker", True)),
                fields=("bucket", "key"),
                name="version_current_marker",
            ),
        ),
        migrations.AddConstraint(
            model_name="version",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_null", True)), fields=("bucket", "key"), name="version_null"
            ),
        ),
        migrations.AddConstraint(
            model_name="version",
            constraint=models.CheckConstraint(
                condition=models.Q(("size__gte", 0)), name="version_size"
            ),
        ),
        migrations.AddConstraint(
            model_name="version",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("lock_mode__isnull", True),
                    models.Q(
                        ("lock_mode__in", ["GOVERNANCE", "COMPLIANCE"]),
                        ("lock_until__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="version_lock",
            ),
        ),
        migrations.AddConstraint(
            model_name="version",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("is_marker", False),
                    models.Q(("parts__isnull", True), ("size", 0)),
                    _connector="OR",
                ),
                name="version_marker_is_empty",
            ),
        ),
        migrations.AddIndex(
            model_name="extent",
            index=models.Index(fields=["segment_id"], name="extent_segment"),
        ),
        migrations.AddConstraint(
            model_name="extent",
            constraint=models.UniqueConstraint(
                condition=models.Q(("version__isnull", False)),
                fields=("version", "position"),
                name="extent_of_version",
            ),
        ),
        migrations.AddConstraint(
            model_name="extent",
            constraint=models.UniqueConstraint(
                condition=models.Q(("part__isnull", False)),
                fields=("part", "position"),
                name="extent_of_part",
            ),
        ),
        migrations.AddConstraint(
            model_name="extent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("part__isnull", True), ("version__isnull", False)),
                    models.Q(("part__isnull", False), ("version__isnull", True)),
                    _connector="OR",
                ),
                name="extent_one_owner",
            ),
        ),
        migrations.AddConstraint(
            model_name="extent",
            constraint=models.CheckConstraint(
                condition=models.Q(("length__gt", 0), ("offset__gte", 0), ("skip__gte", 0)),
                name="extent_range",
            ),
        ),
        *(
            migrations.RunSQL((SQL / f"{name}.sql").read_text(), migrations.RunSQL.noop)
            for name in FILES
        ),
    ]
