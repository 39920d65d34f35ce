#!/usr/bin/env python
"""Commands of the store. They reach the running store of `$OBJSTORE_HOME` (default `./var`) by
themselves.
"""

import os
import sys

from django.core.management import execute_from_command_line
from django.db.utils import OperationalError

from core.config import config
from core.errors import ConfigurationError
from objstore_site.running import reach_running_store

# What needs no database.
OFFLINE = {
    "help", "check", "makemigrations", "diffsettings", "collectstatic", "findstatic",
    "s3_compatibility",
}  # fmt: skip
# What is for a store that does not run: it brings its own database.
STOPPED = {"rebuild"}


def main() -> None:
    """Run one command; a store that cannot be reached is one sentence, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "objstore_site.settings")
    try:
        if not STOPPED & set(sys.argv[1:2]):
            reach_running_store()
        _refuse_without_store(sys.argv[1:])
        execute_from_command_line(sys.argv)
    except ConfigurationError as why:
        sys.exit(f"The configuration cannot be used: {why.message}")
    except OperationalError as why:
        sys.exit(f"The database does not answer: {why}")


def _refuse_without_store(arguments: list[str]) -> None:
    """Say where a store was looked for, instead of failing to connect to nothing."""
    asks_only = not arguments or arguments[0].startswith("-") or "--help" in arguments
    if asks_only or arguments[0] in OFFLINE | STOPPED or config().database.url:
        return
    sys.exit(
        f"No store runs in {config().home}. Start it with `make run`,"
        " or set OBJSTORE_HOME or DATABASE_URL."
    )


if __name__ == "__main__":
    main()
