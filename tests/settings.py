"""The settings of a test run: a data folder that ends with it, and SQLite or PostgreSQL by TEST_DATABASE.

``TEST_DATABASE=postgres`` takes the server of ``TEST_DATABASE_URL``, else one that answers on the standard
local port; where there is none, ``TEST_DATABASE_MISSING`` says so and no test is run.
Databases are named after the process, so that runs beside each other do not meet.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import psycopg

DATA_DIR = Path(tempfile.mkdtemp(prefix="gateway-tests-"))


def _remove(owner: int = os.getpid()) -> None:
    if os.getpid() == owner:  # not in a process that was forked from it
        shutil.rmtree(DATA_DIR, ignore_errors=True)


atexit.register(_remove)

# A developer's own settings, from the shell or from .env, have no say here; programs that tests start are
# to see the environment as it was.
_environment = dict(os.environ)
for _name in [name for name in os.environ if name.startswith("GATEWAY_")]:
    del os.environ[_name]
os.environ["GATEWAY_DATA_DIR"] = str(DATA_DIR)
os.environ["GATEWAY_CONFIG_DIR"] = str(Path(__file__).parent / "config")
os.environ["DATABASE_URL"] = ""

from gatewaysite.databases import database  # noqa: E402 - the environment comes first
from gatewaysite.settings import *  # noqa: E402, F403

os.environ.clear()
os.environ.update(_environment)

CRASH_POINTS = True
GATEWAY_LEASE_SECONDS = 30.0
GATEWAY_AUTO_CREATE_WORKSPACES = True
GATEWAY_MAX_UPLOAD_MB = 200
GATEWAY_PUBLIC_URL = ""
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

LOCAL_SERVERS = ["postgres://postgres@127.0.0.1:5432/postgres", "postgres://root@127.0.0.1:5432/postgres"]


def _reachable(urls: list[str]) -> tuple[str, str]:
    """The first of ``urls`` that takes a connection, and why the last one did not."""
    why = ""
    for url in urls:
        try:
            psycopg.connect(url.replace("postgres://", "postgresql://"), connect_timeout=3).close()
        except psycopg.Error as exc:
            why = str(exc).splitlines()[0]
        else:
            return url, ""
    return "", why


TEST_DATABASE = os.environ.get("TEST_DATABASE", "sqlite")
TEST_DATABASE_MISSING = ""
_name = f"gateway_tests_{os.getpid()}"
if TEST_DATABASE == "postgres":
    _given = os.environ.get("TEST_DATABASE_URL", "")
    _url, _why = _reachable([_given] if _given else LOCAL_SERVERS)
    if _url:
        DATABASES = {"default": database(_url, DATA_DIR)}
        DATABASES["default"]["OPTIONS"] = {
            "options": "-c synchronous_commit=off"
        }  # nothing here outlives a crash
        DATABASES["default"]["TEST"] = {"NAME": _name}
    else:
        TEST_DATABASE_MISSING = (
            f"no PostgreSQL at {'TEST_DATABASE_URL' if _given else 'the standard local port'}: {_why}"
        )
elif TEST_DATABASE != "sqlite":
    raise SystemExit(f"TEST_DATABASE is {TEST_DATABASE!r}; use sqlite or postgres.")
if not DATABASES["default"].get("TEST"):
    # A file: in memory there is neither WAL nor BEGIN IMMEDIATE between threads, as there is in production.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / f"{_name}.sqlite3")}
