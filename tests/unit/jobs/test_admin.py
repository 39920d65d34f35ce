"""The admin pages of tenants, buckets and jobs."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client

from buckets import control
from jobs.catalogue import USAGE
from jobs.models import Job, JobFamily
from tenants import accounts
from tenants.models import Audit, Tenant
from tests.support.work import job, owe

pytestmark = pytest.mark.django_db

MODELS = [
    model
    for label in ("tenants", "buckets", "jobs")
    for model in apps.get_app_config(label).get_models()
]


@pytest.fixture
def rows() -> None:
    tenant = accounts.create_tenant("acme").tenant
    bucket = control.create(tenant.id, "photos", region="r", documents={"acl": "private"})
    owe(USAGE, "s")
    JobFamily.objects.create(name="usage")
    assert bucket.documents


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@pytest.mark.usefixtures("rows")
def test_every_model_is_listed_searched_and_shown(operator: Client, model: type):
    assert model in admin.site._registry
    page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"

    assert operator.get(page).status_code == 200
    assert operator.get(page, {"q": "x"}).status_code == 200
    first = model.objects.first()
    if first is not None:
        assert operator.get(f"{page}{first.pk}/change/").status_code == 200


@pytest.mark.parametrize(
    ("action", "state"), [("pause", "paused"), ("retry", "ready"), ("resume", "ready")]
)
def test_actions_change_the_chosen_jobs(operator: Client, action: str, state: str):
    one = owe(USAGE, "s")
    if action == "resume":
        Job.objects.filter(pk=one).update(state="paused")

    operator.post("/admin/jobs/job/", {"action": action, "_selected_action": [str(one)]})

    assert job(one).state == state


def test_cancel_finishes_the_chosen_jobs(operator: Client):
    one = owe(USAGE, "s")

    operator.post("/admin/jobs/job/", {"action": "cancel", "_selected_action": [str(one)]})

    assert not Job.objects.filter(pk=one).exists()


def test_who_may_only_look_cannot_act():
    one = owe(USAGE, "s")
    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_job"))
    client = Client()
    client.force_login(reader)

    client.post("/admin/jobs/job/", {"action": "pause", "_selected_action": [str(one)]})

    assert job(one).state == "ready"


def test_history_cannot_be_changed(operator: Client):
    accounts.create_tenant("acme")
    entry = Audit.objects.get()

    answer = operator.post(f"/admin/tenants/audit/{entry.pk}/change/", {"actor": "nobody"})

    assert answer.status_code == 403


def test_an_edit_in_the_admin_is_audited(operator: Client):
    made = accounts.create_tenant("acme")

    operator.post(
        f"/admin/tenants/tenant/{made.tenant.id}/change/",
        {"name": "acme", "display_name": "acme", "email": "", "suspended": "on"},
    )

    assert Tenant.objects.get(pk=made.tenant.id).suspended
    assert Audit.objects.filter(actor="admin:operator", action="tenant.change").exists()
