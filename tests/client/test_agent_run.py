"""``gateway agent run``: an agent's function on this machine, with no server."""

import json
import re
import signal
import subprocess

import pytest

from tests.client.conftest import CLI, command_environment

pytestmark = pytest.mark.engine

AGENTS = """
import asyncio, sys, time
from gateway.errors import Retryable


def run(ctx):
    print("printed", ctx.input, dict(ctx.settings))
    with ctx.step("tool", "write", input={"a": 1}) as step:
        step.text("token ")
        (ctx.workspace.path / "out.md").write_text("# hi")
        step.output = 1
    ctx.progress(50, "half")
    ctx.checkpoint({"done": 1})
    kept = ctx.artifact("out.md", title="The report")
    return {"kept": kept["sha256"][:6], "description": ctx.description, "attempt": ctx.attempt}


async def arun(ctx):
    await ctx.checkpoint({})
    await asyncio.sleep(0)
    kept = await ctx.artifact("x.json")
    return f"async {kept['size']}"


def fails(ctx):
    raise ValueError("no such column: amount")


def again(ctx):
    raise Retryable("busy", hint="Later.")


def outside(ctx):
    ctx.artifact("../secret")


def leaves(ctx):
    sys.exit(3)


def waits(ctx):
    try:
        ctx.log("waiting")
        time.sleep(60)
    finally:
        print("tidied up", ctx.cancelled)


async def awaits(ctx):
    try:
        ctx.log("waiting")
        await asyncio.sleep(60)
    finally:
        print("tidied up", True)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "my_agents.py").write_text(AGENTS)
    (tmp_path / "x.json").write_text('{"n": 1}')
    return tmp_path


@pytest.fixture
def run(command, folder):
    def go(function, *more, **environment):
        return command("agent", "run", function, "--description", "go", *more, GATEWAY_URL="", **environment)

    return go


def test_a_plain_function_runs_and_its_result_is_the_output(run, folder):
    done = run("my_agents:run", "--input", "x.json", "--settings", '{"s": 2}')

    assert done.code == 0, done.err
    assert json.loads(done.out) == {
        "kept": "6b6a2b"[:0] + json.loads(done.out)["kept"],
        "description": "go",
        "attempt": 1,
    }
    for said in (
        "printed {'n': 1} {'s': 2}",
        "▸ write",
        "✓ write",
        "token",
        "50 % half",
        "+ out.md",
        "✓ completed",
    ):
        assert said in done.err
    assert (folder / "out.md").exists()


def test_a_coroutine_function_runs_too(run):
    assert run("my_agents:arun").out == "async 8\n"


def test_a_file_can_be_named_by_its_path(run, folder):
    (folder / "deep").mkdir()
    (folder / "deep/agent.py").write_text("def run(ctx):\n    return 'deep'\n")

    assert run("deep/agent.py:run").out == "deep\n"


def test_it_works_in_the_folder_that_it_is_told(run, folder):
    (folder / "elsewhere").mkdir()

    assert run("my_agents:run", "--workspace", "elsewhere").code == 0
    assert (folder / "elsewhere/out.md").exists()


def test_in_json_each_event_is_a_line(run):
    events = [json.loads(line) for line in run("my_agents:run", "--json").lines]

    assert [one["seq"] for one in events] == list(range(1, len(events) + 1))
    assert [one["type"] for one in events][:2] == ["task.started", "log"]
    assert events[-1]["type"] == "task.completed"
    assert events[-1]["data"]["result"]["description"] == "go"


def test_an_agent_that_fails_shows_where(run):
    done = run("my_agents:fails")

    assert (done.code, done.out) == (1, "")
    assert 'my_agents.py", line' in done.err
    assert "✗ no such column: amount" in done.err
    assert "agent_run.py" not in done.err, "its own frames are of no interest"


def test_an_agent_that_may_be_tried_again_says_so(run):
    done = run("my_agents:again")

    assert done.code == 1
    assert "A server would try it again." in done.err


@pytest.mark.parametrize("function", ["outside", "leaves"])
def test_an_agent_that_misbehaves_fails(run, function):
    assert run(f"my_agents:{function}").code == 1


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("my_agents:nothing", "has no attribute 'nothing'"),
        ("no_such_module:run", "No module named 'no_such_module'"),
        ("my_agents", "names no function"),
        ("my_agents:AGENTS", "has no attribute"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_sentence(run, function, said):
    done = run(function)

    assert done.code == 1
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("function", ["waits", "awaits"])
def test_ctrl_c_lets_the_agent_tidy_up(running, folder, function):
    process = subprocess.Popen(
        [*CLI, "agent", "run", f"my_agents:{function}", "-d", "go"],
        cwd=folder,
        env=command_environment(running),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while "waiting" not in process.stderr.readline():
        pass

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (130, "")
    assert re.search("tidied up True", err)
    assert "Traceback" not in err
