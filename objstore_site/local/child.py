"""One child process of the runner: started, watched, started again with back-off, stopped.

Promise: a child dies with the runner; what it had started itself (its process group) dies with it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from objstore_site.local import privileges

FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 30.0
# Having lived this long, a process gets a fresh start.
SETTLED_AFTER_S = 60.0
LOG_KEPT = 64 << 20
_ERROR = re.compile(r'^\w*(Error|Exception)\b|"level":"(error|critical)"|cannot|refused')
_TRACEBACK = "Traceback (most recent call last):"


@dataclass
class Child:
    """A command, and its present process if any."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    log: Path
    # Processes with the same number are stopped together, smaller numbers first.
    stop_order: int
    stop_within_s: float = 30.0
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0
    started_at: float = 0.0
    start_again_at: float = 0.0
    # Where in the log the present process began.
    log_offset: int = 0
    # The processes it runs itself: the gateway's and Celery's workers.
    workers: frozenset[int] = frozenset()

    def start(self) -> None:
        """Start it, its output to its log."""
        if self.log.exists() and self.log.stat().st_size > LOG_KEPT:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as output:
            self.log_offset = output.tell()
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.directory,
                env=dict(self.environment),
                start_new_session=True,
                preexec_fn=privileges.dying_with_parent(signal.SIGTERM),
            )
        self.started_at = monotonic()
        self.start_again_at = 0.0
        self.workers = frozenset()

    def death(self) -> str | None:
        """How it died, told once; what is left of its group is ended and a new start is planned."""
        if self.process is None:
            return None
        code = self.process.poll()
        if code is None:
            return None
        self._kill_group()
        self.process = None
        if monotonic() - self.started_at > SETTLED_AFTER_S:
            self.deaths = 0
        self.start_again_at = monotonic() + self.backoff_s()
        self.deaths += 1
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def lost_workers(self) -> list[int]:
        """Workers of its own that ended since the last look; it starts others by itself."""
        if self.process is None:
            return []
        before, self.workers = self.workers, _children(self.process.pid)
        return sorted(before - self.workers)

    def backoff_s(self) -> float:
        """How long to wait before the next start."""
        # A power of an ever larger number would end in an OverflowError.
        return min(FIRST_BACKOFF_S * 2.0 ** min(self.deaths, 30), LONGEST_BACKOFF_S)

    def is_due(self) -> bool:
        """Is it time to start it again?"""
        return self.process is None and 0 < self.start_again_at <= monotonic()

    def ask_to_stop(self) -> None:
        """SIGTERM; what comes of it is `finish`'s business."""
        self.start_again_at = 0.0
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.terminate()

    def finish(self, *, within_s: float) -> bool:
        """Wait for the end, then kill; False when it had to be killed."""
        if self.process is None:
            return True
        try:
            self.process.wait(max(0.0, within_s))
            politely = True
        except subprocess.TimeoutExpired:
            politely = False
        self._kill_group()
        self.process.wait()
        self.process = None
        return politely

    def last_words(self) -> str:
        """Why it ended, by its log since its last start: an exception, an error, the last line."""
        try:
            with self.log.open("rb") as log:
                log.seek(self.log_offset)
                lines = log.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return "nothing; it left no log"
        errors = [line for line in lines if _ERROR.search(line)]
        return _plainly((_exceptions(lines) or errors or lines or ["nothing"])[-1])

    def _kill_group(self) -> None:
        assert self.process is not None
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)


def _children(pid: int) -> frozenset[int]:
    """The processes this one started; none where the kernel does not tell."""
    try:
        return frozenset(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return frozenset()


def _exceptions(lines: list[str]) -> list[str]:
    """What ends each traceback: the first line not indented after it, or a JSON line."""
    found = []
    inside = False
    for line in lines:
        if line.startswith(_TRACEBACK):
            inside = True
        elif '"error":"Traceback' in line:
            found.append(line)
        elif inside and not line.startswith(" "):
            found.append(line)
            inside = False
    return found


def _plainly(line: str) -> str:
    """The message of a JSON log line, with the last line of its traceback; other lines as they
    are.
    """
    try:
        found = json.loads(line)
        said, *error = [found["msg"], *str(found.get("error", "")).strip().splitlines()[-1:]]
    except (ValueError, KeyError, TypeError):
        return line
    return ": ".join([str(said), *error])
