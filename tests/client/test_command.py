"""The command ``gateway``: what it prints where, and its exit codes."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import stat
import struct
import subprocess
import termios
import time
import uuid
from fcntl import ioctl
from pathlib import Path

import pytest

from gateway.client.python.cli.inputs import json_value
from tests.client.conftest import CLI, command_environment
from tests.client.running import free_port
from tests.client.strange import answer, event, stream

pytestmark = pytest.mark.engine

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture
def workspace():
    return f"c-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def submit(command, workspace):
    """Submit a task to an agent in the test's workspace."""

    def run(agent, *more, description="hello", **environment):
        return command(
            "task", "submit", description, "--workspace", workspace, "--agent", agent, *more, **environment
        )

    return run


# --- Submitting and its exit codes -------------------------------------------------------------------------


def test_submit_prints_the_id_alone(submit, client):
    done = submit("echo", "--input", '{"a": 1}', "--label", "k=v", "-l", "team=a=b")

    assert (done.code, done.err) == (0, "")
    assert ID.fullmatch(done.out.strip())
    task = client.wait(done.out.strip(), timeout=30)
    assert (task["input"], task["labels"]) == ({"a": 1}, {"k": "v", "team": "a=b"})


def test_submit_to_a_trace_in_json(command, client, workspace):
    trace_id = client.create_trace(workspace, "echo")

    done = command("task", "submit", "-", "--trace", trace_id, "--json", stdin="多行\n描述")

    assert done.code == 0
    assert json.loads(done.out)["trace_id"] == trace_id
    assert json.loads(done.out)["description"] == "多行\n描述"


@pytest.mark.parametrize("how", ["@x.json", "x.json", "-", '{"rows": [1, "二"]}'])
def test_input_is_json_a_file_or_stdin(command, client, workspace, tmp_path, how):
    (tmp_path / "x.json").write_text('{"rows": [1, "二"]}', encoding="utf-8")

    done = command(
        "task",
        "submit",
        "x",
        "--workspace",
        workspace,
        "--agent",
        "echo",
        "--input",
        how,
        stdin='{"rows": [1, "二"]}',
    )

    assert client.get_task(done.out.strip())["input"] == {"rows": [1, "二"]}


def test_waiting_for_a_task_that_completes_prints_its_result(submit):
    done = submit("sleeps", "--input", '{"seconds": 0.1}', "--wait")

    assert (done.code, done.out) == (0, "slept\n")
    assert "Task 0" in done.err


def test_waiting_in_json_prints_the_task(submit):
    done = submit("echo", "--wait", "--json")

    assert done.code == 0
    assert (json.loads(done.out)["status"], done.err) == ("completed", "")


def test_following_prints_what_happens_beside_the_result(submit):
    done = submit("writes", "--follow", description="a report")

    assert done.code == 0
    assert json.loads(done.out) == {"summary": "**a report** is in report.md"}
    for said in ("● running", "▸ write", "✓ write", "+ report.md", "✓ completed"):
        assert said in done.err


def test_following_in_json_prints_one_event_a_line(submit):
    done = submit("echo", "--follow", "--json")

    events = [json.loads(line) for line in done.lines]
    assert done.code == 0
    assert [one["seq"] for one in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "task.completed"


def test_a_task_that_fails_is_1(submit):
    done = submit("fails", "--wait")

    assert (done.code, done.out) == (1, "")
    assert "✗ no such column: amount" in done.err


def test_a_task_that_lacks_something_says_what_to_do(submit):
    done = submit("lacks", "--follow")

    assert done.code == 1
    assert "OPENAI_API_KEY is missing." in done.err
    assert "What to do: Set it in .env." in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["task", "submit"], "Missing: DESCRIPTION"),
        (["task", "submit", "x"], "Give --trace, or --workspace and --agent."),
        (["task", "submit", "x", "--workspace", "w"], "Give --trace"),
        (["task", "submit", "x", "--trace", "t", "--agent", "a"], "Give --trace"),
        (["task", "submit", "x", "--trace", "t", "--follow", "--wait"], "Choose --follow or --wait."),
        (["task", "submit", "x", "--trace", "t", "--input", "{no"], "{no is not JSON"),
        (["task", "submit", "x", "--trace", "t", "--input", "@missing.json"], "missing.json cannot be read"),
        (["task", "submit", "x", "--trace", "t", "--label", "no"], "no is not KEY=VALUE."),
        (["task", "submit", "x", "--trce", "t"], "There is no option --trce. Did you mean --trace?"),
        (["tsak"], "There is no command tsak. Did you mean task?"),
        (["task", "list", "--limit", "many"], "limit"),
        (["task", "list", "--status", "odd"], "status"),
        (["--url", "gateway-host:8000", "task", "list"], "Write it like http://gateway-host:8000"),
        (["workspace", "upload", "w", "a", "b", "--to", "c"], "Several files need a folder"),
    ],
)
def test_wrong_usage_is_2_and_says_what_is_wrong(command, arguments, said):
    done = command(*arguments)

    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["task", "show", "nothing"],
        ["task", "follow", "nothing"],
        ["task", "cancel", "nothing"],
        ["task", "submit", "x", "--trace", "nothing"],
        ["trace", "show", "nothing"],
        ["workspace", "show", "nothing"],
        ["workspace", "download", "nothing", "a.txt"],
        ["agent", "show", "nothing"],
    ],
)
def test_what_does_not_exist_is_3(command, arguments):
    done = command(*arguments)

    assert (done.code, done.out) == (3, "")
    assert "There is no" in done.err
    assert "→" in done.err


def test_a_wrong_key_no_key_and_a_narrow_one_are_4(command, running):
    wrong = command("task", "list", GATEWAY_API_KEY="gk_wrong_key")
    none = command("task", "list", GATEWAY_API_KEY="")
    reader = running.manage("create_api_key", "reader", "--scopes", "read")
    narrow = command("trace", "create", "--workspace", "w", "--agent", "echo", GATEWAY_API_KEY=reader)

    assert [done.code for done in (wrong, none, narrow)] == [4, 4, 4]
    assert "gateway login" in wrong.err
    assert "gateway login" in none.err


def test_a_server_that_is_not_there_is_5(command):
    done = command("task", "list", GATEWAY_URL=f"http://127.0.0.1:{free_port()}")

    assert done.code == 5
    assert "cannot be reached" in done.err
    assert "GATEWAY_URL" in done.err


@pytest.mark.parametrize("manner", ["--follow", "--wait"])
def test_a_task_that_takes_too_long_is_6_and_goes_on(submit, client, manner):
    done = submit("sleeps", "--input", '{"seconds": 60}', manner, "--timeout", "1.5")

    assert done.code == 6
    task_id = re.search(r"gateway task follow (\S+)", done.err)[1]
    assert client.get_task(task_id)["status"] in ("pending", "running")
    client.cancel_task(task_id)


def test_a_task_that_was_cancelled_is_7(command, submit):
    task_id = submit("sleeps", "--input", '{"seconds": 60}').out.strip()

    cancelled = command("task", "cancel", task_id, "--reason", "enough", "--wait", "20")
    followed = command("task", "follow", task_id)

    assert (cancelled.code, cancelled.out) == (0, "cancelled\n")
    assert followed.code == 7
    assert "The task was cancelled." in followed.err


@pytest.mark.parametrize("manner", [["task", "follow", "t1"], ["task", "retry", "t0", "--wait"]])
def test_a_task_that_waits_for_an_answer_is_8(command, strange, manner):
    task = {"id": "t1", "status": "waiting", "reason": "ask", "description": "Send?", "blocked_by": None}
    task["asks"] = [{"question": "Send it?"}]

    def respond(connection, request):
        waits = stream(
            event(1, "task.started"), event(2, "ask", question="Send it?"), event(3, "task.waiting")
        )
        connection.sendall(waits if "stream" in request.target else answer(200, task))

    server = strange(respond)
    done = command(*manner, GATEWAY_URL=server.url)

    assert done.code == 8
    assert "The task waits for an answer: Send it?" in done.err


def test_ctrl_c_detaches_with_130_and_says_how_to_come_back(running, submit, client):
    task_id = submit("sleeps", "--input", '{"seconds": 60}').out.strip()
    following = subprocess.Popen(
        [*CLI, "task", "follow", task_id],
        env=command_environment(running),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while "running" not in following.stderr.readline():
        pass

    following.send_signal(signal.SIGINT)
    out, err = following.communicate(timeout=20)

    assert (following.returncode, out) == (130, "")
    assert f"gateway task follow {task_id}" in err
    assert client.get_task(task_id)["status"] == "running"
    client.cancel_task(task_id)


def test_errors_are_json_too_where_json_is_asked_for(command):
    done = command("task", "show", "nothing", "--json")

    error = json.loads(done.err)["error"]
    assert (done.code, done.out) == (3, "")
    assert (error["code"], error["status"]) == ("not_found", 404)


# --- Lists and details -------------------------------------------------------------------------------------


def test_lists_are_lines_with_tabs_in_a_pipe_and_items_in_json(command, submit, workspace):
    ids = [submit("echo", description=f"number {number}\twith\nbreaks").out.strip() for number in range(3)]

    lines = [line.split("\t") for line in command("task", "list", "--workspace", workspace).lines]
    found = json.loads(command("task", "list", "--workspace", workspace, "-n", "2", "--json").out)

    assert [line[0] for line in lines] == ids[::-1]
    assert {len(line) for line in lines} == {6}
    assert lines[0][-1] == "number 2 with breaks"
    assert list(found) == ["items"]
    assert [task["id"] for task in found["items"]] == ids[:0:-1]


def test_an_empty_list_says_so_beside_the_data(command):
    done = command("task", "list", "--workspace", "nobody")

    assert (done.code, done.out, done.err) == (0, "", "")
    assert json.loads(command("task", "list", "--workspace", "nobody", "--json").out) == {"items": []}


def test_show_tells_everything_of_a_task(command, submit, workspace):
    task_id = submit("writes", "--wait", "--json", description="a report").out
    task_id = json.loads(task_id)["id"]

    done = command("task", "show", task_id)

    for said in (
        task_id,
        "✓ completed",
        "a report",
        "writes v1",
        workspace,
        "1 / 1",
        "report.md",
        "/t/" + task_id,
    ):
        assert said in done.out
    assert json.loads(command("task", "show", task_id, "--json").out)["id"] == task_id


def test_a_trace_from_its_beginning_to_its_end(command, workspace):
    made = command(
        "trace", "create", "--workspace", workspace, "--agent", "writes", "--title", "Sales", "-l", "k=v"
    )
    trace_id = made.out.strip()
    command("task", "submit", "go", "--trace", trace_id, "--wait")

    shown = command("trace", "show", trace_id)

    for said in (trace_id, "Sales", "k=v", "✓ write", "go"):
        assert said in shown.out
    assert command("trace", "list", "--workspace", workspace).lines[0].startswith(f"{trace_id}\tidle\twrites")
    assert command("trace", "close", trace_id).out == "closed\n"
    assert json.loads(command("trace", "show", trace_id, "--json").out)["status"] == "closed"
    assert command("task", "submit", "more", "--trace", trace_id).code == 1


def test_a_workspace_and_its_files(command, workspace, tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "b.csv").write_text("y\n2\n")

    assert (
        command("workspace", "create", workspace, "--title", "Sales", "--quota", "1000").out
        == f"{workspace}\n"
    )
    assert (
        command("workspace", "upload", workspace, "a.csv", "b.csv", "--to", "in/").out
        == "in/a.csv\nin/b.csv\n"
    )
    assert command("workspace", "upload", workspace, "a.csv").out == "a.csv\n"
    assert [line.split("\t")[0] for line in command("workspace", "files", workspace).lines] == ["in", "a.csv"]
    assert command("workspace", "download", workspace, "in/b.csv", "got.csv").out == "got.csv\n"
    assert (tmp_path / "got.csv").read_text() == "y\n2\n"
    assert workspace in command("workspace", "list").out
    assert "Sales" in command("workspace", "show", workspace).out
    assert command("workspace", "archive", workspace).out == "archived\n"
    assert command("workspace", "restore", workspace).out == "active\n"
    assert json.loads(command("workspace", "show", workspace, "--json").out)["quota_bytes"] == 1000
    assert command("workspace", "upload", workspace, "missing.csv").code == 1
    (tmp_path / "big").write_bytes(b"x" * 2000)
    assert "quota" in command("workspace", "upload", workspace, "big").err


def test_a_task_that_ended_can_be_run_again(command, submit):
    first = json.loads(submit("echo", "--input", "1", "--wait", "--json").out)["id"]

    done = command("task", "retry", first, "--input", "2", "--wait", "--json")

    again = json.loads(done.out)
    assert (done.code, again["retry_of"], again["input"]) == (0, first, 2)


def test_agents_are_listed_and_shown(command):
    lines = command("agent", "list").lines

    assert "echo" in [line.split("\t")[0] for line in lines]
    assert "timeout_seconds: 120" in command("agent", "show", "echo").out
    assert json.loads(command("agent", "show", "echo", "--json").out)["name"] == "echo"


# --- Signing in, looking after -----------------------------------------------------------------------------


def test_login_keeps_the_key_for_the_next_commands(command, running):
    nothing = {"GATEWAY_URL": "", "GATEWAY_API_KEY": ""}

    done = command("login", running.url, stdin=f"{running.api_key}\n", **nothing)
    path = Path(os.environ["HOME"]) / ".config/gateway/profile.json"

    assert done.code == 0, done.err
    assert "Signed in" in done.err
    assert running.api_key not in done.out + done.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert command("task", "list", **nothing).code == 0
    assert command("doctor", **nothing).code == 0


def test_a_key_that_is_wrong_is_not_kept(command, running):
    done = command("login", running.url, stdin="gk_wrong_key\n", GATEWAY_API_KEY="")

    assert done.code == 4
    assert not (Path(os.environ["HOME"]) / ".config/gateway/profile.json").exists()


def test_doctor_checks_the_way_to_the_server(command):
    done = command("doctor")
    found = json.loads(command("doctor", "--json").out)["items"]

    assert done.code == 0
    for said in ("✓ address", "✓ server: ready", "✓ key: first start", "✓ worker"):
        assert said in done.out
    assert {one["verdict"] for one in found} == {"ok"}


@pytest.mark.parametrize(
    ("environment", "code", "cure"),
    [
        ({"GATEWAY_URL": "http://127.0.0.1:9"}, 5, "Check the address"),
        ({"GATEWAY_API_KEY": "gk_wrong_key"}, 4, "create_api_key"),
        ({"GATEWAY_API_KEY": ""}, 4, "gateway login"),
    ],
)
def test_doctor_tells_each_problem_with_its_cure(command, environment, code, cure):
    done = command("doctor", **environment)

    assert done.code == code
    assert cure in done.out


# --- The terminal ------------------------------------------------------------------------------------------


def on_terminal(running, *arguments, width=100, seconds=40, **environment):
    """What a person sees of a command, and its exit code."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    process = subprocess.Popen(
        [*CLI, *arguments],
        env=command_environment(running, TERM="xterm-256color", **environment),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    seen, give_up_at = b"", time.monotonic() + seconds
    with contextlib.suppress(OSError):
        while time.monotonic() < give_up_at:
            if select.select([master], [], [], 0.2)[0]:
                seen += os.read(master, 65536)
            elif process.poll() is not None:
                break
    os.close(master)
    return process.wait(10), seen.decode()


def test_a_person_sees_the_task_live_and_then_its_result(running, workspace):
    code, seen = on_terminal(
        running, "task", "submit", "a report", "--workspace", workspace, "--agent", "writes", "--follow"
    )

    assert code == 0
    for said in ("a report", "write", "✓", "Result", "report.md", "The report", "\x1b["):
        assert said in seen


def test_a_table_keeps_to_the_width_of_the_terminal(running, submit, workspace):
    submit("echo", description="a description that is far too long for a terminal of eighty columns " * 3)

    code, seen = on_terminal(running, "task", "list", "--workspace", workspace, width=80)

    lines = re.sub(r"\x1b\[[0-9;]*m", "", seen).splitlines()
    assert code == 0
    assert max(len(line) for line in lines) <= 80
    assert "…" in lines[1]


def test_no_color_means_no_color(running, workspace, submit):
    submit("echo")

    _, seen = on_terminal(running, "task", "list", "--workspace", workspace, NO_COLOR="1")

    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", seen)


def test_text_of_others_does_not_command_the_terminal(running, submit, workspace):
    submit("echo", description="harmless \x1b]0;title\x07\x1b[2J \u202egnp.exe")

    _, seen = on_terminal(running, "task", "list", "--workspace", workspace)

    assert "\x1b[2J" not in seen
    assert "\x1b]0" not in seen
    assert "\u202e" not in seen


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--help"], "提交、跟踪和停止任务。"),
        (["task", "submit", "--help"], "等待结束，然后输出结果。"),
        (["task", "show", "nothing"], "没有任务 nothing。"),
        (["task", "submit"], "缺少：DESCRIPTION"),
        (["doctor"], "就绪"),
    ],
)
def test_it_speaks_chinese_where_the_terminal_does(command, arguments, said):
    done = command(*arguments, LANG="zh_CN.UTF-8")

    assert said in done.out + done.err


def test_a_terminal_without_utf8_gets_something_readable(command, submit, workspace):
    submit("echo", description="分析")

    done = command(
        "task",
        "list",
        "--workspace",
        workspace,
        LANG="C",
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
    )
    found = command(
        "task",
        "list",
        "--workspace",
        workspace,
        "--json",
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
    )

    assert done.code == 0
    assert json.loads(found.out)["items"][0]["description"] == "分析"


def test_whoever_reads_only_the_first_lines_gets_them(running, submit, workspace):
    submit("echo")
    piped = f"{' '.join(CLI)} task list --workspace {workspace} | head -c 5"

    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", piped],
        env=command_environment(running),
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Traceback" not in done.stderr


def test_the_shell_can_complete(command):
    done = command(_GATEWAY_COMPLETE="complete_bash", COMP_WORDS="gateway task ", COMP_CWORD="2")

    assert {"submit", "list", "show", "follow", "cancel", "retry"} <= set(done.lines)


def test_without_arguments_the_help_is_shown(command):
    assert "Usage: gateway" in command("--help").out
    assert command("--version").out.startswith("gateway ")


def test_a_word_that_is_a_file_is_read_but_json_stays_json(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("1").write_text("[2]")

    assert json_value("1") == 1
    assert json_value("@1") == [2]
