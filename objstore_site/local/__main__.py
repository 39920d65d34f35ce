"""`make run`."""

from __future__ import annotations

import errno
import importlib
import sys

from core.config import config
from core.errors import ConfigurationError
from objstore_site.local.complaint import Complaint
from objstore_site.local.terminal import Terminal


def main() -> int:
    """Run a store; what keeps it from running is one sentence and exit code 1."""
    terminal = Terminal()
    try:
        # Loaded here, where a package that is not installed can be named in a sentence.
        importlib.import_module("objstore_site.local.runner").run(config(), terminal)
    except Complaint as why:
        terminal.complain(str(why))
    except ConfigurationError as why:
        terminal.complain(f"The configuration cannot be used: {why.message}")
    except ModuleNotFoundError as why:
        terminal.complain(f"The Python package {why.name} is missing. `make venv` installs it.")
    except OSError as why:
        terminal.complain(_sentence(why))
    except RuntimeError as why:
        terminal.complain(str(why))
    else:
        return 0
    return 1


def _sentence(why: OSError) -> str:
    if why.errno == errno.ENOSPC:
        return f"The disk of {config().home} is full."
    where = f" ({why.filename})" if why.filename else ""
    return f"The operating system refuses: {why.strerror}{where}."


if __name__ == "__main__":
    sys.exit(main())
