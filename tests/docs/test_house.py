"""The house rules that no linter knows, each as a check that says what to do."""

import functools
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gateway", "gatewaysite", "lifecycle", "executor", "channels_app")

MAX_LINES = 400
LONG_FOR_A_REASON: dict[str, str] = {}  # path: why it may be longer than MAX_LINES

NAMELESS = frozenset({"util", "utils", "helper", "helpers", "common", "misc"})
MACHINE_PATH = re.compile(r"(?<![\w.~/-])(?:/(?:home|Users|root|work)/[\w.]|[A-Z]:\\Users\\)[^\s\"'`)]*")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)


# --- The checks --------------------------------------------------------------------------------------------


def machine_paths(text: str) -> list[str]:
    """Return the paths in ``text`` that exist on one machine only, such as home directories."""
    return [found.group() for found in MACHINE_PATH.finditer(text)]


def unfinished_marks(text: str) -> list[str]:
    """Return the lines of ``text`` that put something off."""
    return [line.strip() for line in text.splitlines() if UNFINISHED.search(line)]


def nameless(paths: Iterable[str]) -> list[str]:
    """Return the Python files whose name, or whose folder's name, says nothing about what is in them."""
    return [path for path in paths if path.endswith(".py") and NAMELESS & set(PurePosixPath(path[:-3]).parts)]


def too_long(lengths: dict[str, int]) -> list[str]:
    """Return a sentence for every file of our packages with too many lines, or excused without need."""
    ours = {path: lines for path, lines in lengths.items() if _has_limited_length(path)}
    problems = [
        f"{path} has {lines} lines; split it by noun (at most {MAX_LINES})"
        for path, lines in ours.items()
        if lines > MAX_LINES and path not in LONG_FOR_A_REASON
    ]
    return problems + [
        f"{path} needs no exception any more" for path in LONG_FOR_A_REASON if ours.get(path, 0) <= MAX_LINES
    ]


def _has_limited_length(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return path.endswith(".py") and parts[0] in PACKAGES and not {"migrations", "tests"} & set(parts)


def headings_and_blocks(markdown: str) -> tuple[list[int], list[str]]:
    """Return the levels of the headings in order, and the fenced code blocks."""
    levels: list[int] = []
    blocks: list[str] = []
    block: list[str] | None = None
    for line in markdown.splitlines():
        if line.startswith("```"):
            if block is not None:
                blocks.append("\n".join(block))
            block = [line] if block is None else None
        elif block is not None:
            block.append(line)
        elif heading := re.match(r"(#{1,6})\s", line):
            levels.append(len(heading[1]))
    return levels, blocks


def unpinned(requirements: str) -> list[str]:
    """Return the entries of a compiled requirement file that lack a version or a hash, or name a registry."""
    entries = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*$", "", requirements, flags=re.MULTILINE)).splitlines()
    return [
        entry
        for entry in filter(None, map(str.strip, entries))
        if entry.startswith("-") or "://" in entry or not PIN.match(entry) or "--hash=sha256:" not in entry
    ]


# --- The house as it is ------------------------------------------------------------------------------------


@functools.cache
def tracked_files() -> list[str]:
    """Return the paths under version control; where there is no repository the test is skipped."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a checkout: this rule is about the files under version control")
    listed = subprocess.run(
        # The checkout may belong to someone else, as in a container.
        [git, "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=ROOT, check=True, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    return [path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file()]


def texts() -> dict[str, str]:
    """Return the tracked text files; sample data and what others wrote are none of ours."""
    found = {}
    for path in tracked_files():
        if path.endswith(".csv") or "vendor" in PurePosixPath(path).parts:
            continue
        content = (ROOT / path).read_bytes()
        if b"\0" not in content:
            found[path] = content.decode("utf-8")
    return found


def test_no_file_mentions_a_path_of_one_machine():
    assert {path: found for path, text in texts().items() if (found := machine_paths(text))} == {}


def test_nothing_is_put_off_in_a_comment():
    ours = {path: text for path, text in texts().items() if path != "tests/docs/test_house.py"}

    assert {path: found for path, text in ours.items() if (found := unfinished_marks(text))} == {}


def test_every_module_is_named_after_what_is_in_it():
    assert nameless(tracked_files()) == []


def test_no_file_is_too_long_to_read_in_one_go():
    lengths = {path: text.count("\n") for path, text in texts().items()}

    assert too_long(lengths) == []


def test_both_readmes_say_the_same():
    english, chinese = ROOT / "README.md", ROOT / "README.zh-CN.md"

    assert headings_and_blocks(chinese.read_text(encoding="utf-8")) == headings_and_blocks(
        english.read_text(encoding="utf-8")
    )


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_package_is_pinned_by_version_and_hash(name):
    assert unpinned((ROOT / name).read_text(encoding="utf-8")) == []


def test_developers_have_the_same_versions_as_users():
    runtime, development = (
        set(PIN.findall((ROOT / name).read_text(encoding="utf-8")))
        for name in ("requirements.txt", "requirements-dev.txt")
    )

    assert runtime - development == set()


# --- The checks themselves ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/home/" + "alice/gateway", "/Users/" + "bob", "/root/" + ".cache", "/work/" + "x"]
)
def test_a_path_of_one_machine_is_found(path):
    assert machine_paths(f"see `{path}` there") == [path]


@pytest.mark.parametrize(
    "text", ["GET /api/v1/worker", "https://host.example/home/start", "var/work/x", "~/.config"]
)
def test_urls_and_relative_paths_belong_to_no_machine(text):
    assert machine_paths(text) == []


@pytest.mark.parametrize("mark", ["TODO", "FIXME", "XXX"])
def test_a_line_that_puts_something_off_is_found(mark):
    assert unfinished_marks(f"x = 1\n# {mark}: later\n") == [f"# {mark}: later"]


def test_words_that_only_contain_a_mark_put_nothing_off():
    assert unfinished_marks("mktemp -d gateway-XXXXXX; TODOS = 3") == []


def test_a_module_named_after_nothing_is_found():
    paths = ["executor/utils.py", "lifecycle/common/keys.py", "executor/leases.py", "static/common.css"]

    assert nameless(paths) == ["executor/utils.py", "lifecycle/common/keys.py"]


def test_only_our_own_code_has_a_limited_length():
    lengths = {
        "executor/leases.py": 401,
        "executor/states.py": 400,
        "executor/migrations/0001_initial.py": 900,
        "tests/executor/test_leases.py": 900,
        "static/console.css": 900,
    }

    assert too_long(lengths) == ["executor/leases.py has 401 lines; split it by noun (at most 400)"]


def test_an_exception_is_by_name_and_ends_when_it_is_not_needed(monkeypatch):
    monkeypatch.setitem(LONG_FOR_A_REASON, "executor/leases.py", "one table")

    assert too_long({"executor/leases.py": 401}) == []
    assert too_long({"executor/leases.py": 300}) == ["executor/leases.py needs no exception any more"]


def test_headings_and_code_blocks_are_compared_without_the_words_around_them():
    english = "# Start\nDo this:\n```sh\n# one\nmake run\n```\n## More\n"
    chinese = "# 开始\n这样做：\n```sh\n# one\nmake run\n```\n## 更多\n"

    assert headings_and_blocks(english) == ([1, 2], ["```sh\n# one\nmake run"])
    assert headings_and_blocks(chinese) == headings_and_blocks(english)
    assert headings_and_blocks(chinese) != headings_and_blocks(english.replace("make run", "make test"))
    assert headings_and_blocks(chinese) != headings_and_blocks(english.replace("## More", "### More"))


@pytest.mark.parametrize(
    "entry",
    [
        "django",
        "django==5.2",
        "django>=5.2 \\\n    --hash=sha256:00",
        "--index-url https://host.example/simple",
    ],
)
def test_a_requirement_without_version_or_hash_is_found(entry):
    pinned = "# a\nrich==15.0.0 ; os_name == 'x' \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n    # b\n"

    assert unpinned(pinned) == []
    assert len(unpinned(pinned + entry)) == 1
