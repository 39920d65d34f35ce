"""The functions with which extents decide about segments."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [
        ("objects", "0001_initial"),
        ("storage_nodes", "0003_rewrites"),
    ]

    operations = [
        migrations.RunSQL((SQL / "rewrite.sql").read_text(), migrations.RunSQL.noop),
    ]
