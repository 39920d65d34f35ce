"""`manage.py jobs`."""

from __future__ import annotations

import pytest
from django.core.management import CommandError

from core.names import new_id
from jobs.catalogue import USAGE
from jobs.models import Job
from tests.support.commands import run, run_json
from tests.support.work import job, owe

pytestmark = pytest.mark.django_db


def test_list_shows_unfinished_jobs():
    one = owe(USAGE, "s")

    (shown,) = run_json("jobs", "list", "--family", "usage")

    assert (shown["id"], shown["family"], shown["state"]) == (str(one), "usage", "ready")


def test_list_is_a_table_for_people():
    owe(USAGE, "s")

    heading, line = run("jobs", "list", "--family", "usage").splitlines()

    assert heading.split()[:5] == ["ID", "FAMILY", "SUBJECT", "STATE", "PRIORITY"]
    assert line.split()[1:4] == ["usage", "s", "ready"]


def test_list_of_nothing_says_so():
    assert run("jobs", "list", "--family", "repair") == "None.\n"


def test_show_tells_everything_about_one_job():
    one = owe(USAGE, "s", detail={"why": "test"})

    assert run_json("jobs", "show", str(one))["detail"] == {"why": "test"}


def test_show_of_an_unknown_job_is_an_error():
    with pytest.raises(CommandError, match="There is no job"):
        run("jobs", "show", str(new_id()))


def test_pause_and_resume_by_id():
    one = owe(USAGE, "s")

    assert run_json("jobs", "pause", str(one)) == {"verb": "pause", "jobs": 1}
    assert job(one).state == "paused"
    run("jobs", "resume", str(one))
    assert job(one).state == "ready"


def test_pausing_a_family_is_shown_among_the_families():
    run("jobs", "pause", "--family", "usage")

    paused = {line["family"]: line["paused"] for line in run_json("jobs", "families")}

    assert paused["usage"]
    assert not paused["encode"]


def test_cancel_of_a_whole_family():
    owe(USAGE, "a")
    owe(USAGE, "b")

    assert run_json("jobs", "cancel", "--family", "usage")["jobs"] == 2
    assert not Job.objects.filter(family="usage").exists()


def test_a_verb_without_jobs_is_an_error():
    with pytest.raises(CommandError, match="Say which jobs to retry"):
        run("jobs", "retry")


def test_a_verb_that_fits_none_of_the_jobs_is_an_error():
    one = owe(USAGE, "s")

    with pytest.raises(CommandError, match="None of these jobs can be resumed"):
        run("jobs", "resume", str(one))


def test_set_overrides_a_family():
    assert run_json("jobs", "set", "usage", "--interval-s", "60")["every_s"] == 60


def test_set_refuses_nonsense():
    with pytest.raises(CommandError, match="--interval-s is more than nothing"):
        run("jobs", "set", "usage", "--interval-s", "0")
