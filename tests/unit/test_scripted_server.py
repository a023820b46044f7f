"""The scripted model: what a real client makes of what it is told to say."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from egregora.testing_llm import Asked, Reply, ScriptedServer, filled

SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 5},
        "posts": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Post"}},
        "why": {"anyOf": [{"type": "null"}, {"type": "string"}]},
        "more": {"type": "integer"},
    },
    "required": ["title", "posts", "why"],
    "$defs": {"Post": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 2}}, "required": ["n"]}},
}
TOOL = {"type": "function", "function": {"name": "final_result", "parameters": SCHEMA}}


def post(server: ScriptedServer, body: Any, *, path: str = "/chat/completions", timeout: float = 10) -> dict[str, Any]:
    data = body if isinstance(body, bytes) else json.dumps({"model": "m", **body}).encode()
    request = urllib.request.Request(server.base_url + path, data, {"Authorization": "Bearer k"})
    with urllib.request.urlopen(request, timeout=timeout) as response:
        return json.loads(response.read())


def said(text: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


def test_what_was_asked_can_be_read() -> None:
    """Instructions, prompt, schema, pictures and key are there as they were sent."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AA=="}}
    with ScriptedServer() as server:
        post(
            server, {"messages": [*said("Olá"), {"role": "user", "content": [{"type": "text", "text": "b"}, picture]}]}
        )
        post(server, {"messages": said("c"), "tools": [TOOL]})
    first, second = server.asked
    assert (first.number, first.model, first.instructions, first.prompt) == (1, "m", "Be brief.", "Olá\n\nb")
    assert (first.images, first.tool, first.schema) == (["data:image/jpeg;base64,AA=="], None, None)
    assert (second.number, second.tool, second.schema, second.again) == (2, "final_result", SCHEMA, False)
    assert first.headers["authorization"] == "Bearer k"
    assert "Olá" in first.text


@pytest.mark.parametrize(
    ("reply", "message", "finish"),
    [
        ("text", {"content": "text", "refusal": None}, "stop"),
        (Reply("cut o", finish="length"), {"content": "cut o", "refusal": None}, "length"),
        (Reply(finish="content_filter"), {"content": None, "refusal": None}, "content_filter"),
        (Reply(refusal="No."), {"content": None, "refusal": "No."}, "stop"),
    ],
)
def test_replies_in_text(reply: Any, message: dict[str, Any], finish: str) -> None:
    """Text, a reply cut off, one that a filter kept back, and a refusal look as the protocol has them."""
    with ScriptedServer(lambda asked: reply) as server:
        choice = post(server, {"messages": said("a")})["choices"][0]
    assert (choice["message"], choice["finish_reason"]) == ({"role": "assistant", **message}, finish)


def test_a_structured_reply_goes_through_the_tool() -> None:
    """Where a tool takes the reply it is called with it; where `response_format` asks for it, it is the content."""
    wanted = {"type": "json_schema", "json_schema": {"name": "r", "schema": SCHEMA}}
    with ScriptedServer() as server:
        called = post(server, {"messages": said("a"), "tools": [TOOL]})["choices"][0]
        content = post(server, {"messages": said("a"), "response_format": wanted})["choices"][0]["message"]["content"]
    function = called["message"]["tool_calls"][0]["function"]
    plain = {"title": "nonse", "posts": [{"n": 2}], "why": None}
    assert (called["finish_reason"], function["name"]) == ("tool_calls", "final_result")
    assert json.loads(function["arguments"]) == json.loads(content) == filled(SCHEMA) == plain


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_failures_have_their_status_and_headers(status: int) -> None:
    """An error is an HTTP error, with what the script says of when to come again."""
    reply = Reply(status=status, headers={"Retry-After": "7"})
    with ScriptedServer(lambda asked: reply) as server, pytest.raises(urllib.error.HTTPError) as raised:
        post(server, {"messages": said("a")})
    assert (raised.value.code, raised.value.headers["Retry-After"]) == (status, "7")


def test_a_body_can_be_anything() -> None:
    """Bytes that are no JSON are sent as they are."""
    with ScriptedServer(lambda asked: Reply(raw=b"<html>")) as server, pytest.raises(json.JSONDecodeError):
        post(server, {"messages": said("a")})


def test_requests_are_bounded() -> None:
    """A client that never stops asking is stopped."""
    with ScriptedServer(most_requests=2) as server:
        post(server, {"messages": said("a")})
        post(server, {"messages": said("a")})
        with pytest.raises(urllib.error.HTTPError, match="503"):
            post(server, {"messages": said("a")})


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [(b"{", "/chat/completions", 400), ({"stream": True}, "/chat/completions", 400), ({}, "/embeddings", 404)],
)
def test_what_it_does_not_speak_is_refused(body: Any, path: str, status: int) -> None:
    """Nothing that a real server would refuse is answered."""
    with ScriptedServer() as server, pytest.raises(urllib.error.HTTPError, match=str(status)):
        post(server, body, path=path)


def test_it_answers_side_by_side_and_counts_that() -> None:
    """Delays don't add up, and how many requests came together is known."""
    with ScriptedServer(lambda asked: Reply("a", delay=0.3)) as server:
        began = time.monotonic()
        threads = [threading.Thread(target=post, args=(server, {"messages": said("a")})) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began < 2
    assert (len(server.asked), server.at_once) == (8, 8)


def test_a_server_that_hangs_still_ends() -> None:
    """Leaving the context ends requests that wait."""
    began = time.monotonic()
    with ScriptedServer(lambda asked: Reply(delay=3600)) as server, pytest.raises(TimeoutError):
        post(server, {"messages": said("a")}, timeout=0.2)
    assert time.monotonic() - began < 5


def test_it_stops_by_itself() -> None:
    """A server that was forgotten is gone after its lifetime."""
    server = ScriptedServer(lifetime=0.1).__enter__()
    time.sleep(0.6)
    with pytest.raises(urllib.error.URLError):
        post(server, {"messages": said("a")})


def test_a_wrong_script_is_told() -> None:
    """An assertion that fails inside the script fails the test."""

    def script(asked: Asked) -> Any:
        raise AssertionError("not what was expected")

    with (
        pytest.raises(AssertionError, match="not what was expected"),
        ScriptedServer(script) as server,
        pytest.raises(urllib.error.HTTPError, match="500"),
    ):
        post(server, {"messages": said("a")})
