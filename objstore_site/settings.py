"""Django's names for what `core.config` says. No value is decided here."""

from __future__ import annotations

import secrets
from pathlib import Path

from core.config import config
from objstore_site.addresses import celery_broker, django_database

_config = config()


def _secret_key(file: Path) -> str:
    """The key the runner made, or one for this process alone (commands that sign nothing)."""
    return file.read_text().strip() if file.is_file() else secrets.token_urlsafe(48)


BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = _secret_key(_config.console.secret_key_file)
DEBUG = _config.console.debug
ALLOWED_HOSTS = list(_config.console.allowed_hosts)

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "objstore_site",
    "jobs",
    "tenants",
    "storage_nodes",
    "buckets",
    "objects",
    "workers",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "objstore_site.urls"
ASGI_APPLICATION = "objstore_site.asgi.application"
WSGI_APPLICATION = "objstore_site.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": django_database(_config.database)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = _config.home / "static"

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
}

# Logging is set up by each entry point (core.logs), JSON on standard error; Django adds nothing.
LOGGING_CONFIG = None

# Celery carries job ids; the row decides. See jobs/ for what a delivery means.
CELERY_BROKER_URL = celery_broker(_config.redis)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Shorter than any hang worth waiting for, longer than the longest step between two lease renewals.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 7200,
    "socket_timeout": 30,
    "socket_keepalive": True,
    "global_keyprefix": "objstore:",
}
CELERY_TASK_TIME_LIMIT = (
    7000  # below the visibility timeout: a delivery is never in two hands for long
)
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_STORE_EAGER_RESULT = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_ENABLE_UTC = True
