"""A model as a Django project would have it, its files in the default storage."""

from __future__ import annotations

from django.db import models


class Document(models.Model):
    file = models.FileField(upload_to="documents/%Y")

    class Meta:
        app_label = "clients_documents"
