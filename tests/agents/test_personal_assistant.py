"""The personal assistant, against a real HTTP server that speaks like an OpenAI-compatible endpoint."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from executor.agents.personal_assistant import run
from gateway.context import AgentWorkspace, Assignment, Context
from gateway.errors import AgentNotConfigured, Cancelled, Retryable

CONFIG = Path(__file__).resolve().parents[2] / "config" / "agents" / "personal_assistant.yaml"


class Recorder:
    """A channel that keeps what the agent says."""

    def __init__(self):
        self.events = []
        self.cancelled = False

    def emit(self, event):
        self.events.append(event)

    def request(self, event):
        raise AssertionError("the assistant keeps no files")

    def of(self, kind):
        return [event for event in self.events if event["type"] == kind]


class Endpoint(BaseHTTPRequestHandler):
    """Answers each request with what the test has put into ``server.answer``."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), json.loads(body)))
        status, lines = self.server.answer
        self.send_response(status)
        self.end_headers()
        for line in lines:
            self.wfile.write(line.encode() + b"\n\n")
            self.wfile.flush()

    def log_message(self, *args):
        """Stay quiet."""


@pytest.fixture
def endpoint(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.requests = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-test")
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1/")
    monkeypatch.setenv("OPENAI_MODEL", "small-one")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def assistant(tmp_path):
    """The assistant's context with the settings it ships with, and what it says."""
    channel = Recorder()
    assignment = Assignment(
        task_id="t",
        trace_id="r",
        description="你好",
        input=None,
        settings=yaml.safe_load(CONFIG.read_text())["settings"],
        workspace=AgentWorkspace("user_001", tmp_path),
        attempt=1,
        deadline=None,
        labels={},
        checkpoint=None,
    )
    return Context(assignment, channel), channel


def chunk(text):
    return "data: " + json.dumps({"choices": [{"delta": {"content": text}}]}, ensure_ascii=False)


def test_without_a_model_it_says_what_is_missing_and_what_to_do(assistant, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(AgentNotConfigured) as refused:
        run(assistant[0])

    assert "OPENAI_API_KEY, OPENAI_BASE_URL, OPENAI_MODEL not set" in refused.value.message
    assert ".env" in refused.value.hint


def test_it_streams_the_answer_returns_it_and_counts_its_tokens(assistant, endpoint):
    usage = {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}
    endpoint.answer = (200, [chunk("你"), chunk("好！"), f"data: {json.dumps(usage)}", "data: [DONE]"])

    answer = run(assistant[0])

    assert answer == "你好！"
    assert [event["text"] for event in assistant[1].of("text")] == ["你", "好！"]
    [ended] = assistant[1].of("step.end")
    assert ended["output"] == "你好！"
    assert ended["usage"] == {"input_tokens": 12, "output_tokens": 3, "model": "small-one"}
    path, headers, body = endpoint.requests[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer sk-secret-of-the-test"
    assert body["messages"][-1] == {"role": "user", "content": "你好"}
    assert body["stream"] is True


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_endpoint_is_worth_another_attempt(assistant, endpoint, status):
    endpoint.answer = (status, ["slow down"])

    with pytest.raises(Retryable, match=str(status)):
        run(assistant[0])


def test_a_refused_key_is_a_matter_of_configuration_and_is_not_shown(assistant, endpoint):
    endpoint.answer = (401, ["wrong key sk-secret-of-the-test"])

    with pytest.raises(AgentNotConfigured) as refused:
        run(assistant[0])

    assert "sk-secret" not in str(refused.value)


def test_another_refusal_is_told_without_the_key(assistant, endpoint):
    endpoint.answer = (400, ["no such model for sk-secret-of-the-test"])

    with pytest.raises(RuntimeError, match="no such model for •••"):
        run(assistant[0])


def test_an_endpoint_that_is_not_there_is_worth_another_attempt(assistant, endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")

    with pytest.raises(Retryable, match="failed: ConnectionError"):
        run(assistant[0])


@pytest.mark.parametrize("lines", [[], ["data: [DONE]"], ["data: {nonsense"]])
def test_an_answer_of_nothing_or_nonsense_is_worth_another_attempt(assistant, endpoint, lines):
    endpoint.answer = (200, lines)

    with pytest.raises(Retryable):
        run(assistant[0])


def test_it_stops_between_two_pieces_when_it_is_cancelled(assistant, endpoint):
    endpoint.answer = (200, [chunk("one"), chunk("two")])
    assistant[1].cancelled = True

    with pytest.raises(Cancelled):
        run(assistant[0])

    assert assistant[1].of("step.end")[0]["status"] == "interrupted"
