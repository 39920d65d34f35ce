"""Zones, nodes and drives."""

from pathlib import Path

import django.db.models.deletion
from django.db import migrations, models

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    initial = True

    dependencies: list[tuple[str, str]] = []

    operations = [
        migrations.CreateModel(
            name="Zone",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("name", models.TextField(unique=True)),
            ],
            options={
                "db_table": "zone",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="zone_name"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Node",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("name", models.TextField(unique=True)),
                ("address", models.TextField(help_text="HTTP address for other hosts")),
                (
                    "socket",
                    models.TextField(
                        blank=True, help_text="Unix socket for its own host", null=True
                    ),
                ),
                (
                    "host",
                    models.TextField(
                        db_default="", help_text="Which machine it runs on, as it says itself"
                    ),
                ),
                (
                    "state",
                    models.TextField(choices=[("up", "Up"), ("down", "Down")], db_default="up"),
                ),
                ("last_seen", models.DateTimeField(null=True)),
                (
                    "zone",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="storage_nodes.zone"
                    ),
                ),
            ],
            options={
                "db_table": "node",
            },
        ),
        migrations.CreateModel(
            name="Drive",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                (
                    "uuid",
                    models.UUIDField(help_text="The identity written on the drive", unique=True),
                ),
                ("path", models.TextField()),
                ("weight", models.FloatField(db_default=1.0)),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("active", "Active"),
                            ("draining", "Draining"),
                            ("gone", "Gone"),
                            ("fenced", "Fenced"),
                            ("removed", "Removed"),
                        ],
                        db_default="active",
                    ),
                ),
                (
                    "draining",
                    models.BooleanField(
                        db_default=False,
                        help_text="Being emptied; remembered while the drive is gone or fenced",
                    ),
                ),
                (
                    "reason",
                    models.TextField(
                        blank=True, db_default="", help_text="Why it is gone or fenced"
                    ),
                ),
                ("size_bytes", models.BigIntegerField(db_default=0)),
                ("free_bytes", models.BigIntegerField(db_default=0)),
                (
                    "device",
                    models.BigIntegerField(
                        help_text="st_dev: equal ones share their fate", null=True
                    ),
                ),
                ("gone_since", models.DateTimeField(blank=True, null=True)),
                ("last_seen", models.DateTimeField(null=True)),
                (
                    "node",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="storage_nodes.node"
                    ),
                ),
            ],
            options={
                "db_table": "drive",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["active", "draining", "gone", "fenced", "removed"])
                        ),
                        name="drive_state",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("weight__gte", 0)), name="drive_weight"
                    ),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="node",
            constraint=models.CheckConstraint(
                condition=models.Q(("name", ""), _negated=True), name="node_name"
            ),
        ),
        migrations.AddConstraint(
            model_name="node",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["up", "down"])), name="node_state"
            ),
        ),
        # Its functions name tables of later migrations, which must exist when they are called.
        migrations.RunSQL((SQL / "health.sql").read_text(), migrations.RunSQL.noop),
    ]
