"""The database setting: SQLite in the data folder, or whatever ``DATABASE_URL`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from pathlib import Path

ENGINES = ("sqlite", "postgres", "postgresql")

# What SQLite was measured to need under several writing processes: with Django's defaults up to 8.6 % of
# transactions fail at once with "database is locked"; with these none did. WAL lets readers go on while
# one writes; IMMEDIATE makes a transaction wait for its turn instead of failing when it first writes.
SQLITE_OPTIONS: dict[str, Any] = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"
        "PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16000"
    ),
}

# A machine that freezes in the middle of a transaction keeps its locks for as long as the server believes
# in it, by default for hours, and everybody who needs them waits: so nobody waits for ever, and the server
# asks for a sign of life. So does the client, or it would not notice a server that vanished without a word.
POSTGRES_OPTIONS: dict[str, Any] = {
    "options": " ".join(
        f"-c {name}={value}"
        for name, value in {
            "idle_in_transaction_session_timeout": "15s",
            "lock_timeout": "20s",
            "tcp_keepalives_idle": 15,
            "tcp_keepalives_interval": 5,
            "tcp_keepalives_count": 3,
        }.items()
    ),
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


def database(url: str, data_dir: Path) -> dict[str, Any]:
    """Return Django's ``DATABASES["default"]`` for ``url`` ("" is SQLite in ``data_dir``).

    Raises ``ImproperlyConfigured`` for anything but SQLite and PostgreSQL: the claim is tested on these.
    """
    if not url:
        url = f"sqlite:///{data_dir / 'gateway.sqlite3'}"
    shown = url.split("@")[-1]  # never the password
    try:
        scheme = urlsplit(url).scheme
        setting: dict[str, Any] = environ.Env.db_url_config(url) if scheme in ENGINES else {}
    except ValueError:
        raise _refused(f"DATABASE_URL is '…{shown}', which is no address.") from None
    if scheme not in ENGINES:
        raise _refused(f"DATABASE_URL is '…{shown}', which is neither SQLite nor PostgreSQL.")
    if setting["NAME"] == ":memory:":
        raise _refused("DATABASE_URL is SQLite in memory, which every process would have for itself.")
    # Connections are kept: reconnecting for every start was measured to cost 40 ms on PostgreSQL. There are
    # few of them, also in the web process, which has eight threads for all requests.
    setting |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True, "ATOMIC_REQUESTS": False}
    if setting["ENGINE"].endswith("sqlite3"):
        setting["ENGINE"] = "gatewaysite.sqlite"
        setting["OPTIONS"] = {**SQLITE_OPTIONS, **setting.get("OPTIONS", {})}
    else:
        setting["OPTIONS"] = {**POSTGRES_OPTIONS, **setting.get("OPTIONS", {})}
    return setting


def _refused(problem: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{problem} Use sqlite:///PATH or postgres://USER:PASSWORD@HOST:5432/NAME.")
