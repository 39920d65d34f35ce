"""Named places where a test may make this process stop, fail or wait.

A module declares its points once; campaigns list them with `registry()` and fail if one never
fired. Armed by `OBJSTORE_FAILPOINTS` (each process for itself) or by the file `$home/failpoints`,
looked at every 0.2 s (one firing among all processes per writing of the file). Entries are
separated by `;` or line ends:

    name=kill            SIGKILL this process at the first hit
    name=raise@3         raise FailpointRaised at the third hit (raise:EIO raises that OSError)
    name=delay:500*      wait 500 ms at every hit
    name=off             nothing

Promise: an unarmed `hit()` costs about 100 ns; a firing is recorded in `$home/failpoints.fired`,
fsynced, before it takes effect, as `name pid action`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from core.config import config
from core.errors import FailpointRaised

_LOOK_EVERY_S = 0.2


@dataclass(slots=True)
class _Arming:
    action: str
    argument: str
    nth: int
    repeats: bool
    claim: str | None
    hits: int = 0

    def is_due(self) -> bool:
        self.hits += 1
        return self.hits == self.nth or (self.repeats and self.hits > self.nth)


class Failpoint:
    """One named place."""

    __slots__ = ("arming", "doc", "name", "point")

    def __init__(self, name: str, point: str, doc: str) -> None:
        self.name = name
        self.point = point
        self.doc = doc
        self.arming: _Arming | None = None

    def hit(self) -> None:
        """Take effect here, blocking."""
        if (self.arming is not None or monotonic() >= _watch.look_at) and self._fires():
            if delay := self._delay_s():
                time.sleep(delay)
            else:
                self._act()

    async def reach(self) -> None:
        """Take effect here, without blocking the loop."""
        if (self.arming is not None or monotonic() >= _watch.look_at) and self._fires():
            if delay := self._delay_s():
                await asyncio.sleep(delay)
            else:
                self._act()

    def _fires(self) -> bool:
        _watch.look()
        arming = self.arming
        if arming is None or arming.action == "off" or not arming.is_due():
            return False
        if arming.claim is not None and not arming.repeats and not _claim(arming.claim, self.name):
            return False
        _record(self.name, arming.action)
        return True

    def _delay_s(self) -> float:
        assert self.arming is not None
        if self.arming.action != "delay":
            return 0.0
        return max(float(self.arming.argument or 0), 0.001) / 1000

    def _act(self) -> None:
        assert self.arming is not None
        if self.arming.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.arming.argument:
            number = getattr(errno, self.arming.argument, errno.EIO)
            raise OSError(number, os.strerror(number))
        raise FailpointRaised(name=self.name)


_registry: dict[str, Failpoint] = {}


def declare(name: str, *, point: str, doc: str) -> Failpoint:
    """A new failpoint; `point` is the crash point it stands for (docs/testing.md)."""
    assert name not in _registry, f"failpoint {name} is declared twice"
    made = _registry[name] = Failpoint(name, point, doc)
    _watch.look_at = 0.0
    return made


def registry() -> dict[str, Failpoint]:
    """Every declared failpoint of the modules imported so far."""
    return dict(_registry)


def arm(spec: str) -> None:
    """Arm failpoints of this process from now on, instead of what was armed before (tests)."""
    # The first look would put the environment's armings over these.
    _watch.look_at = 0.0
    _watch.look()
    _apply(parse(spec), claim=None)


def look_again() -> None:
    """Look at the control file at the next hit, however recently it was looked at (tests)."""
    _watch.look_at = 0.0


def forget(point: Failpoint) -> None:
    """Take a point out of the registry (tests)."""
    del _registry[point.name]


def fired(home: Path) -> list[tuple[str, int, str]]:
    """The firings recorded under a home: name, process id, action."""
    try:
        lines = (home / "failpoints.fired").read_text().splitlines()
    except FileNotFoundError:
        return []
    fields = (line.split() for line in lines)
    return [(name, int(pid), action) for name, pid, action in fields]


def parse(spec: str) -> dict[str, tuple[str, str, int, bool]]:
    """name -> (action, argument, n-th, repeats); ValueError says what is wrong."""
    armings = {}
    for entry in spec.replace("\n", ";").split(";"):
        entry = entry.strip()
        if not entry or entry.startswith("#"):
            continue
        name, equals, rest = entry.partition("=")
        repeats = rest.endswith("*")
        action, _, nth = rest.rstrip("*").partition("@")
        action, _, argument = action.partition(":")
        name = name.strip()
        is_number = nth.isdigit() and int(nth) > 0 if nth else True
        if not (name and equals and is_number and action in ("kill", "raise", "delay", "off")):
            raise ValueError(f"not a failpoint arming: {entry}")
        armings[name] = (action, argument, int(nth or 1), repeats)
    return armings


class _Watch:
    """Looks at the environment once and at the control file now and then."""

    def __init__(self) -> None:
        self.look_at = 0.0
        self._seen: tuple[int, int] | None = None
        self._declared = 0
        self._from_env: dict[str, tuple[str, str, int, bool]] | None = None

    def look(self) -> None:
        moment = monotonic()
        if moment < self.look_at:
            return
        self.look_at = moment + _LOOK_EVERY_S
        if self._from_env is None:
            self._from_env = parse(config().proof.failpoints)
        seen = self._stamp()
        if seen == self._seen and self._declared == len(_registry):
            return
        self._seen, self._declared = seen, len(_registry)
        if seen is None:
            _apply(self._from_env, claim=None)
        else:
            _apply(parse(_control_file().read_text()), claim=f"{seen[0]}-{seen[1]}")

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = os.stat(_control_file())
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino


_watch = _Watch()


def _apply(armings: dict[str, tuple[str, str, int, bool]], claim: str | None) -> None:
    for name, point in _registry.items():
        wanted = armings.get(name)
        if wanted is None:
            point.arming = None
            continue
        action, argument, nth, repeats = wanted
        old = point.arming
        same = old is not None and claim is not None and old.claim == claim
        if not same:
            point.arming = _Arming(action, argument, nth, repeats, claim)


def _control_file() -> Path:
    return config().home / "failpoints"


def _claim(claim: str, name: str) -> bool:
    """Whether this process is the one that fires for this writing of the control file."""
    directory = config().home / "failpoints.claims"
    directory.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(directory / f"{name}-{claim}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True


def _record(name: str, action: str) -> None:
    home = config().home
    home.mkdir(parents=True, exist_ok=True)
    fd = os.open(home / "failpoints.fired", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
    try:
        os.write(fd, f"{name} {os.getpid()} {action}\n".encode())
        os.fsync(fd)
    finally:
        os.close(fd)
