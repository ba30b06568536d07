"""What the documents point at exists: code by ``path/file.py:name``, files and headings by links."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md")])

CODE_REFERENCE = re.compile(r"(?<![\w/.:-])((?:[\w.-]+/)*[\w-]+\.py):(\w+(?:\.\w+)*)")
FENCE = re.compile(r"^(`{3,}|~{3,})")
INLINE_CODE = re.compile(r"(`+).+?\1")
INLINE_LINK = re.compile(r"\[[^\]]*\]\(\s*(<[^>]*>|[^)\s]+)")
LINK_DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
OUTSIDE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$")
HTML_ANCHOR = re.compile(r"<\w+[^>]*\s(?:id|name)=\"([^\"]+)\"")


# --- References to code ------------------------------------------------------------------------------------


def broken_code_references(text: str, root: Path) -> list[str]:
    """Return a sentence for every ``path/file.py:name`` in ``text`` that leads nowhere below ``root``."""
    problems = []
    for path, name in CODE_REFERENCE.findall(text):
        file = root / path
        if name[0].isdigit():
            problems.append(f"{path}:{name} is a line number, which the next edit makes wrong; say a name")
        elif not file.is_file():
            problems.append(f"{path}:{name}: there is no file {path}")
        elif name not in names_defined_in(file.read_text(encoding="utf-8")):
            problems.append(f"{path}:{name}: {path} defines no {name}")
    return problems


def names_defined_in(source: str) -> set[str]:
    """Return the functions, classes, methods and constants that ``source`` defines itself."""
    return set(_definitions(ast.parse(source).body, prefix=""))


def _definitions(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name
        elif isinstance(node, ast.ClassDef):
            yield prefix + node.name
            yield from _definitions(node.body, prefix=f"{prefix}{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from (prefix + name for name in _assigned(node))
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from _definitions(_branches(node), prefix)


def _assigned(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def _branches(node: ast.If | ast.Try | ast.With) -> list[ast.stmt]:
    body = list(node.body)
    if isinstance(node, ast.Try):
        body += [line for handler in node.handlers for line in handler.body] + node.finalbody
    return body + getattr(node, "orelse", [])


# --- Links -------------------------------------------------------------------------------------------------


def broken_links(text: str, document: Path) -> list[str]:
    """Return a sentence for every relative link in ``text`` whose file or heading does not exist."""
    prose = INLINE_CODE.sub("", without_code_blocks(text))
    problems = []
    for link in [*INLINE_LINK.findall(prose), *LINK_DEFINITION.findall(prose)]:
        target = link.strip("<>")
        if OUTSIDE.match(target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = document.parent / path if path else document
        if path and not file.exists():
            problems.append(f"({target}): there is no {path}")
        elif anchor and file.suffix == ".md":
            there = text if file == document else file.read_text(encoding="utf-8")
            if anchor not in anchors_of(there):
                problems.append(f"({target}): {file.name} has no heading #{anchor}")
    return problems


def without_code_blocks(text: str) -> str:
    """Return markdown without its fenced blocks, which may hold brackets and # signs of their own."""
    kept: list[str] = []
    fence = ""
    for line in text.splitlines():
        mark = FENCE.match(line.lstrip())
        if not fence and mark:
            fence = mark[1]
        elif not fence:
            kept.append(line)
        elif mark and mark[1].startswith(fence) and line.strip() == mark[1]:
            fence = ""
    return "\n".join(kept)


def anchors_of(text: str) -> set[str]:
    """Return the anchors of a markdown document, formed from its headings as GitHub forms them."""
    anchors = set(HTML_ANCHOR.findall(text))
    seen: dict[str, int] = {}
    for line in without_code_blocks(text).splitlines():
        heading = HEADING.match(line)
        if not heading:
            continue
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        seen[slug] = seen.get(slug, -1) + 1
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
    return anchors


# --- The documents as they are -----------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_that_a_document_mentions_is_in_the_code(document):
    assert broken_code_references(document.read_text(encoding="utf-8"), ROOT) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_in_a_document_leads_somewhere(document):
    assert broken_links(document.read_text(encoding="utf-8"), document) == []


# --- The checks themselves ---------------------------------------------------------------------------------

SOURCE = """
LIMIT = 5
first, second = 1, 2
kept: int = 3
from elsewhere import borrowed

class Door:
    colour = "red"
    async def open(self): inner = 1

if LIMIT:
    def sometimes(): ...
else:
    OTHERWISE = 1

try:
    import fast
except ImportError:
    def slow(): ...
"""


def test_functions_classes_methods_and_constants_count_as_defined():
    expected = "LIMIT first second kept Door Door.colour Door.open sometimes OTHERWISE slow"

    assert names_defined_in(SOURCE) == set(expected.split())


@pytest.mark.parametrize("name", ["LIMIT", "Door", "Door.open"])
def test_a_reference_to_a_defined_name_is_fine(tmp_path, name):
    (tmp_path / "house").mkdir()
    (tmp_path / "house/door.py").write_text(SOURCE)

    assert broken_code_references(f"see `house/door.py:{name}`.", tmp_path) == []


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        ("house/door.py:close", "defines no close"),
        ("house/door.py:Door.close", "defines no Door.close"),
        ("house/door.py:borrowed", "defines no borrowed"),
        ("house/door.py:7", "is a line number"),
        ("house/gate.py:Door", "there is no file house/gate.py"),
        ("door.py:Door", "there is no file door.py"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named(tmp_path, reference, complaint):
    (tmp_path / "house").mkdir()
    (tmp_path / "house/door.py").write_text(SOURCE)

    [problem] = broken_code_references(f"It opens (`{reference}`), see there.", tmp_path)

    assert complaint in problem


def test_code_of_others_behind_a_url_is_not_ours_to_check(tmp_path):
    assert broken_code_references("https://host.example/a/blob/main/b.py:thing", tmp_path) == []


@pytest.mark.parametrize(
    "link",
    [
        "[next](next.md)",
        "[a heading](next.md#the-second-part)",
        "[the same title again](next.md#the-second-part-1)",
        "[中文](next.md#第二部分状态与原因)",
        "[own heading](#here)",
        "[a place](next.md#marked)",
        "[folder](.)",
        '[titled](next.md "Next")',
        "[spaces](<with space.md>) [coded](with%20space.md)",
        "[outside](https://host.example/nowhere.md) [mail](mailto:someone@host.example)",
        "`[only code](nowhere.md)`",
        "```\n[only code](nowhere.md)\n```",
    ],
)
def test_a_link_that_leads_somewhere_is_fine(tmp_path, link):
    (tmp_path / "with space.md").write_text("")
    headings = "# The *second* part!\n## The second part\n## 第二部分：状态与原因\n"
    (tmp_path / "next.md").write_text(headings + '<a id="marked"></a>\n', encoding="utf-8")

    assert broken_links(f"# Here\n\n{link}\n", tmp_path / "first.md") == []


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        ("[gone](gone.md)", "there is no gone.md"),
        ("![picture](images/gone.png)", "there is no images/gone.png"),
        ("[moved](next.md#the-third-part)", "next.md has no heading #the-third-part"),
        ("[only in code](next.md#a-comment)", "next.md has no heading #a-comment"),
        ("[own](#there)", "first.md has no heading #there"),
        ("[defined below][x]\n\n[x]: gone.md", "there is no gone.md"),
    ],
)
def test_a_link_that_leads_nowhere_is_named(tmp_path, link, complaint):
    (tmp_path / "next.md").write_text("# The second part\n```sh\n# a comment\n```\n")

    [problem] = broken_links(f"# Here\n\n{link}\n", tmp_path / "first.md")

    assert complaint in problem
