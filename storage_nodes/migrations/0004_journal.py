"""Places and segments enter the journal, whoever changes them."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [
        ("storage_nodes", "0003_rewrites"),
        ("jobs", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL((SQL / "journal.sql").read_text(), migrations.RunSQL.noop),
    ]
