"""Starting a whole store, keeping it running, stopping it.

Here: the order of things. Not here: what each process is (plan.py), the servers (servers.py).

Promise: whatever ends this process, its children end too; the next run carries on with every
acknowledged object.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from time import monotonic
from types import FrameType

from core.config import Config
from objstore_site import safety
from objstore_site.local import credentials, marks, plan
from objstore_site.local.child import Child
from objstore_site.local.complaint import Complaint
from objstore_site.local.home import Home
from objstore_site.local.ports import refuse_taken_ports
from objstore_site.local.servers import LocalServers
from objstore_site.local.terminal import Terminal
from objstore_site.running import forget_servers, write_servers

READY_WITHIN_S = 180.0
# A process that dies this often before the store is ready will not get better by itself.
DEATHS_BEFORE_READY = 3
ORPHANS_GRACE_S = 1.0
STOP_WITHIN_S = 30.0
LOOK_EVERY_S = 0.5


class StopRequested(BaseException):
    """SIGINT or SIGTERM came while something was waited for."""


class Runner:
    """One run of one store."""

    def __init__(self, config: Config, terminal: Terminal) -> None:
        self.config = config
        self.terminal = terminal
        self.home = Home(config.home)
        self.servers: LocalServers | None = None
        self.children: list[Child] = []
        self._stops = 0
        self._interruptible = False
        self._wakeup = -1

    def run(self) -> None:
        """Start everything and stay until told to stop."""
        self._listen_to_signals()
        self.home.prepare()
        self.home.lock()
        self._end_orphans()
        refuse_taken_ports(self.config)
        try:
            self._interruptible = True
            self._start()
            self._interruptible = False
            self._supervise()
        except StopRequested:
            pass
        finally:
            self._interruptible = False
            self._stop()

    def _start(self) -> None:
        terminal, home = self.terminal, self.home
        terminal.say(f"Starting the store in {home.path}")
        self.servers = LocalServers.of(self.config, home)
        self.servers.start()
        write_servers(home.path, self.servers.addresses())
        terminal.step("servers", self.servers.described())
        inherited = plan.child_environment(self.config, home, self.servers.addresses())

        nodes = plan.nodes(self.config, home, inherited)
        # Nodes want the key and the drives that the first preparation makes; later they need not
        # wait.
        is_first_start = not self.config.nodes.key_file.exists()
        if not is_first_start:
            self._launch(nodes)
        self._prepare_database(inherited)
        if is_first_start:
            self._launch(nodes)
        terminal.step("nodes", f"{self.config.cluster.nodes} started")
        self._launch(plan.doors(home, inherited))
        self._wait_until_ready()
        terminal.step("gateway", "ready")
        self._launch(plan.background(home, inherited))
        terminal.step("background", "worker, beat, console and metrics started")
        found = credentials.read(home.credentials)
        terminal.summary(self.config, found, servers=self.servers.described())

    def _end_orphans(self) -> None:
        ended = marks.end_marked(self.home.path, grace_s=ORPHANS_GRACE_S)
        if ended:
            self.terminal.say(f"Ended processes that an earlier run left behind: {len(ended)}.")

    def _launch(self, children: list[Child]) -> None:
        for child in children:
            self.children.append(child)
            child.start()

    def _prepare_database(self, inherited: dict[str, str]) -> None:
        """Migrations, nodes and drives, the first tenant and the admin, in a process of its own."""
        assert self.servers is not None
        preparing = Child(
            name="prepare",
            command=[sys.executable, "manage.py", "prepare_store"],
            environment=inherited,
            directory=plan.REPOSITORY,
            log=self.home.logs / "prepare.log",
            stop_order=plan.DOORS,
        )
        self._launch([preparing])
        assert preparing.process is not None
        try:
            code = preparing.process.wait(READY_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise Complaint("Preparing the database takes too long; see prepare.log.") from None
        self.children.remove(preparing)
        if code != 0:
            raise Complaint(f"The database cannot be prepared: {preparing.last_words()}")
        self.terminal.step("database", "migrated; nodes, drives and key are known")

    def _wait_until_ready(self) -> None:
        deadline = monotonic() + READY_WITHIN_S
        url = f"{credentials.endpoint(self.config)}/ready"
        said = 0
        while not _answers(url):
            self._restart_the_dead()
            self._give_up_on_the_hopeless()
            if monotonic() > deadline:
                gateway = next(child for child in self.children if child.name == "gateway")
                raise Complaint(f"The gateway does not get ready. It said: {gateway.last_words()}")
            waited = int(monotonic() - deadline + READY_WITHIN_S) // 5
            if waited > said:
                said = waited
                self.terminal.step("gateway", "not ready yet, waiting")
            self._sleep(0.1)

    def _give_up_on_the_hopeless(self) -> None:
        for child in self.children:
            if child.deaths >= DEATHS_BEFORE_READY:
                raise Complaint(f"{child.name} does not stay up. It said: {child.last_words()}")

    def _supervise(self) -> None:
        while not self._stops:
            self._restart_the_dead()
            for child in self.children:
                for pid in child.lost_workers():
                    self.terminal.step(child.name, f"worker {pid} died; it starts another")
            self._sleep(LOOK_EVERY_S)

    def _restart_the_dead(self) -> None:
        for child in self.children:
            how = child.death()
            if how is not None:
                wait = child.start_again_at - monotonic()
                self.terminal.step(child.name, f"died ({how}); starts again in {wait:.1f} s")
            if child.is_due():
                child.start()
                self.terminal.step(child.name, "started again")
        assert self.servers is not None
        for name in self._failing_softly(self.servers.start_again):
            self.terminal.step(name, "died; it runs again")

    def _failing_softly(self, start_again: Callable[[], list[str]]) -> list[str]:
        """A server that will not start now is tried again at the next look."""
        try:
            return start_again()
        except (RuntimeError, OSError) as why:
            self.terminal.step("servers", f"cannot be started again yet: {why}")
            self._sleep(2.0)
            return []

    def _stop(self) -> None:
        """Doors, then work, then nodes, then the servers; a second Ctrl-C kills."""
        if self.children:
            self.terminal.say("Stopping.")
        for order in sorted({child.stop_order for child in self.children}):
            group = [child for child in self.children if child.stop_order == order]
            for child in group:
                child.ask_to_stop()
            self._finish(group)
        if self.servers is not None:
            self.servers.stop()
            forget_servers(self.home.path)
        # Nothing of ours may stay, whatever became of its parent.
        marks.end_marked(self.home.path, grace_s=ORPHANS_GRACE_S)
        if self.children:
            self.terminal.say("Stopped. `make run` carries on with the same data.")

    def _finish(self, group: list[Child]) -> None:
        deadline = monotonic() + STOP_WITHIN_S
        while any(child.process and child.process.poll() is None for child in group):
            if monotonic() > deadline or self._stops > 1:
                break
            self._sleep(0.05)
        for child in group:
            if not child.finish(within_s=0):
                self.terminal.step(child.name, "did not stop in time and was killed")

    def _listen_to_signals(self) -> None:
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wakeup = reading
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, self._on_stop)
        # Its handler does nothing; its arrival ends a sleep.
        signal.signal(signal.SIGCHLD, lambda signum, frame: None)

    def _on_stop(self, signum: int, frame: FrameType | None) -> None:
        self._stops += 1
        if self._interruptible:
            self._interruptible = False
            raise StopRequested

    def _sleep(self, seconds: float) -> None:
        """Until the time is over, a signal comes or a child dies."""
        readable, _, _ = select.select([self._wakeup], [], [], seconds)
        if readable:
            os.read(self._wakeup, 4096)


def run(config: Config, terminal: Terminal) -> None:
    """Check what was given, then run."""
    if config.database.url:
        safety.refuse_unsafe_database(config)
    Runner(config, terminal).run()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
