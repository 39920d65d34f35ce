"""`manage.py key create|list|rotate|disable|enable|delete`."""

from __future__ import annotations

from datetime import timedelta

from core import clock
from jobs.command_output import ACTOR, Answer, NounCommand, Options
from tenants import accounts, credentials
from tenants.views import Issued, KeyView


class Command(NounCommand):
    help = "Access keys. A secret is shown once, when its key is made."

    def verbs(self) -> None:
        create = self.verb("create", self.create, "Give a user one more key.")
        create.add_argument("--tenant", required=True, help="Name or account id of the tenant.")
        create.add_argument("--user", default=accounts.ROOT, help="Its user; root when left out.")
        create.add_argument("--expires-s", type=float, help="Seconds the key is good for.")
        listed = self.verb("list", self.list, "List keys, without secrets.")
        listed.add_argument("--tenant")
        listed.add_argument("--user", help="Only keys of this user of the tenant.")
        rotate = self.verb("rotate", self.rotate, "Issue a successor and disable the old key.")
        rotate.add_argument("key", metavar="KEY")
        rotate.add_argument(
            "--keep-s", type=float, default=0.0, help="Seconds the old key stays good for."
        )
        for verb, does, says in (
            ("disable", self.disable, "Refuse a key from the next request on."),
            ("enable", self.enable, "Serve a disabled key again."),
            ("delete", self.delete, "Forget a key and its secret."),
        ):
            self.verb(verb, does, says).add_argument("key", metavar="KEY")

    def create(self, options: Options) -> Answer:
        user = accounts.find_user(options["tenant"], options["user"])
        lifetime_s = options["expires_s"]
        expires_at = None if lifetime_s is None else clock.now() + timedelta(seconds=lifetime_s)
        return _told(credentials.issue_key(user, ACTOR, expires_at=expires_at))

    def list(self, options: Options) -> Answer:
        if options["user"] is not None and options["tenant"] is not None:
            user = accounts.find_user(options["tenant"], options["user"])
            return [_shown(key) for key in credentials.list_keys(user)]
        if options["tenant"] is not None:
            name = accounts.find_tenant(options["tenant"]).name
            return [_shown(key) for key in credentials.list_keys(tenant=name)]
        return [_shown(key) for key in credentials.list_keys()]

    def rotate(self, options: Options) -> Answer:
        return _told(
            credentials.rotate(options["key"], ACTOR, now=clock.now(), keep_s=options["keep_s"])
        )

    def disable(self, options: Options) -> Answer:
        return _shown(credentials.disable(options["key"], ACTOR))

    def enable(self, options: Options) -> Answer:
        return _shown(credentials.enable(options["key"], ACTOR))

    def delete(self, options: Options) -> Answer:
        credentials.delete(options["key"], ACTOR)
        return {"access_key": options["key"], "deleted": True}


def _told(issued: Issued) -> dict[str, object]:
    return {
        "tenant": issued.tenant,
        "user": issued.user,
        "access_key": issued.access_key,
        "secret_key": issued.secret_key,
        "expires_at": issued.expires_at,
    }


def _shown(key: KeyView) -> dict[str, object]:
    return {
        "access_key": key.id,
        "tenant": key.tenant,
        "user": key.user,
        "enabled": key.enabled,
        "expires_at": key.expires_at,
        "created": key.created,
    }
