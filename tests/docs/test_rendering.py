"""What the documents show of the code is what the code says."""

import ast
import re
from pathlib import Path

import pytest

from executor.states import MOVES, TaskStatus
from gatewaysite.management.commands import render_docs

ROOT = Path(__file__).resolve().parents[2]
FOR_AGENTS = {"OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"}


@pytest.mark.parametrize(
    "document", render_docs.documents(), ids=lambda path: str(path.relative_to(ROOT / "docs"))
)
def test_a_document_is_as_render_docs_writes_it(document):
    text = document.read_text(encoding="utf-8")

    assert render_docs.rendered(text) == text, "run `python manage.py render_docs`"


def test_every_part_that_can_be_rendered_is_shown_somewhere():
    shown = {
        part[1] for path in render_docs.documents() for part in render_docs.PART.findall(path.read_text())
    }

    assert shown == set(render_docs.PARTS)


def test_the_diagram_has_exactly_the_moves_that_exist():
    drawn = set(re.findall(r"(\w+) --> (\w+)", render_docs.state_diagram()))

    assert drawn == {(str(source), str(target)) for source in TaskStatus for target in MOVES[source]}


def test_what_stands_around_a_part_is_left_alone_and_what_stands_in_it_is_not():
    text = "# Mine\n<!-- rendered: state-table -->\nedited by hand\n<!-- end -->\nAlso mine.\n"

    written = render_docs.rendered(text)

    assert written.startswith("# Mine\n<!-- rendered: state-table -->\n")
    assert written.endswith("<!-- end -->\nAlso mine.\n")
    assert "edited by hand" not in written
    assert "`pending`" in written
    assert render_docs.rendered(written) == written


def test_a_part_that_nobody_can_render_is_an_error():
    with pytest.raises(KeyError):
        render_docs.rendered("<!-- rendered: weather -->\n<!-- end -->")


# --- .env.example, from which the table of settings is made ------------------------------------------------


def settings_read():
    """Name and default, as written in the code, of every variable that the settings read."""
    found = {}
    for node in ast.walk(ast.parse((ROOT / "gatewaysite/settings.py").read_text())):
        if isinstance(node, ast.Call) and getattr(getattr(node.func, "value", None), "id", "") == "env":
            given = [*node.args[1:2], *(one.value for one in node.keywords if one.arg == "default")]
            default = given[0].value if given and isinstance(given[0], ast.Constant) else None
            found.setdefault(node.args[0].value, default)
    return found


def settings_told():
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_example_has_every_setting_and_no_other():
    assert set(settings_told()) - FOR_AGENTS == set(settings_read())


def test_the_example_tells_the_defaults_that_hold():
    read = settings_read()
    told = {name: value for name, value in settings_told().items() if value and name not in FOR_AGENTS}

    assert told == {name: str(read[name]).lower() if name != "TIME_ZONE" else read[name] for name in told}
