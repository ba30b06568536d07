"""Django settings. Everything an operator may change is read here, by name, from the environment."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from gatewaysite.databases import database
from gatewaysite.environment import Environment, private_folder

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment(BASE_DIR / ".env")

# --- Where things are kept ----------------------------------------------------
GATEWAY_DATA_DIR = private_folder(env.path("GATEWAY_DATA_DIR", BASE_DIR / "var"))
GATEWAY_CONFIG_DIR = env.path("GATEWAY_CONFIG_DIR", BASE_DIR / "config")
DATABASES = {"default": database(env.text("DATABASE_URL"), GATEWAY_DATA_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "artifacts": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": GATEWAY_DATA_DIR / "artifacts",
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
}

# --- Security -----------------------------------------------------------------
SECRET_KEY = env.secret("SECRET_KEY", kept_in=GATEWAY_DATA_DIR / "secret-key")
DEBUG = env.flag("DEBUG", default=False)
GATEWAY_PUBLIC_URL = env.url("GATEWAY_PUBLIC_URL")
ALLOWED_HOSTS = env.words(
    "ALLOWED_HOSTS",
    ["localhost", "127.0.0.1", "[::1]"]
    + ([urlsplit(GATEWAY_PUBLIC_URL).hostname or ""] if GATEWAY_PUBLIC_URL else []),
)
CSRF_TRUSTED_ORIGINS = [GATEWAY_PUBLIC_URL] if GATEWAY_PUBLIC_URL else []
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = GATEWAY_PUBLIC_URL.startswith("https://")
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# --- The engine: times are in seconds -----------------------------------------
# A lease is renewed every third; one that ran out is found within two reaper ticks.
GATEWAY_LEASE_SECONDS = env.seconds("GATEWAY_LEASE_SECONDS", 30, minimum=1)
GATEWAY_REAPER_SECONDS = env.seconds("GATEWAY_REAPER_SECONDS", 1, minimum=0.05)
GATEWAY_DRAIN_SECONDS = env.seconds("GATEWAY_DRAIN_SECONDS", 20)
# Without a canary's round trip for this long, the worker's process tree is killed and started again.
GATEWAY_WATCHDOG_SECONDS = env.seconds("GATEWAY_WATCHDOG_SECONDS", 25, minimum=2)
GATEWAY_MAX_RUNS_PER_WORKER = env.whole("GATEWAY_MAX_RUNS_PER_WORKER", 1000, minimum=1)
GATEWAY_MAX_CHILDREN_PER_WORKER = env.whole("GATEWAY_MAX_CHILDREN_PER_WORKER", 8, minimum=1)
GATEWAY_WORKER_PROCESSES = env.whole("GATEWAY_WORKER_PROCESSES", 2, minimum=1)

# Django-Q2 runs the executions, on a broker of ours for which the Task table is the queue. Its messages
# are short hand-offs, so its own limits only have to be out of the way: docs/core/executor.md says why each.
Q_CLUSTER = {
    "name": "gateway",
    "broker_class": "executor.broker.TaskTableBroker",
    "workers": GATEWAY_WORKER_PROCESSES,
    "queue_limit": 1000,
    "timeout": 60,
    "retry": 300,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "recycle": 0,
    "guard_cycle": 0.5,
    "catch_up": False,
    "scheduler": False,
    "log_level": "WARNING",
}

# --- Lifecycle ----------------------------------------------------------------
GATEWAY_AUTO_CREATE_WORKSPACES = env.flag("GATEWAY_AUTO_CREATE_WORKSPACES", default=True)
GATEWAY_MAX_UPLOAD_MB = env.whole("GATEWAY_MAX_UPLOAD_MB", 200, minimum=1)

# --- Django -------------------------------------------------------------------
INSTALLED_APPS = [
    "daphne",
    "channels",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_q",
    "rest_framework",
    "drf_spectacular",
    "gatewaysite",
    "lifecycle",
    "executor",
    "channels_app",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "gatewaysite.urls"
ASGI_APPLICATION = "gatewaysite.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True  # straight from the packages: no collectstatic before the first start

# --- REST ---------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "lifecycle.api.sign_in.KeyAuthentication",
        "lifecycle.api.sign_in.AdminSession",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["lifecycle.api.sign_in.HasScope"],
    "DEFAULT_PARSER_CLASSES": ["lifecycle.api.strict_json.StrictJsonParser"],
    "DEFAULT_RENDERER_CLASSES": ["lifecycle.api.json_renderer.JsonRenderer"],
    "DEFAULT_THROTTLE_CLASSES": ["lifecycle.api.throttle.KeyThrottle"],
    "EXCEPTION_HANDLER": "lifecycle.api.problems.handle",
    "DEFAULT_SCHEMA_CLASS": "lifecycle.api.schema.Schema",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "NUM_PROXIES": 0,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Gateway",
    "DESCRIPTION": "Registers agents' runs, takes tasks, and shows everything live.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": ["lifecycle.api.schema.add_shapes"],
    "AUTHENTICATION_WHITELIST": ["lifecycle.api.sign_in.KeyAuthentication"],
}
GATEWAY_REQUESTS_PER_MINUTE = env.whole("GATEWAY_REQUESTS_PER_MINUTE", 6000, minimum=1)

# --- Sockets ------------------------------------------------------------------
# A socket whose client acknowledges nothing for this long, while events wait for it, is closed.
GATEWAY_SOCKET_ACK_SECONDS = env.seconds("GATEWAY_SOCKET_ACK_SECONDS", 30, minimum=1)

# --- Language and time --------------------------------------------------------
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LANGUAGE_CODE = env.choice("LANGUAGE_CODE", "en", [code for code, _ in LANGUAGES])
LOCALE_PATHS = [BASE_DIR / "locale"]
# What `manage.py up` and the like speak in the terminal; "" is what the terminal's locale says.
TERMINAL_LANGUAGE = LANGUAGE_CODE if env.text("LANGUAGE_CODE") else ""
TIME_ZONE = env.choice("TIME_ZONE", "UTC", available_timezones(), "Use a name such as Asia/Shanghai or UTC.")
USE_TZ = True
USE_I18N = True

# --- Logs ---------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "format": "{asctime} {levelname} {name} [{process}] {message}",
            "style": "{",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {name: {"level": "INFO"} for name in ("gatewaysite", "lifecycle", "executor", "channels_app")}
    | {
        "django-q": {"level": "WARNING", "handlers": ["stderr"], "propagate": False},
        # Any stranger can send a wrong host name, and Django would write a traceback for each.
        "django.security.DisallowedHost": {"handlers": [], "propagate": False},
    },
}
