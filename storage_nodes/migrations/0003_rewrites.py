"""The functions that replace layouts, move shards and bury segments."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [
        ("storage_nodes", "0002_segments"),
        ("jobs", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL((SQL / "rewrites.sql").read_text(), migrations.RunSQL.noop),
    ]
