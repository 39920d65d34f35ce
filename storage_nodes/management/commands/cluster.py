"""`manage.py cluster status|register`: what the cluster is, and making a node part of it."""

from pathlib import Path

from core.config import config
from jobs.command_output import Answer, NounCommand, Options
from storage_nodes import cluster, cluster_text, registration


class Command(NounCommand):
    help = "The cluster: tolerance, capacity, states; registration of nodes."

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
