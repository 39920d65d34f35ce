"""Buckets and their documents; the functions that compute lock ids."""

from pathlib import Path

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import core.names

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("jobs", "0001_initial"),
        ("tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Bucket",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.names.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.TextField(db_collation="C", unique=True)),
                ("region", models.TextField()),
                (
                    "versioning",
                    models.TextField(
                        blank=True,
                        choices=[
                            ("", "never enabled"),
                            ("Enabled", "Enabled"),
                            ("Suspended", "Suspended"),
                        ],
                        default="",
                    ),
                ),
                ("storage_policy", models.TextField(default="ec-6-3")),
                (
                    "ack",
                    models.TextField(
                        choices=[("fast", "fast"), ("strict", "strict")], default="fast"
                    ),
                ),
                ("object_lock", models.BooleanField(default=False)),
                ("revision", models.BigIntegerField(default=0, editable=False)),
                (
                    "created",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="buckets",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={
                "db_table": "bucket",
            },
        ),
        migrations.CreateModel(
            name="BucketDocument",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "kind",
                    models.TextField(
                        choices=[
                            ("accelerate", "accelerate"),
                            ("acl", "acl"),
                            ("analytics", "analytics"),
                            ("cors", "cors"),
                            ("encryption", "encryption"),
                            ("intelligent_tiering", "intelligent_tiering"),
                            ("inventory", "inventory"),
                            ("lifecycle", "lifecycle"),
                            ("logging", "logging"),
                            ("metrics", "metrics"),
                            ("notification", "notification"),
                            ("object_lock", "object_lock"),
                            ("ownership", "ownership"),
                            ("policy", "policy"),
                            ("public_access", "public_access"),
                            ("replication", "replication"),
                            ("request_payment", "request_payment"),
                            ("tagging", "tagging"),
                            ("website", "website"),
                        ]
                    ),
                ),
                ("body", models.TextField()),
                ("revision", models.BigIntegerField(default=0, editable=False)),
                (
                    "changed",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "bucket",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="documents",
                        to="buckets.bucket",
                    ),
                ),
            ],
            options={
                "verbose_name": "bucket document",
                "db_table": "bucket_document",
            },
        ),
        migrations.AddIndex(
            model_name="bucket",
            index=models.Index(fields=["tenant", "name"], name="bucket_of_tenant"),
        ),
        migrations.AddConstraint(
            model_name="bucket",
            constraint=models.CheckConstraint(
                condition=models.Q(("name__regex", "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")),
                name="bucket_name",
            ),
        ),
        migrations.AddConstraint(
            model_name="bucket",
            constraint=models.CheckConstraint(
                condition=models.Q(("versioning__in", ("", "Enabled", "Suspended"))),
                name="bucket_versioning",
            ),
        ),
        migrations.AddConstraint(
            model_name="bucket",
            constraint=models.CheckConstraint(
                condition=models.Q(("ack__in", ["fast", "strict"])), name="bucket_ack"
            ),
        ),
        migrations.AddConstraint(
            model_name="bucket",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("object_lock", False), ("versioning", "Enabled"), _connector="OR"
                ),
                name="bucket_lock_versions",
            ),
        ),
        migrations.AddConstraint(
            model_name="bucketdocument",
            constraint=models.UniqueConstraint(
                fields=("bucket", "kind"), name="bucket_document_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="bucketdocument",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        (
                            "accelerate",
                            "acl",
                            "analytics",
                            "cors",
                            "encryption",
                            "intelligent_tiering",
                            "inventory",
                            "lifecycle",
                            "logging",
                            "metrics",
                            "notification",
                            "object_lock",
                            "ownership",
                            "policy",
                            "public_access",
                            "replication",
                            "request_payment",
                            "tagging",
                            "website",
                        ),
                    )
                ),
                name="bucket_document_kind",
            ),
        ),
        migrations.RunSQL((SQL / "buckets.sql").read_text(), migrations.RunSQL.noop),
    ]
