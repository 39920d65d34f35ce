"""`manage.py cluster status|register|verify`: what the cluster is, a node made part of it, and
whether everything it keeps is whole.
"""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from core.config import config
from jobs.command_output import Answer, NounCommand, Options
from storage_nodes import cluster, cluster_text, registration
from storage_nodes.verify import command as verify_command
from storage_nodes.verify import text as verify_text


class Command(NounCommand):
    help = "The cluster: tolerance, capacity, states; registration of nodes; verification."
    _verdict = ""

    def verbs(self) -> None:
        self.verb(
            "status", self.status, "Tolerance and its reason, capacity, zones, nodes, drives."
        )
        register = self.verb(
            "register", self.register, "Make a node of this host known; format its new drives."
        )
        register.add_argument("name", help="name of the node")
        register.add_argument("--zone", required=True, help="its failure domain")
        register.add_argument("--address", required=True, help="http://HOST:PORT for other hosts")
        register.add_argument("--socket", type=Path, help="its Unix socket; default: by its name")
        register.add_argument("--drives", nargs="+", type=Path, required=True, metavar="DIR")
        verify = self.verb(
            "verify",
            self.verify,
            "Read every block of everything the store keeps; exit status 3: not all is whole.",
        )
        verify_command.arguments(verify)

    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
        if self._verdict:
            raise CommandError(self._verdict, returncode=verify_command.NOT_WHOLE)

    def status(self, options: Options) -> Answer:
        found = cluster.status()
        return found if options["json"] else cluster_text.status_page(found)

    def register(self, options: Options) -> Answer:
        name = options["name"]
        found = registration.register_node(
            zone=options["zone"],
            name=name,
            address=options["address"],
            socket=options["socket"] or config().nodes.socket_dir / f"{name}.sock",
            drives=options["drives"],
        )
        return {"node": found.node, "drives": found.drives, "missing": found.missing}

    def verify(self, options: Options) -> Answer:
        found = verify_command.run(options, self._write_over if self.stderr.isatty() else None)
        self._verdict = "" if found["whole"] else verify_text.verdict(found)
        return found if options["json"] else verify_text.page(found)

    def _write_over(self, line: str) -> None:
        """Onto the terminal, without a new line."""
        self.stderr.write(line, str, ending="")
        self.stderr.flush()
