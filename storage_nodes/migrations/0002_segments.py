"""Segments, their shards out of place, replaced layouts, and the rules of who may write."""

from pathlib import Path

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [
        ("storage_nodes", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="RetiredLayout",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "segment_id",
                    models.UUIDField(help_text="The segment itself may be gone already"),
                ),
                ("epoch", models.IntegerField()),
                (
                    "drives",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(), size=None
                    ),
                ),
                (
                    "layout",
                    models.TextField(choices=[("replicated", "Replicated"), ("coded", "Coded")]),
                ),
                ("not_before", models.DateTimeField()),
                ("trashed_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "retired_layout",
                "indexes": [
                    models.Index(
                        condition=models.Q(("trashed_at__isnull", True)),
                        fields=["not_before"],
                        name="retired_layout_due",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("segment_id", "epoch", "drives"), name="retired_layout_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Segment",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("storage_policy", models.TextField()),
                (
                    "layout",
                    models.TextField(choices=[("replicated", "Replicated"), ("coded", "Coded")]),
                ),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("open", "Open"),
                            ("writing", "Writing"),
                            ("sealed", "Sealed"),
                            ("stored", "Stored"),
                            ("dead", "Dead"),
                        ]
                    ),
                ),
                (
                    "epoch",
                    models.IntegerField(db_default=1, help_text="Raised with every new layout"),
                ),
                (
                    "owner",
                    models.TextField(
                        blank=True, help_text="The process that appends to it", null=True
                    ),
                ),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                (
                    "size",
                    models.BigIntegerField(
                        db_default=0, help_text="Address space in use, in bytes"
                    ),
                ),
                (
                    "drives",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(),
                        help_text="Drive of each shard by index; 0: none",
                        size=None,
                    ),
                ),
                (
                    "confirmed",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(),
                        blank=True,
                        help_text="Durable bytes of each copy",
                        null=True,
                        size=None,
                    ),
                ),
                ("cell_size", models.IntegerField(blank=True, null=True)),
                (
                    "created",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("sealed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "successor",
                    models.UUIDField(
                        blank=True,
                        help_text="Of a dead one: the segment its records were gathered into",
                        null=True,
                    ),
                ),
                (
                    "changed",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "db_table": "segment",
                "indexes": [
                    django.contrib.postgres.indexes.GinIndex(
                        fields=["drives"], name="segment_drives"
                    ),
                    models.Index(
                        condition=models.Q(("state__in", ["open", "writing", "sealed", "dead"])),
                        fields=["state", "created"],
                        name="segment_unsettled",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("layout__in", ["replicated", "coded"])),
                        name="segment_layout",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["open", "writing", "sealed", "stored", "dead"])
                        ),
                        name="segment_state",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("epoch__gte", 1)), name="segment_epoch"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("size__gte", 0)), name="segment_sizes"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("drives__len__gte", 1)), name="segment_placed"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("confirmed__isnull", True),
                            ("confirmed__len", models.F("drives__len")),
                            _connector="OR",
                        ),
                        name="segment_confirmed",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state__in", ["open", "writing"]), _negated=True),
                            models.Q(("lease_until__isnull", False), ("owner__isnull", False)),
                            _connector="OR",
                        ),
                        name="segment_owned",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("layout", "coded"), _negated=True),
                            models.Q(("cell_size__gt", 0), ("cell_size__isnull", False)),
                            _connector="OR",
                        ),
                        name="segment_cells",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "open"), _negated=True),
                            ("layout", "replicated"),
                            _connector="OR",
                        ),
                        name="segment_open_is_copies",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SegmentShard",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("epoch", models.IntegerField()),
                ("index", models.IntegerField()),
                ("drive_id", models.IntegerField(blank=True, null=True)),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("missing", "Missing"),
                            ("corrupt", "Corrupt"),
                            ("moving", "Moving"),
                        ]
                    ),
                ),
                (
                    "noticed",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "segment",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="storage_nodes.segment",
                    ),
                ),
            ],
            options={
                "db_table": "segment_shard",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["missing", "corrupt", "moving"])),
                        name="segment_shard_state",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("index__gte", 0)), name="segment_shard_index"
                    ),
                    models.UniqueConstraint(
                        fields=("segment", "epoch", "index"), name="segment_shard_once"
                    ),
                ],
            },
        ),
        migrations.RunSQL((SQL / "segments.sql").read_text(), migrations.RunSQL.noop),
    ]
