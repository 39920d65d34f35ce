"""The console's paths: Django admin now, REST and the dashboard beside it as they come."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.staticfiles.views import serve as serve_static
from django.urls import path, re_path
from django.views.generic import RedirectView

admin.site.site_header = "objstore"
admin.site.site_title = "objstore"
admin.site.index_title = "The store"

urlpatterns = [
    path("", RedirectView.as_view(url="/admin/")),
    path("admin/", admin.site.urls),
    # The admin's few style sheets; small enough not to deserve a server of their own.
    re_path(r"^static/(?P<path>.*)$", serve_static, {"insecure": True}),
]
