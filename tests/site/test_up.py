"""`manage.py up` as a newcomer meets it: real processes, real signals, a real port."""

import signal
import socket
import stat
import threading
import urllib.request

import psutil
import pytest

from tests.up import PATIENCE_SECONDS, Up

pytestmark = pytest.mark.engine


@pytest.fixture
def start(tmp_path):
    """Start `up` on a data directory of the test; whatever still runs afterwards is killed."""
    started = []

    def begin(*arguments, data="data", **environment):
        up = Up(tmp_path / data, *arguments, **environment)
        started.append(up)
        return up

    yield begin
    for up in started:
        up.clear()


def test_a_newcomer_sees_the_sample_finish_and_the_second_start_is_quiet(start, tmp_path):
    first = start()
    first.said(rf"^ready http://127\.0\.0\.1:{first.port}$")
    password = first.said(r"admin password +(\S+)").group(1)
    key = first.said(r"API key +(gk_\S+)").group(1)
    first.said(r"✓ 分析销售数据 .* completed")
    first.said(r"analysis/report\.md")
    first.said(r"Ctrl-C stops everything")

    for name, secret in (("admin-password", password), ("api-key", key)):
        kept = tmp_path / "data" / name
        assert kept.read_text().strip() == secret
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert (tmp_path / "data/workspaces/demo/analysis/report.md").read_text().startswith("# ")
    assert first.stop() == 0
    assert first.lines[-1] == "Stopped."

    second = start()
    second.said(r"Ctrl-C stops everything")
    assert password not in second.text
    assert "分析销售数据" not in second.text
    assert second.stop(signal.SIGTERM) == 0


def test_it_speaks_chinese_where_the_terminal_does(start):
    up = start("--no-demo", LANG="zh_CN.UTF-8")

    up.said(r"管理员密码")
    up.said(r"按 Ctrl-C 停止全部进程。")

    assert up.stop() == 0


def test_a_killed_part_is_started_again(start):
    up = start("--no-demo")
    up.said(r"Ctrl-C stops everything")
    worker = up.child(" worker")

    up.child("gatewaysite.web").kill()
    up.said(r"The web process ended \(code -9\); starting it again\.")
    worker.kill()
    up.said(r"The worker process ended \(code -9\); starting it again\.")

    wait_until_ready(up)
    assert up.stop() == 0


def test_nothing_outlives_a_supervisor_that_is_killed(start):
    up = start("--no-demo")
    up.said(r"Ctrl-C stops everything")
    family = up.children()

    up.process.kill()

    assert not psutil.wait_procs(family, timeout=35)[1]


def test_a_second_one_on_the_same_data_is_refused_in_one_sentence(start):
    up = start("--no-demo")
    up.said(r"Ctrl-C stops everything")

    second = start("--no-demo")

    assert second.process.wait(PATIENCE_SECONDS) == 1
    second.said(r"Gateway runs already with the data directory")
    assert up.stop() == 0


def test_a_port_in_use_is_told_before_anything_starts(start, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        up = start("--port", str(port))

        assert up.process.wait(PATIENCE_SECONDS) == 1
        up.said(rf"127\.0\.0\.1:{port} cannot be listened on .*Use another port")
    assert not (tmp_path / "data" / "gateway.sqlite3").exists()


def wait_until_ready(up):
    for _ in range(PATIENCE_SECONDS * 2):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{up.port}/readyz", timeout=5) as response:
                if response.status == 200:
                    return
        except OSError:
            threading.Event().wait(0.5)
    raise AssertionError(up.text)
