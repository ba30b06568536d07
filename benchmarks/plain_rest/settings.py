"""Gateway's settings, with the middleware that `startproject` gives and REST framework as it comes.

Connections are not kept: Django's documentation asks for that under ASGI, whose requests have a thread each.
"""

from __future__ import annotations

from gatewaysite.settings import *  # noqa: F403 - it is the same project but for what follows
from gatewaysite.settings import DATABASES

ROOT_URLCONF = "benchmarks.plain_rest.urls"
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
DATABASES["default"]["CONN_MAX_AGE"] = 0
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["lifecycle.api.sign_in.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 100,
}
