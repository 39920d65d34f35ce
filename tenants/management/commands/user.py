"""`manage.py user create|list`."""

from __future__ import annotations

from jobs.command_output import ACTOR, Answer, NounCommand, Options
from tenants import accounts
from tenants.access import GRANTS


class Command(NounCommand):
    help = "Users of a tenant, each with a policy."

    def verbs(self) -> None:
        create = self.verb("create", self.create, "Create a user; its first key is told once.")
        create.add_argument("name", metavar="NAME")
        create.add_argument("--tenant", required=True, help="Name or account id of its tenant.")
        create.add_argument(
            "--allow",
            required=True,
            metavar="WORDS",
            help=f"What it may do with the tenant's buckets: {','.join(GRANTS)}.",
        )
        self.verb("list", self.list, "List users.").add_argument("--tenant")

    def create(self, options: Options) -> Answer:
        allow = [word.strip() for word in options["allow"].split(",") if word.strip()]
        user, key = accounts.create_user(options["tenant"], options["name"], allow, ACTOR)
        return {
            "name": user.name,
            "tenant": user.tenant,
            "allow": allow,
            "access_key": key.access_key,
            "secret_key": key.secret_key,
        }

    def list(self, options: Options) -> Answer:
        return [
            {
                "tenant": user.tenant,
                "name": user.name,
                "is_root": user.is_root,
                "suspended": user.suspended,
                "created": user.created,
            }
            for user in accounts.users(options["tenant"])
        ]
