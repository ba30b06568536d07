"""`manage.py render_docs`: writes the parts of the documents that the code says better than people.

Such a part stands between ``<!-- rendered: NAME -->`` and ``<!-- end -->``; everything around it is written
by hand. A test fails when a document differs from what this command would write.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from executor import states
from executor.events import EventDict
from executor.task_dict import TaskDict
from gateway import context, errors
from gatewaysite.field_meanings import MEANINGS
from lifecycle.agent_config import AgentConfig, FromEnvironment, Limits, Runner
from lifecycle.trace_manager import TraceDict
from lifecycle.workspace_manager import WorkspaceDict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pydantic import BaseModel

PART = re.compile(r"(<!-- rendered: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
SETTING = re.compile(r"([A-Z][A-Z_]*)=(.*)")
MAX_SIGNATURE = 100
NESTED: dict[str, type[BaseModel]] = {"runner": Runner, "limits": Limits}
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Command(BaseCommand):
    help = "Write the parts of docs/ that are made from code. --check writes nothing and tells what differs."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if something would")

    def handle(self, *args: Any, **options: Any) -> None:
        stale = False
        for path in documents():
            text = path.read_text(encoding="utf-8")
            if rendered(text) == text:
                continue
            stale = True
            self.stdout.write(f"{'differs' if options['check'] else 'written'}: {path}")
            if not options["check"]:
                path.write_text(rendered(text), encoding="utf-8")
        sys.exit(1 if stale and options["check"] else 0)


def documents() -> list[Path]:
    """The documents that may have rendered parts."""
    return sorted((Path(settings.BASE_DIR) / "docs").glob("**/*.md"))


def rendered(text: str) -> str:
    """``text`` with every rendered part as it should be now; an unknown part is a ``KeyError``."""
    return PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n{part[3]}", text)


# --- The states of a task ----------------------------------------------------------------------------------


def state_diagram() -> str:
    """The moves that exist, as a mermaid diagram."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> pending"]
    for source in states.TaskStatus:
        targets = states.MOVES[source]
        lines += [f"    {source} --> {target}" for target in states.TaskStatus if target in targets]
        if source in states.FINAL:
            lines.append(f"    {source} --> [*]")
    return "\n".join([*lines, "```", ""])


def state_table() -> str:
    """Each status and what it means."""
    said = notes_of(states.TaskStatus)
    rows = [
        (f"`{status}`", said[status.name], "yes" if status in states.FINAL else "")
        for status in states.TaskStatus
    ]
    return table(("status", "means", "final"), rows)


# --- Settings and errors -----------------------------------------------------------------------------------


def setting_table() -> str:
    """Every variable of ``.env.example``, by section."""
    parts: list[str] = []
    for section in (Path(settings.BASE_DIR) / ".env.example").read_text(encoding="utf-8").split("# --- ")[1:]:
        title, *lines = section.splitlines()
        rows = table(("variable", "default", "means"), list(_setting_rows(lines)))
        parts.append(f"### {title}\n\n{rows}")
    return "\n".join(parts)


def _setting_rows(lines: Iterable[str]) -> Iterator[tuple[str, ...]]:
    comment: list[str] = []
    said = False  # a comment holds for every variable up to the next comment
    for line in lines:
        if line.startswith("#"):
            comment = [line[2:]] if said else [*comment, line[2:]]
            said = False
        elif found := SETTING.fullmatch(line):
            yield f"`{found[1]}`", f"`{found[2]}`" if found[2] else "", " ".join(comment)
            said = True


def error_table() -> str:
    """Every class of ``gateway.errors``, beneath the one it is a kind of."""
    return table(("class", "code", "status", "means"), list(_error_rows(errors.GatewayError, 0)))


def _error_rows(kind: type[errors.GatewayError], depth: int) -> Iterator[tuple[str, ...]]:
    indent = "&nbsp;&nbsp;" * depth
    yield f"{indent}`{kind.__name__}`", f"`{kind.code}`", str(kind.status), paragraphs(kind)[0]
    for one in vars(errors).values():
        if isinstance(one, type) and kind in one.__bases__:
            yield from _error_rows(one, depth + 1)


# --- Agent types -------------------------------------------------------------------------------------------


def field_table() -> str:
    """Every field of an agent type's file."""
    return table(("field", "type", "default", "means"), list(_field_rows(AgentConfig, "")))


def _field_rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, ...]]:
    notes = {field.target.id: ast.unparse(field.annotation) for field in _annotated(model)}
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        part = NESTED.get(path)
        if part is not None:
            yield from _field_rows(part, f"{path}.")
            continue
        default = field.get_default(call_default_factory=True)
        told = "required" if field.is_required() else f"`{_yaml(default)}`"
        yield f"`{path}`", f"`{_plain_type(notes[name])}`", told, MEANINGS[path]


def _annotated(model: type) -> Iterator[Any]:
    for node in _class_node(model).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node


def _plain_type(annotation: str) -> str:
    known = {
        "list[RetryCause]": "list of error, timeout, worker_lost",
        "dict[str, str | FromEnvironment]": f"text, or {{{', '.join(FromEnvironment.model_fields)}}}",
        "Literal['python']": "python",
        "str | None": "text",
        "str": "text",
        "bool": "true or false",
        "int": "whole number",
        "float": "number",
        "dict[str, Any]": "mapping",
    }
    return known.get(
        annotation, "text, or {en, zh-hans}" if annotation.startswith("Annotated") else annotation
    )


def _yaml(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value) or '""'


# --- The Python door and an agent's context ----------------------------------------------------------------


def door() -> str:
    """Every verb that ``gateway.core`` offers, and the dicts that verbs return."""
    parts = [f"## `{module}.{kind.__name__}`\n\n{verbs(kind, '###')}" for module, kind in _door_classes()]
    parts.append("## What the verbs return\n")
    parts += [_dict_table(kind) for kind in (TaskDict, EventDict, TraceDict, WorkspaceDict)]
    return "\n".join(parts)


def _door_classes() -> Iterator[tuple[str, type]]:
    # Read, not imported: nothing inside the project goes through its own front door.
    for path in sorted((Path(settings.BASE_DIR) / "gateway/core").glob("[a-z]*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
                module = importlib.import_module(node.module)
                yield from ((f"gateway.core.{path.stem}", getattr(module, one.name)) for one in node.names)


def verbs(kind: type, heading: str) -> str:
    """The public methods of a class: signature, then what the docstring says."""
    parts = [f"{paragraph}\n" for paragraph in paragraphs(kind)]
    for node in _methods(kind):
        said = "\n\n".join(_plain(inspect.cleandoc(ast.get_docstring(node) or "")).split("\n\n"))
        parts.append(f"{heading} `{node.name}`\n\n```python\n{_signature(node)}\n```\n\n{said}\n")
    return "\n".join(parts)


def context_table() -> str:
    """What an agent may do with ``ctx``; of those that wait, the plain form."""
    rows = []
    for name, kind in (("ctx", context._Surface), ("ctx", context.Context), ("step", context.Step)):
        for node in _methods(kind):
            is_value = any(isinstance(one, ast.Name) and one.id == "property" for one in node.decorator_list)
            call = f"{name}.{node.name}" if is_value else f"{name}.{node.name}({', '.join(_arguments(node))})"
            first = _plain(inspect.cleandoc(ast.get_docstring(node) or "")).split("\n\n")[0]
            rows.append((f"`{call}`", first.replace("\n", " ")))
    return table(("call", "does"), rows)


def _dict_table(kind: type) -> str:
    rows = [(f"`{field.target.id}`", f"`{ast.unparse(field.annotation)}`") for field in _annotated(kind)]
    return f"### `{kind.__name__}`\n\n{paragraphs(kind)[0]}\n\n{table(('key', 'type'), rows)}"


def _methods(kind: type) -> Iterator[Function]:
    for node in _class_node(kind).body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node


def _signature(node: Function) -> str:
    returns = ast.unparse(node.returns) if node.returns else "None"
    line = f"{node.name}({', '.join(_arguments(node))}) -> {returns}"
    if len(line) <= MAX_SIGNATURE:
        return line
    inner = "".join(f"    {one},\n" for one in _arguments(node))
    return f"{node.name}(\n{inner}) -> {returns}"


def _arguments(node: Function) -> list[str]:
    given, named = node.args, node.args.kwonlyargs
    plain = given.args[1:]  # without self
    defaults: list[ast.expr | None] = [*[None] * (len(plain) - len(given.defaults)), *given.defaults]
    told = [_argument(one, default) for one, default in zip(plain, defaults, strict=True)]
    return [*told, *["*"] * bool(named), *map(_argument, named, given.kw_defaults)]


def _argument(one: ast.arg, default: ast.expr | None) -> str:
    told = f"{one.arg}: {ast.unparse(one.annotation)}" if one.annotation else one.arg
    return told if default is None else f"{told} = {ast.unparse(default)}"


# --- What they share ---------------------------------------------------------------------------------------


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return (
        "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        + "\n"
    )


def paragraphs(kind: type) -> list[str]:
    """The paragraphs of a class's docstring, each in one line."""
    text = _plain(inspect.cleandoc(kind.__doc__ or ""))
    return [paragraph.replace("\n", " ") for paragraph in text.split("\n\n")]


def notes_of(kind: type) -> dict[str, str]:
    """The texts below the members of a class."""
    said: dict[str, str] = {}
    body = _class_node(kind).body
    for member, note in pairwise(body):
        if (
            isinstance(member, ast.Assign)
            and isinstance(note, ast.Expr)
            and isinstance(note.value, ast.Constant)
        ):
            said[ast.unparse(member.targets[0])] = str(note.value.value)
    return said


def _class_node(kind: type) -> ast.ClassDef:
    node = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(node, ast.ClassDef)  # noqa: S101 - it is the source of a class
    return node


def _plain(docstring: str) -> str:
    return docstring.replace("``", "`")


PARTS: dict[str, Callable[[], str]] = {
    "state-diagram": state_diagram,
    "state-table": state_table,
    "settings": setting_table,
    "errors": error_table,
    "fields": field_table,
    "door": door,
    "context": context_table,
}
