"""Reads settings from the environment, and refuses a bad value with its cure.

Stands on django-environ: every value ``NAME`` may also come from a file named by ``NAME_FILE``, and a
``.env`` file beside ``manage.py`` is read first without overriding the real environment.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

T = TypeVar("T")

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off"}


class Environment:
    """Typed reads of environment variables; every one raises ``ImproperlyConfigured`` with a cure."""

    def __init__(self, dotenv: Path) -> None:
        environ.Env.read_env(dotenv) if dotenv.is_file() else None
        self._values = environ.FileAwareEnv().ENVIRON

    def text(self, name: str, default: str = "") -> str:
        """The value of ``name``, or of the file named by ``NAME_FILE``; blank counts as unset."""
        try:
            # As it stands: `environ` itself would take a value that begins with $ for the name of another.
            return str(self._values.get(name, "")).strip() or default
        except (OSError, UnicodeDecodeError) as exc:
            path = os.environ.get(f"{name}_FILE")
            why = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
            raise ImproperlyConfigured(
                f"{name}_FILE is {path!r}, which cannot be read ({why}). "
                f"Point it at a readable file, or set {name} instead."
            ) from exc

    def flag(self, name: str, *, default: bool) -> bool:
        """A yes or no."""

        def parse(value: str) -> bool:
            if value.lower() not in TRUE | FALSE:
                raise ValueError
            return value.lower() in TRUE

        return self._parsed(name, default, parse, "Use true or false.")

    def whole(self, name: str, default: int, *, minimum: int = 0) -> int:
        """A whole number of at least ``minimum``."""

        def parse(value: str) -> int:
            number = int(value)
            if number < minimum:
                raise ValueError
            return number

        return self._parsed(name, default, parse, f"Use a whole number of at least {minimum}.")

    def seconds(self, name: str, default: float, *, minimum: float = 0) -> float:
        """A length of time in seconds of at least ``minimum``."""

        def parse(value: str) -> float:
            number = float(value)
            if not minimum <= number < float("inf"):
                raise ValueError
            return number

        return self._parsed(name, default, parse, f"Use a number of seconds of at least {minimum:g}.")

    def words(self, name: str, default: list[str]) -> list[str]:
        """A list separated by commas."""
        value = self.text(name)
        return [word.strip() for word in value.split(",") if word.strip()] if value else default

    def path(self, name: str, default: Path) -> Path:
        """A folder; a relative one is taken from the current directory, ``~`` from the home."""
        value = self.text(name)
        return Path(value).expanduser().absolute() if value else default

    def url(self, name: str, default: str = "") -> str:
        """An http or https address, without its trailing slash."""

        def parse(value: str) -> str:
            parts = urlsplit(value)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError
            return value.rstrip("/")

        return self._parsed(name, default, parse, "Use an address such as https://gateway.example.com.")

    def choice(self, name: str, default: str, allowed: Collection[str], cure: str = "") -> str:
        """One of ``allowed``."""

        def parse(value: str) -> str:
            if value not in allowed:
                raise ValueError
            return value

        return self._parsed(name, default, parse, cure or f"Use one of: {', '.join(allowed)}.")

    def secret(self, name: str, kept_in: Path) -> str:
        """A secret from the environment, else one made once and kept in ``kept_in`` (0600)."""
        value = self.text(name)
        if value:
            if len(value) < 32:
                raise ImproperlyConfigured(
                    f"{name} has only {len(value)} characters, which can be guessed. Use at least 32 random "
                    f'ones: python -c "import secrets; print(secrets.token_urlsafe(48))"'
                )
            return value
        return kept_secret(kept_in)

    def _parsed(self, name: str, default: T, parse: Callable[[str], T], cure: str) -> T:
        value = self.text(name)
        if not value:
            return default
        try:
            return parse(value)
        except ValueError:
            raise ImproperlyConfigured(f"{name} is {value!r}, which cannot be used. {cure}") from None


def private_folder(path: Path) -> Path:
    """Make ``path`` (0700) if it is missing, and return it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise ImproperlyConfigured(
            f"GATEWAY_DATA_DIR is {str(path)!r}, which cannot be made ({exc.strerror}). "
            "Point it at a folder that this user may write."
        ) from exc
    return path


def kept_secret(path: Path) -> str:
    """Return the secret kept in ``path``; make it there (0600) the first time.

    Two processes that start together agree: the file appears whole or not at all, and the first wins.
    """
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        return path.read_text().strip()
