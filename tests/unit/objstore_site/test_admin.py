"""Every model is in the admin, and its list can be looked at and searched."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from tests.support.repository import PACKAGES

OURS = [config for config in apps.get_app_configs() if config.label in PACKAGES]
MODELS = sorted(
    (model for config in OURS for model in config.get_models()), key=lambda m: m._meta.label
)


def _list_of(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_model_is_in_the_admin(model: type[Model]) -> None:
    assert admin.site.is_registered(model)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_its_list_opens_and_can_be_searched(model: type[Model], operator: Client) -> None:
    if not admin.site.is_registered(model):
        pytest.skip("named by the test above")

    answer = operator.get(_list_of(model), {"q": "nothing"})

    assert answer.status_code == 200


def test_strangers_are_sent_to_the_login(db: None) -> None:
    answer = Client().get("/admin/")

    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


def test_the_admin_has_its_style_sheets(db: None) -> None:
    assert Client().get("/static/admin/css/base.css").status_code == 200
