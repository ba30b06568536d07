"""Which server a client talks to and with which key: arguments, environment, profile file, this machine.

A key that was not given goes only to the server it belongs to: one of the profile to the address that it was
saved for, the local installation's to this machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.errors import BadConfiguration, NotSignedIn

DEFAULT_URL = "http://127.0.0.1:8000"
API = "/api/v1"
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
PACKAGE_PARENT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Server:
    """A server's address without a slash at the end, the key for it, and where both come from."""

    url: str
    api_key: str = field(repr=False)
    url_from: str
    key_from: str

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return urlsplit(self.url).hostname in LOOPBACK


@dataclass
class Profile:
    """What `gateway login` remembers: the address to use, and a key for each server."""

    url: str = ""
    keys: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Profile:
        """The profile in ``path``, empty if there is none; ``BadConfiguration`` if it cannot be read."""
        try:
            content: Any = json.loads(path.read_text(encoding="utf-8"))
            return cls(str(content["url"]), {str(url): str(key) for url, key in content["keys"].items()})
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise BadConfiguration(
                f"The profile {path} cannot be read: {exc}.", hint="Remove it and run `gateway login` again."
            ) from exc

    def write(self, path: Path) -> None:
        """Replace the file, readable by its owner only."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump({"url": self.url, "keys": self.keys}, file, indent=2)
                file.write("\n")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def profile_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the profile lies."""
    base = environment.get("XDG_CONFIG_HOME")
    folder = Path(base) if base else Path(environment.get("HOME") or Path.home()) / ".config"
    return folder / "gateway" / "profile.json"


def resolve(
    base_url: str | None = None, api_key: str | None = None, environment: Mapping[str, str] = os.environ
) -> Server:
    """The server to talk to; raise ``NotSignedIn`` with the cure if there is no key for it."""
    url, url_from = _address(base_url, environment)
    key, key_from = _key(api_key, url, environment)
    if not key:
        raise NotSignedIn(
            f"There is no API key for {url}.",
            hint="Run `gateway login`, set GATEWAY_API_KEY, or pass api_key=. On the server, "
            "`python manage.py create_api_key NAME` makes a key.",
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise NotSignedIn(f"The API key from {key_from} is none.", hint="A key is one word, gk_…")
    return Server(url, key, url_from, key_from)


def checked_url(url: str) -> str:
    """``url`` without a slash or ``/api/v1`` at its end; raise ``BadConfiguration`` if it is none."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadConfiguration(
            f"{url!r} is not the address of a server.", hint="Write it like http://gateway-host:8000"
        )
    path = parts.path.rstrip("/").removesuffix(API)
    return f"{parts.scheme}://{parts.netloc}{path}".rstrip("/")


def _address(given: str | None, environment: Mapping[str, str]) -> tuple[str, str]:
    if given:
        return checked_url(given), "base_url"
    if environment.get("GATEWAY_URL"):
        return checked_url(environment["GATEWAY_URL"]), "GATEWAY_URL"
    path = profile_path(environment)
    if url := Profile.read(path).url:
        return checked_url(url), str(path)
    return DEFAULT_URL, "default"


def _key(given: str | None, url: str, environment: Mapping[str, str]) -> tuple[str, str]:
    if given:
        return given.strip(), "api_key"
    for name in ("GATEWAY_API_KEY", "GATEWAY_TOKEN"):
        if environment.get(name):
            return environment[name].strip(), name
    path = profile_path(environment)
    if key := Profile.read(path).keys.get(url):
        return key, str(path)
    if urlsplit(url).hostname in LOOPBACK:
        for folder in _local_data(environment):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                return (folder / "api-key").read_text(encoding="utf-8").strip(), str(folder / "api-key")
    return "", ""


def _local_data(environment: Mapping[str, str]) -> list[Path]:
    """Data directories of installations on this machine that this process may belong to."""
    if environment.get("GATEWAY_DATA_DIR"):
        return [Path(environment["GATEWAY_DATA_DIR"])]
    # The package may be imported from a checkout, or installed into a checkout's .venv.
    places = (PACKAGE_PARENT, Path(sys.prefix).parent)
    return [place / "var" for place in places if (place / "manage.py").is_file()]
