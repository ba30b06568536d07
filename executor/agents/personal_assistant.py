"""A personal assistant on any OpenAI-compatible endpoint; says plainly when it is not configured.

Settings of the agent type: ``base_url``, ``model``, ``instructions``, ``request_seconds``. The key comes
from the environment variable ``OPENAI_API_KEY`` (and the address from ``OPENAI_BASE_URL``, if it is set).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import requests

from gateway.errors import AgentNotConfigured, Retryable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.context import Context

RETRYABLE_STATUSES = {408, 409, 429, 500, 502, 503, 504}
CONNECT_SECONDS = 10


def run(ctx: Context) -> str:
    """Answer the task's description; the answer is streamed as text and returned."""
    key, base_url, model = _endpoint(ctx)
    body = {
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "system", "content": ctx.settings["instructions"]},
            {"role": "user", "content": ctx.description},
        ],
    }
    with ctx.step("llm", model, input=body["messages"]) as step:
        answer = ""
        for piece in _stream(ctx, f"{base_url}/chat/completions", key, body):
            ctx.raise_if_cancelled()
            if usage := piece.get("usage"):
                step.usage(
                    input_tokens=usage.get("prompt_tokens", 0),
                    output_tokens=usage.get("completion_tokens", 0),
                    model=model,
                )
            for choice in piece.get("choices", []):
                text = (choice.get("delta") or {}).get("content") or ""
                answer += text
                if text:
                    step.text(text)
        step.output = answer
    if not answer:
        raise Retryable("The model answered nothing.", hint="Try again, or check the model's name.")
    return answer


def _endpoint(ctx: Context) -> tuple[str, str, str]:
    key = os.environ.get("OPENAI_API_KEY", "")
    base_url = os.environ.get("OPENAI_BASE_URL") or str(ctx.settings.get("base_url") or "")
    model = os.environ.get("OPENAI_MODEL") or str(ctx.settings.get("model") or "")
    missing = [
        name
        for name, value in (("OPENAI_API_KEY", key), ("OPENAI_BASE_URL", base_url), ("OPENAI_MODEL", model))
        if not value
    ]
    if missing:
        raise AgentNotConfigured(
            f"The personal assistant has no model to talk to: {', '.join(missing)} not set.",
            hint="Set OPENAI_API_KEY, OPENAI_BASE_URL and OPENAI_MODEL (any OpenAI-compatible endpoint) "
            "where Gateway is started or in .env, and start it again.",
        )
    return key, base_url.rstrip("/"), model


def _stream(ctx: Context, url: str, key: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    try:
        with requests.post(
            url,
            json=body,
            headers={"Authorization": f"Bearer {key}"},
            stream=True,
            timeout=(CONNECT_SECONDS, float(ctx.settings["request_seconds"])),
        ) as response:
            _refuse(response, key)
            for line in response.iter_lines():
                data = line.decode("utf-8", "replace").removeprefix("data:").strip()
                if data == "[DONE]":
                    return
                if data.startswith("{"):
                    yield json.loads(data)
    except (requests.RequestException, ValueError) as exc:
        raise Retryable(
            f"The model's endpoint {url} failed: {type(exc).__name__}.",
            hint="Check OPENAI_BASE_URL and the network.",
        ) from exc


def _refuse(response: requests.Response, key: str) -> None:
    if response.ok:
        return
    told = response.text[:500].replace(key, "•••")
    if response.status_code in (401, 403):
        raise AgentNotConfigured(
            f"The model's endpoint refused the key ({response.status_code}).",
            hint="Set a valid OPENAI_API_KEY.",
        )
    if response.status_code in RETRYABLE_STATUSES:
        raise Retryable(f"The model's endpoint answered {response.status_code}: {told}")
    raise RuntimeError(f"The model's endpoint answered {response.status_code}: {told}")
