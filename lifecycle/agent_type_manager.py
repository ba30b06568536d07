"""The verbs on agent types: import their files, look them up, make versions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from django.conf import settings
from django.db import transaction

from gateway.errors import AgentTypeNotFound, BadConfiguration
from gateway.page import Page
from lifecycle import keyset
from lifecycle.actors import SYSTEM, Actor
from lifecycle.agent_config import AgentConfig, parse
from lifecycle.agent_type_dict import AgentTypeDict, AgentVersionDict, as_dict, version_dict
from lifecycle.entrypoint import mode_of
from lifecycle.ids import SLUG, lookup
from lifecycle.models import AgentType, AgentVersion


@dataclass(frozen=True)
class FileReport:
    """What became of one file of ``config/agents``."""

    name: str
    outcome: Literal["unchanged", "imported", "refused"]
    message: str = ""
    version: int | None = None


class AgentTypeManager:
    """Agent types: each change makes a new immutable version, one version is active."""

    def get(self, name: str) -> AgentType:
        """The agent type called ``name`` (without case), its active version loaded.

        A name that is not registered yet may stand in a file that was just added, so the files are read
        once before ``AgentTypeNotFound`` is raised.
        """
        found = self._find(name)
        if found is None and self._file_of(name):
            self.import_files()
            found = self._find(name)
        if found is None:
            known = ", ".join(AgentType.objects.order_by("name").values_list("name", flat=True)) or "none yet"
            raise AgentTypeNotFound(
                f"There is no agent type '{name}'. Registered: {known}.",
                errors=[{"field": "agent_type", "message": f"There is no agent type '{name}'."}],
            )
        return found

    def get_agent_type(self, name: str) -> AgentTypeDict:
        """The agent type as a dict; raise ``AgentTypeNotFound`` if there is none."""
        return as_dict(self.get(name))

    def list_agent_types(self, *, limit: int = 50, cursor: str | None = None) -> Page[AgentTypeDict]:
        """The agent types, from Z to A; at most ``limit`` (1 to 200) a page."""
        rows = AgentType.objects.select_related("active_version")
        return keyset.page(rows, as_dict, keys=("name",), limit=limit, cursor=cursor)

    def list_versions(
        self, name: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[AgentVersionDict]:
        """The versions of an agent type, newest first; at most ``limit`` (1 to 200) a page."""
        agent_type = self.get(name)

        def render(row: AgentVersion) -> AgentVersionDict:
            return version_dict(row, agent_type.active_version_id)

        return keyset.page(agent_type.versions.all(), render, keys=("number",), limit=limit, cursor=cursor)

    def import_files(self, *, look_again: bool = False, actor: Actor = SYSTEM) -> list[FileReport]:
        """Import every file of ``GATEWAY_CONFIG_DIR/agents`` whose content was not imported yet.

        A file is taken as a whole or refused as a whole; a refused one is noted as the type's ``problem``
        and its last good version stays in force. ``look_again`` also looks at the functions that unchanged
        files name: one that became a coroutine function, or ceased to be one, makes a new version.
        """
        return [self._import_file(path, look_again, actor) for path in agent_files()]

    def check_files(self) -> list[FileReport]:
        """What is wrong with the files by themselves; needs no database."""
        return [self._check_file(path) for path in agent_files()]

    def _find(self, name: str) -> AgentType | None:
        return AgentType.objects.select_related("active_version").filter(name__lower=lookup(name)).first()

    def _file_of(self, name: str) -> Path | None:
        return next((path for path in agent_files() if path.stem.lower() == lookup(name)), None)

    def _check_file(self, path: Path) -> FileReport:
        try:
            judge_file(path, read_file(path), None)
        except BadConfiguration as exc:
            return FileReport(path.stem, "refused", str(exc))
        return FileReport(path.stem, "unchanged")

    def _import_file(self, path: Path, look_again: bool, actor: Actor) -> FileReport:
        known = self._find(path.stem)
        try:
            content = read_file(path)
            digest = hashlib.sha256(content).hexdigest()
            is_known = known is not None and known.name == path.stem and known.file_digest == digest
            if known and is_known and not (look_again and known.source == AgentType.Source.FILE):
                return self._unchanged(known)
            config, mode = judge_file(path, content, known)
            if known and is_known and known.active_version and known.active_version.mode == mode:
                return self._unchanged(known)
        except BadConfiguration as exc:
            if known is None or known.name == path.stem:
                self._note_problem(path.stem, str(exc))
            return FileReport(path.stem, "refused", str(exc))
        version = self._add_version(config, mode, digest, actor)
        return FileReport(path.stem, "imported", version=version.number)

    def _unchanged(self, known: AgentType) -> FileReport:
        if known.problem:  # it was broken meanwhile, and mended to what it was
            AgentType.objects.filter(pk=known.pk).update(problem="")
        version = known.active_version
        return FileReport(known.name, "unchanged", version=version.number if version else None)

    @transaction.atomic
    def _add_version(
        self, config: AgentConfig, mode: AgentVersion.Mode, digest: str, actor: Actor
    ) -> AgentVersion:
        AgentType.objects.get_or_create(name=config.name, defaults={"source": AgentType.Source.FILE})
        agent_type = AgentType.objects.select_for_update().get(name=config.name)
        active = agent_type.active_version
        if agent_type.file_digest == digest and active is not None and active.mode == mode:
            return active  # another process was faster
        last = agent_type.versions.order_by("-number").values_list("number", flat=True).first() or 0
        version = AgentVersion.objects.create(
            agent_type=agent_type,
            number=last + 1,
            config=config.model_dump(mode="json"),
            mode=mode,
            max_running=config.limits.max_running,
            created_by=actor.name,
        )
        agent_type.active_version = version
        agent_type.enabled = config.enabled
        agent_type.source = AgentType.Source.FILE
        agent_type.file_digest = digest
        agent_type.problem = ""
        agent_type.save()
        return version

    def _note_problem(self, name: str, problem: str) -> None:
        if SLUG.fullmatch(name):
            AgentType.objects.update_or_create(
                name=name,
                defaults={"problem": problem},
                create_defaults={"problem": problem, "source": AgentType.Source.FILE},
            )


def agent_files() -> list[Path]:
    """The files of ``GATEWAY_CONFIG_DIR/agents``, by name; hidden ones are an editor's, not ours."""
    found = (Path(settings.GATEWAY_CONFIG_DIR) / "agents").glob("*.yaml")
    return sorted(path for path in found if not path.name.startswith("."))


def read_file(path: Path) -> bytes:
    """The content of one file; raise ``BadConfiguration`` if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as exc:
        raise BadConfiguration(
            f"{path.name}: cannot be read ({exc.strerror}).", hint="Make it a readable file, or remove it."
        ) from None


def judge_file(path: Path, content: bytes, known: AgentType | None) -> tuple[AgentConfig, AgentVersion.Mode]:
    """What one file says, and how that runs; raise ``BadConfiguration`` that says what is wrong with it.

    ``known`` is the agent type that has the file's name already, compared without case.
    """
    if known is not None and known.name != path.stem:
        raise BadConfiguration(
            f"{path.name}: the name '{path.stem}' is taken by '{known.name}'; case does not tell them apart.",
            hint="Choose another name, or keep the old one.",
        )
    config = parse(_yaml(path.name, content), path.name)
    if config.name != path.stem:
        raise BadConfiguration(
            f"{path.name}: name is '{config.name}', but the file's name says '{path.stem}'.",
            hint="Make both the same.",
        )
    try:
        return config, mode_of(config.runner)
    except BadConfiguration as exc:
        raise BadConfiguration(f"{path.name}: {exc.message}", hint=exc.hint, errors=exc.errors) from None


def _yaml(name: str, content: bytes) -> Any:
    try:
        return yaml.safe_load(content.decode())
    except UnicodeDecodeError:
        raise BadConfiguration(f"{name}: is not UTF-8 text.", hint="Save it as UTF-8.") from None
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" line {mark.line + 1}:" if mark else ""
        what = getattr(exc, "problem", None) or str(exc)
        raise BadConfiguration(f"{name}:{where} is not YAML: {what}.") from None
    except (ValueError, RecursionError) as exc:  # a date that does not exist; lists within lists without end
        raise BadConfiguration(f"{name}: cannot be understood: {exc}.") from None
