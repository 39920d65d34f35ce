"""`manage.py prepare_store`: everything a store needs in its database before it serves.

Migrations, the nodes and drives of this home, the first tenant with its root key, the console's
admin, `credentials.json`. The local runner calls it at every start; what is there already is left
alone.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from core.config import Config, config
from core.crypto import key_file
from core.files import create_durably
from objstore_site.local import credentials
from objstore_site.local.home import Home, local_drives
from storage_nodes import registration
from tenants import accounts
from tenants import credentials as keys
from tenants.models import Tenant

ACTOR = "make run"
ADMIN = "admin"


class Command(BaseCommand):
    """Prepare the database of this home."""

    help = "Migrate, and register this home's nodes, first key and admin"
    # The runner waits for us; checks are for developers (`manage.py check`).
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--node-address",
            metavar="URL",
            help="where others reach node {number}, which listens on {port}",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        current = config()
        home = Home(current.home)
        _migrate()
        key_file(current.crypto.master_key_file)
        _make_secret_key(current)
        _register_nodes(current, options["node_address"] or f"http://{current.nodes.host}:{{port}}")
        known = credentials.read(home.credentials)
        access_key, secret_key = _first_key(current, known)
        password = _admin(current, known)
        wanted = {
            "endpoint": credentials.endpoint(current),
            "region": current.s3.region,
            "access_key": access_key,
            "secret_key": secret_key,
            "admin_user": ADMIN,
            "admin_password": password,
        }
        if wanted != known:
            credentials.write(home.credentials, wanted)


def _migrate() -> None:
    """Only where something is to be done: looking costs a tenth of trying."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)


def _make_secret_key(current: Config) -> None:
    """Django's own key: sessions survive a restart."""
    file = current.console.secret_key_file
    if not file.exists():
        create_durably(file, secrets.token_urlsafe(48) + "\n")


def _register_nodes(current: Config, address: str) -> None:
    """Each node in a zone of its own: what `serve node --number N` will be."""
    nodes = current.nodes
    for number in range(1, current.cluster.nodes + 1):
        name = f"node-{number}"
        registration.register_node(
            zone=f"zone-{number}",
            name=name,
            address=address.format(number=number, port=nodes.port + number - 1),
            socket=(nodes.socket_dir / f"{name}.sock").absolute(),
            drives=local_drives(number),
        )


def _first_key(current: Config, known: dict[str, str]) -> tuple[str, str]:
    """The root key of the first tenant: the given one, the one told before, or a new one."""
    given = current.cluster
    wanted = (given.access_key or known.get("access_key"), given.secret_key)
    if not Tenant.objects.filter(name=given.tenant).exists():
        created = accounts.create_tenant(
            given.tenant,
            actor=ACTOR,
            access_key=wanted[0],
            secret_key=wanted[1] or known.get("secret_key"),
        )
        return created.access_key, created.secret
    root = accounts.find_user(given.tenant)
    issued = keys.ensure(root, ACTOR, key_id=wanted[0] or None, secret=given.secret_key or None)
    return issued.access_key, issued.secret_key


def _admin(current: Config, known: dict[str, str]) -> str:
    """The console's admin and its password."""
    given = current.cluster.admin_password
    told = known.get("admin_password")
    user = User.objects.filter(username=ADMIN).first()
    # Hashing takes a tenth of a start: only when the password is not the one told before.
    if user is not None and told and given in ("", told):
        return told
    password = given or told or secrets.token_urlsafe(12)
    user = user or User(username=ADMIN, is_staff=True, is_superuser=True)
    user.set_password(password)
    user.save()
    return password
