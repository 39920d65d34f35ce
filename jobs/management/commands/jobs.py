"""`manage.py jobs list|show|pause|resume|cancel|retry|families|set`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from jobs import control, queries
from jobs.catalogue import FAMILIES
from jobs.command_output import Answer, NounCommand, Options
from jobs.models import STATES, Job, JobDone, JobFamily

BY_ID: dict[str, tuple[Callable[[Collection[UUID]], int], str, tuple[str, ...]]] = {
    "pause": (control.pause, "Stop jobs; they keep their place.", ("ready", "leased")),
    "resume": (control.resume, "Let paused jobs go on.", ("paused",)),
    "cancel": (control.cancel, "Give jobs up.", STATES),
    "retry": (control.retry, "Run failed jobs, and those backing off, now.", ("ready", "failed")),
}


class Command(NounCommand):
    help = "Background jobs: what is owed, how far it is, and what to do about it."

    def verbs(self) -> None:
        listed = self.verb("list", self.list, "List jobs, those next in line first.")
        listed.add_argument("--family", choices=sorted(FAMILIES))
        listed.add_argument("--state", choices=STATES)
        listed.add_argument("--finished", action="store_true", help="List finished jobs instead.")
        listed.add_argument("--limit", type=int, default=100)
        self.verb("show", self.show, "Show everything about one job.").add_argument("id", type=UUID)
        for name, (_, says, _) in BY_ID.items():
            verb = self.verb(name, self.change, says)
            verb.add_argument("ids", metavar="ID", nargs="*", type=UUID)
            verb.add_argument(
                "--family",
                choices=sorted(FAMILIES),
                help="All jobs of a family; pause and resume hold for its future jobs too.",
            )
        self.verb("families", self.families, "List the families and their backlog.")
        setting = self.verb("set", self.set, "Override a family's interval and throttle.")
        setting.add_argument("family", choices=sorted(FAMILIES))
        setting.add_argument("--interval-s", type=int, help="Seconds between scheduled runs.")
        setting.add_argument("--steps-per-s", type=float, help="Steps one worker does per second.")

    def list(self, options: Options) -> Answer:
        family, limit = options["family"] or "", max(options["limit"], 0)
        if options["finished"]:
            return [_line(job) for job in queries.finished(family=family, limit=limit)]
        found = queries.unfinished(family=family, state=options["state"] or "", limit=limit)
        return [_line(job) for job in found]

    def show(self, options: Options) -> Answer:
        job = queries.find(options["id"])
        if job is None:
            raise CommandError(f"There is no job {options['id']}.")
        return {field.name: getattr(job, field.name) for field in job._meta.concrete_fields}

    def change(self, options: Options) -> Answer:
        verb, family, ids = options["verb"], options["family"], list(options["ids"])
        does, _, states = BY_ID[verb]
        if bool(ids) == bool(family):
            raise CommandError(f"Say which jobs to {verb}: their ids, or --family.")
        if not family:
            changed = does(ids)
            if not changed:
                raise CommandError(f"None of these jobs can be {PARTICIPLES[verb]}.")
            return {"verb": verb, "jobs": changed}
        if verb == "pause":
            control.pause_family(family)
        if verb == "resume":
            control.resume_family(family)
        if verb in ("pause", "resume"):
            return {"verb": verb, "family": family, "paused": verb == "pause"}
        of_family = Job.objects.filter(family=family, state__in=states)
        return {"verb": verb, "jobs": does(list(of_family.values_list("id", flat=True)))}

    def families(self, options: Options) -> Answer:
        counts, set_by_hand = queries.counts(), JobFamily.objects.in_bulk()
        return [
            _family(name, counts, set_by_hand.get(name, JobFamily(name=name))) for name in FAMILIES
        ]

    def set(self, options: Options) -> Answer:
        for name in ("interval_s", "steps_per_s"):
            if options[name] is not None and options[name] <= 0:
                raise CommandError(f"--{name.replace('_', '-')} is more than nothing.")
        control.set_family(
            options["family"],
            interval_s=options["interval_s"],
            steps_per_s=options["steps_per_s"],
        )
        return _family(
            options["family"], queries.counts(), JobFamily.objects.get(pk=options["family"])
        )


PARTICIPLES = {
    "pause": "paused",
    "resume": "resumed",
    "cancel": "cancelled",
    "retry": "retried",
}


def _line(job: Job | JobDone) -> dict[str, Any]:
    return {
        "id": job.id,
        "family": job.family,
        "subject": job.subject,
        "state": job.outcome if isinstance(job, JobDone) else job.state,
        "priority": job.priority,
        "progress": job.progress,
        "attempts": job.attempts,
        "run_at": job.finished if isinstance(job, JobDone) else job.run_at,
        "last_error": job.last_error,
    }


def _family(name: str, counts: dict[tuple[str, str], int], row: JobFamily) -> dict[str, Any]:
    family = FAMILIES[name]
    return {
        "family": name,
        "paused": row.paused,
        "every_s": row.interval_s or family.every_s,
        "steps_per_s": row.steps_per_s or family.steps_per_s,
        **{f"{state}_jobs": counts.get((name, state), 0) for state in STATES},
        "does": family.does,
    }
