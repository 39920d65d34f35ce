"""Where `make clients` puts the clients that do not live in the test environment, and how it gets
them: `python -m tests.clients.installed`.

Here: npm packages, the environment of s3fs, Debian packages unpacked without installing them.
Not here: the clients of requirements/test.txt and requirements/clients.txt, which pip installs.

Promise: nothing outside `.venv/clients` is changed. A client that cannot be had is named loudly
here, and again by its skipped tests; only those of PyPI are an error.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

from tests.support.repository import REPOSITORY

PROGRAMS = REPOSITORY / "tests" / "clients" / "programs"
HOME = REPOSITORY / ".venv" / "clients"

S3FS_PYTHON = HOME / "s3fs" / "bin" / "python"
NODE_MODULES = HOME / "npm" / "node_modules"
RCLONE = HOME / "apt" / "usr" / "bin" / "rclone"
RESTIC = HOME / "apt" / "usr" / "bin" / "restic"

_INSTALL_WITHIN_S = 600


def found(program: Path, name: str) -> Path | None:
    """The program this machine has, or the one that was unpacked."""
    on_path = shutil.which(name)
    if on_path:
        return Path(on_path)
    return program if program.exists() else None


def install_s3fs() -> None:
    """An environment of its own: aiobotocore wants another botocore than boto3 and awscli do."""
    requirements = REPOSITORY / "requirements" / "clients-s3fs.txt"
    if S3FS_PYTHON.exists() and _is_newer(HOME / "s3fs" / ".installed", requirements):
        return
    venv.create(HOME / "s3fs", with_pip=True, clear=True)
    _run(S3FS_PYTHON, "-m", "pip", "install", "-q", "--prefer-binary", "-r", requirements)
    (HOME / "s3fs" / ".installed").touch()


def install_sdk() -> None:
    """aws-sdk-js v3, as its lock names it."""
    target = HOME / "npm"
    lock = PROGRAMS / "package-lock.json"
    if _is_newer(target / ".installed", lock):
        return
    target.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PROGRAMS / name, target / name)
    _run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", target)
    (target / ".installed").touch()


def install_debian(name: str, program: Path) -> None:
    """A Debian package, unpacked below our own directory: nobody needs to be root for that."""
    if found(program, name):
        return
    target = HOME / "apt"
    target.mkdir(parents=True, exist_ok=True)
    _run("apt-get", "download", name, cwd=target)
    packages = sorted(target.glob(f"{name}_*.deb"))
    _run("dpkg", "-x", packages[-1], target)


def main() -> int:
    """Get all of them; the exit code says whether one of PyPI is missing."""
    _is_there("aws-sdk-js", install_sdk)
    _is_there("rclone", lambda: install_debian("rclone", RCLONE))
    _is_there("restic", lambda: install_debian("restic", RESTIC))
    return 0 if _is_there("s3fs", install_s3fs) else 1


def _is_there(name: str, install: Callable[[], None]) -> bool:
    try:
        install()
    except (OSError, subprocess.SubprocessError, IndexError) as failure:
        sys.stderr.write(f"NOT TESTED: {name} cannot be had on this machine: {failure}\n")
        return False
    return True


def _is_newer(stamp: Path, source: Path) -> bool:
    return stamp.exists() and stamp.stat().st_mtime >= source.stat().st_mtime


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    subprocess.run([str(word) for word in command], cwd=cwd, check=True, timeout=_INSTALL_WITHIN_S)


if __name__ == "__main__":
    sys.exit(main())
