"""Print docs/s3-compatibility.md, which the operations table says."""

from typing import Any

from django.core.management.base import BaseCommand

from s3 import compat_page


class Command(BaseCommand):
    """`manage.py s3_compatibility > docs/s3-compatibility.md`."""

    help = "Print the page of S3 compatibility from the operations table."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(compat_page.page(), ending="")
