"""Tenants, users, access keys, the audit trail."""

from pathlib import Path

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import core.names

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    initial = True

    dependencies = [("jobs", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Audit",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("actor", models.TextField()),
                ("action", models.TextField()),
                ("subject", models.TextField()),
                ("detail", models.JSONField(default=dict)),
            ],
            options={
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit entries",
                "db_table": "audit",
                "indexes": [
                    models.Index(fields=["at"], name="audit_at"),
                    models.Index(fields=["subject", "at"], name="audit_subject"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Tenant",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.names.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("account_id", models.TextField(help_text="Twelve digits.", unique=True)),
                ("canonical_id", models.TextField(help_text="64 hexadecimal digits.", unique=True)),
                ("name", models.TextField(unique=True)),
                ("display_name", models.TextField()),
                ("email", models.TextField(blank=True, null=True, unique=True)),
                ("suspended", models.BooleanField(default=False)),
                ("quota_bytes", models.BigIntegerField(blank=True, null=True)),
                ("quota_objects", models.BigIntegerField(blank=True, null=True)),
                ("revision", models.BigIntegerField(default=0, editable=False)),
                (
                    "created",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "db_table": "tenant",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("account_id__regex", "^[0-9]{12}$")),
                        name="tenant_account_id",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("canonical_id__regex", "^[0-9a-f]{64}$")),
                        name="tenant_canonical_id",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="tenant_name"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("quota_bytes__isnull", True), ("quota_bytes__gte", 0), _connector="OR"
                        ),
                        name="tenant_quota_bytes",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("quota_objects__isnull", True),
                            ("quota_objects__gte", 0),
                            _connector="OR",
                        ),
                        name="tenant_quota_objects",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AccountUser",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=core.names.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.TextField()),
                ("is_root", models.BooleanField(default=False)),
                ("policy", models.JSONField(help_text="An IAM policy document.")),
                ("suspended", models.BooleanField(default=False)),
                ("revision", models.BigIntegerField(default=0, editable=False)),
                (
                    "created",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="users",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={
                "verbose_name": "user",
                "db_table": "account_user",
            },
        ),
        migrations.CreateModel(
            name="AccessKey",
            fields=[
                (
                    "id",
                    models.TextField(
                        help_text="The access key id.", primary_key=True, serialize=False
                    ),
                ),
                ("secret", models.BinaryField()),
                ("enabled", models.BooleanField(default=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revision", models.BigIntegerField(default=0, editable=False)),
                (
                    "created",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="keys",
                        to="tenants.accountuser",
                    ),
                ),
            ],
            options={
                "db_table": "access_key",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("id__regex", "^[A-Za-z0-9._+=@-]{3,128}$")),
                        name="access_key_id",
                    )
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="accountuser",
            constraint=models.UniqueConstraint(fields=("tenant", "name"), name="account_user_name"),
        ),
        migrations.AddConstraint(
            model_name="accountuser",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_root", True)),
                fields=("tenant",),
                name="account_user_one_root",
            ),
        ),
        migrations.AddConstraint(
            model_name="accountuser",
            constraint=models.CheckConstraint(
                condition=models.Q(("name", ""), _negated=True), name="account_user_named"
            ),
        ),
        migrations.RunSQL((SQL / "tenants.sql").read_text(), migrations.RunSQL.noop),
    ]
