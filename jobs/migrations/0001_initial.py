"""Owed and finished work, the journal's rows."""

from pathlib import Path

import django.db.models.functions.datetime
from django.db import migrations, models

import core.names

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Change",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("kind", models.TextField()),
                ("bucket_id", models.UUIDField(null=True)),
                ("key", models.TextField(null=True)),
                ("seq", models.BigIntegerField(null=True)),
                ("body", models.JSONField()),
            ],
            options={
                "db_table": "change",
                "ordering": [models.OrderBy(models.F("id"), descending=True)],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="JobDone",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.names.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("family", models.TextField()),
                (
                    "subject",
                    models.TextField(
                        blank=True, help_text="What the work is about; most often an id."
                    ),
                ),
                (
                    "key",
                    models.TextField(
                        blank=True, help_text="Owing the same key again joins this row."
                    ),
                ),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("ready", "ready"),
                            ("leased", "leased"),
                            ("paused", "paused"),
                            ("failed", "failed"),
                        ],
                        default="ready",
                    ),
                ),
                ("priority", models.IntegerField(default=0, help_text="The smallest goes first.")),
                ("cursor", models.JSONField(blank=True, null=True)),
                ("done", models.BigIntegerField(default=0)),
                ("total", models.BigIntegerField(blank=True, null=True)),
                ("attempts", models.IntegerField(default=0)),
                (
                    "run_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                (
                    "token",
                    models.BigIntegerField(
                        default=0, help_text="Fencing token of the latest lease."
                    ),
                ),
                (
                    "owed_again",
                    models.BooleanField(default=False, help_text="Owed anew while it was running."),
                ),
                ("cancel_requested", models.BooleanField(default=False)),
                ("last_error", models.TextField(blank=True, default="")),
                (
                    "sent_at",
                    models.DateTimeField(blank=True, help_text="Given to the queue.", null=True),
                ),
                (
                    "created",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "changed",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("detail", models.JSONField(blank=True, default=dict)),
                (
                    "finished",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "outcome",
                    models.TextField(
                        choices=[("done", "done"), ("failed", "failed"), ("cancelled", "cancelled")]
                    ),
                ),
            ],
            options={
                "verbose_name": "finished job",
                "db_table": "job_done",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Job",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.names.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("family", models.TextField()),
                (
                    "subject",
                    models.TextField(
                        blank=True, help_text="What the work is about; most often an id."
                    ),
                ),
                (
                    "key",
                    models.TextField(
                        blank=True, help_text="Owing the same key again joins this row."
                    ),
                ),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("ready", "ready"),
                            ("leased", "leased"),
                            ("paused", "paused"),
                            ("failed", "failed"),
                        ],
                        default="ready",
                    ),
                ),
                ("priority", models.IntegerField(default=0, help_text="The smallest goes first.")),
                ("cursor", models.JSONField(blank=True, null=True)),
                ("done", models.BigIntegerField(default=0)),
                ("total", models.BigIntegerField(blank=True, null=True)),
                ("attempts", models.IntegerField(default=0)),
                (
                    "run_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                (
                    "token",
                    models.BigIntegerField(
                        default=0, help_text="Fencing token of the latest lease."
                    ),
                ),
                (
                    "owed_again",
                    models.BooleanField(default=False, help_text="Owed anew while it was running."),
                ),
                ("cancel_requested", models.BooleanField(default=False)),
                ("last_error", models.TextField(blank=True, default="")),
                (
                    "sent_at",
                    models.DateTimeField(blank=True, help_text="Given to the queue.", null=True),
                ),
                (
                    "created",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "changed",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("detail", models.JSONField(blank=True, default=dict)),
            ],
            options={
                "db_table": "job",
                "indexes": [
                    models.Index(
                        condition=models.Q(("sent_at__isnull", True), ("state", "ready")),
                        fields=["family", "priority", "run_at"],
                        name="job_unsent",
                    ),
                    models.Index(
                        condition=models.Q(("sent_at__isnull", False), ("state", "ready")),
                        fields=["family", "sent_at"],
                        name="job_sent",
                    ),
                    models.Index(
                        condition=models.Q(("state", "leased")),
                        fields=["family"],
                        name="job_leased",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("family", "key"), name="job_key"),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ("ready", "leased", "paused", "failed"))),
                        name="job_state",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "leased"), _negated=True),
                            ("lease_until__isnull", False),
                            _connector="OR",
                        ),
                        name="job_lease",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="JobFamily",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("paused", models.BooleanField(default=False)),
                ("interval_s", models.PositiveIntegerField(blank=True, null=True)),
                ("steps_per_s", models.FloatField(blank=True, null=True)),
                ("last_slot", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "changed",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "verbose_name_plural": "job families",
                "db_table": "job_family",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("interval_s__isnull", True), ("interval_s__gte", 1), _connector="OR"
                        ),
                        name="job_family_interval",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("steps_per_s__isnull", True), ("steps_per_s__gt", 0), _connector="OR"
                        ),
                        name="job_family_throttle",
                    ),
                ],
            },
        ),
        migrations.RunSQL((SQL / "jobs.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((SQL / "partitions.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((SQL / "journal.sql").read_text(), migrations.RunSQL.noop),
    ]
