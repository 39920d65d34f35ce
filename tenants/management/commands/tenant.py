"""`manage.py tenant create|list|suspend|resume`."""

from __future__ import annotations

from jobs.command_output import ACTOR, Answer, NounCommand, Options
from tenants import accounts


class Command(NounCommand):
    help = "Tenants: S3 accounts, each with a root user and its first access key."

    def verbs(self) -> None:
        create = self.verb("create", self.create, "Create a tenant; its root key is told once.")
        create.add_argument("name", metavar="NAME")
        create.add_argument("--email")
        create.add_argument("--display-name")
        create.add_argument("--access-key", help="Use this root key instead of a made-up one.")
        create.add_argument("--secret-key", help="Use this secret instead of a made-up one.")
        self.verb("list", self.list, "List all tenants.")
        for verb, says in (
            ("suspend", "Refuse every request of a tenant's keys from now on."),
            ("resume", "Serve a suspended tenant again."),
        ):
            self.verb(verb, self.suspend, says).add_argument("name", metavar="NAME")

    def create(self, options: Options) -> Answer:
        made = accounts.create_tenant(
            options["name"],
            options["email"],
            ACTOR,
            access_key=options["access_key"],
            secret_key=options["secret_key"],
            display_name=options["display_name"],
        )
        return {
            "name": made.tenant.name,
            "account_id": made.tenant.account_id,
            "canonical_id": made.tenant.canonical_id,
            "display_name": made.tenant.display_name,
            "email": made.tenant.email,
            "user": made.user.name,
            "access_key": made.access_key,
            "secret_key": made.secret,
        }

    def list(self, options: Options) -> Answer:
        return [
            {
                "name": tenant.name,
                "account_id": tenant.account_id,
                "canonical_id": tenant.canonical_id if options["json"] else tenant.canonical_id[:8],
                "display_name": tenant.display_name,
                "email": tenant.email,
                "suspended": tenant.suspended,
                "created": tenant.created,
            }
            for tenant in accounts.tenants()
        ]

    def suspend(self, options: Options) -> Answer:
        suspended = options["verb"] == "suspend"
        tenant = accounts.suspend(options["name"], ACTOR, suspended=suspended)
        return {"name": tenant.name, "account_id": tenant.account_id, "suspended": suspended}
