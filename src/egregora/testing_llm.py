"""A model that says what a script tells it to: an HTTP server on loopback that speaks OpenAI's chat protocol.

For tests and measurements, without mocks: whatever asks a model asks this one over a real connection, with
`base_url = server.base_url` and any name of a model. What it was asked can be read afterwards.

    def script(asked: Asked) -> Reply:
        return Reply({"title": "…"}) if asked.number < 57 else Reply(status=500)

    with ScriptedServer(script) as server:
        ...
        assert len(server.asked) == 57
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

__all__ = ["Asked", "Reply", "ScriptedServer", "filled"]

LARGEST_REQUEST = 32 << 20
"""Requests with a larger body than this, in bytes, are refused."""


@dataclass(frozen=True)
class Asked:
    """One request as it came.

    Attributes:
        number: Which one it is, from 1.
        path: Such as `/v1/chat/completions`.
        headers: By name in lower case; `authorization` is among them.
        body: The request, decoded.
        at: When it came, in seconds of the monotonic clock.
    """

    number: int
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    at: float

    @property
    def model(self) -> str:
        """Name of the model that was asked."""
        return str(self.body.get("model", ""))

    @property
    def instructions(self) -> str:
        """The text of `system` and `developer` messages."""
        return self._said("system", "developer")

    @property
    def prompt(self) -> str:
        """The text of `user` messages: after a reply that was sent back, also what was wrong with it."""
        return self._said("user")

    @property
    def text(self) -> str:
        """All that was sent, as JSON without escapes of letters: for searching it."""
        return json.dumps(self.body, ensure_ascii=False)

    @property
    def images(self) -> list[str]:
        """Addresses of pictures, mostly `data:image/jpeg;base64,…`."""
        parts = [part for message in self.body.get("messages", ()) for part in _parts(message)]
        return [part["image_url"]["url"] for part in parts if part.get("type") == "image_url"]

    @property
    def again(self) -> bool:
        """Whether an earlier reply in this conversation was sent back."""
        return any(message.get("role") == "assistant" for message in self.body.get("messages", ()))

    @property
    def tool(self) -> str | None:
        """Name of the tool that takes the structured reply; None if it is wanted as text or by `response_format`."""
        tools = self.body.get("tools") or ()
        return str(tools[0]["function"]["name"]) if tools else None

    @property
    def schema(self) -> dict[str, Any] | None:
        """JSON schema of the structured reply that is wanted, if one is."""
        if tools := self.body.get("tools"):
            return dict(tools[0]["function"]["parameters"])
        wanted = self.body.get("response_format") or {}
        return dict(wanted["json_schema"]["schema"]) if wanted.get("type") == "json_schema" else None

    def _said(self, *roles: str) -> str:
        messages = [message for message in self.body.get("messages", ()) if message.get("role") in roles]
        return "\n\n".join(part["text"] for message in messages for part in _parts(message) if "text" in part)


def _parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return list(content or ())


@dataclass(frozen=True)
class Reply:
    """What the server answers with.

    Examples: `Reply({"title": "…"})`, `Reply("text")`, `Reply(delay=1.0)`, `Reply(status=500)`, `Reply(status=401)`,
    `Reply(status=429, headers={"Retry-After": "1"})`, `Reply("cut o", finish="length")`,
    `Reply(finish="content_filter")`, `Reply(refusal="I can't help with that.")`, `Reply(raw=b"<html>")`,
    `Reply(delay=3600)` for a server that hangs.

    Attributes:
        content: A structured reply, or text as it stands, valid or not; None: one that the schema allows.
        status: HTTP status; from 400 on an error is sent in place of the reply.
        headers: Further HTTP headers.
        finish: `finish_reason`; by itself `tool_calls` or `stop`.
        refusal: The model's refusal, sent in place of `content`.
        raw: Bytes sent as the whole body.
        delay: Seconds to wait before answering.
        input_tokens, output_tokens: Usage to tell; None: one for each four characters.
    """

    content: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    finish: str | None = None
    refusal: str | None = None
    raw: bytes | None = None
    delay: float = 0.0
    input_tokens: int | None = None
    output_tokens: int | None = None


class ScriptedServer:
    """The server. Use it as a context manager; it listens until that ends, or `lifetime` seconds are over.

    Args:
        script: Told a request, says what to answer: a `Reply`, or its content alone. It is called from several threads.
            An exception in it is answered with status 500 and raised again when the context ends. None: valid nonsense.
        most_requests: Requests beyond this many are answered with status 503, so that nothing goes round in circles.
        lifetime: Seconds after which it stops by itself.

    Attributes:
        asked: The requests, in the order in which they came.
        at_once: The most requests that were being answered at one time.
    """

    def __init__(
        self, script: Callable[[Asked], Any] | None = None, *, most_requests: int = 2000, lifetime: float = 300.0
    ) -> None:
        self.asked: list[Asked] = []
        self.at_once = 0
        self._script = script or (lambda asked: Reply())
        self._most = most_requests
        self._lifetime = lifetime
        self._now = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._problem: BaseException | None = None

    @property
    def base_url(self) -> str:
        """What a client is given as the address of the API."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/v1"

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # One packet for a reply: head and body apart would wait for each other for 40 ms.
            wbufsize = -1
            disable_nagle_algorithm = True
            timeout = 60

            def do_POST(self) -> None:
                outer._answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's name)
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self._timer = threading.Timer(self._lifetime, self._stop)
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._timer.cancel()
        self._stop()
        if self._problem is not None and error is None:
            raise self._problem

    def _stop(self) -> None:
        if not self._ended.is_set():
            self._ended.set()
            self._server.shutdown()
            self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        if length > LARGEST_REQUEST:
            handler.close_connection = True
            return _send(handler, Reply(status=413), b"{}")
        received = handler.rfile.read(length)
        with self._lock:
            self._now += 1
            self.at_once = max(self.at_once, self._now)
        try:
            reply, body = self._decided(handler, received)
        finally:
            with self._lock:
                self._now -= 1
        if self._ended.is_set():
            handler.close_connection = True
            return None
        return _send(handler, reply, body)

    def _decided(self, handler: BaseHTTPRequestHandler, received: bytes) -> tuple[Reply, bytes]:
        """The reply to a request, after its delay, and its body."""
        try:
            body = json.loads(received)
        except ValueError:
            return _failed(400, "the request is no JSON")
        with self._lock:
            headers = {name.lower(): value for name, value in handler.headers.items()}
            asked = Asked(len(self.asked) + 1, handler.path, headers, body, time.monotonic())
            self.asked.append(asked)
        if asked.number > self._most:
            return _failed(503, f"more than {self._most} requests")
        if not handler.path.endswith("/chat/completions"):
            return _failed(404, f"there is nothing at {handler.path}")
        if body.get("stream"):
            return _failed(400, "this server doesn't stream")
        try:
            said = self._script(asked)
            reply = said if isinstance(said, Reply) else Reply(said)
            answer = _completion(asked, reply)
        except Exception as error:  # noqa: BLE001 (told by whoever ends the context, whatever it is)
            self._problem = self._problem or error
            return _failed(500, f"the script failed: {type(error).__name__}")
        self._ended.wait(reply.delay)
        return reply, answer


def _failed(status: int, message: str) -> tuple[Reply, bytes]:
    return Reply(status=status), json.dumps({"error": {"message": message, "type": "scripted"}}).encode()


def _completion(asked: Asked, reply: Reply) -> bytes:
    """A reply as the protocol has it."""
    if reply.raw is not None:
        return reply.raw
    if reply.status >= 400:
        why = reply.content if isinstance(reply.content, str) else f"scripted failure {reply.status}"
        return _failed(reply.status, why)[1]
    content = reply.content
    if content is None:
        content = filled(asked.schema) if asked.schema else "Nothing to say."
    if hasattr(content, "model_dump"):
        content = content.model_dump(mode="json")
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    finish = "stop"
    if reply.refusal is not None:
        message |= {"content": None, "refusal": reply.refusal}
    elif reply.finish == "content_filter":
        message["content"] = None
    elif asked.tool is not None:
        function = {"name": asked.tool, "arguments": text}
        call = {"id": f"call_{asked.number}", "type": "function", "function": function}
        message |= {"content": None, "tool_calls": [call]}
        finish = "tool_calls"
    sent = len(asked.text) // 4 if reply.input_tokens is None else reply.input_tokens
    made = len(text) // 4 if reply.output_tokens is None else reply.output_tokens
    answer = {
        "id": f"chatcmpl-{asked.number}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": asked.model,
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish or finish}],
        "usage": {"prompt_tokens": sent, "completion_tokens": made, "total_tokens": sent + made},
    }
    return json.dumps(answer, ensure_ascii=False).encode()


def _send(handler: BaseHTTPRequestHandler, reply: Reply, body: bytes) -> None:
    try:
        handler.send_response(reply.status)
        kind = "application/json" if reply.raw is None else "application/octet-stream"
        for name, value in {"Content-Type": kind, **reply.headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
        handler.wfile.flush()
    except OSError:
        # The client gave up waiting.
        handler.close_connection = True


def filled(schema: Mapping[str, Any]) -> Any:
    """The plainest value that a JSON schema allows, for those who care for the plumbing and not for what is said."""
    return _filled(schema, schema.get("$defs") or {})


def _filled(schema: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        return _filled(known[schema["$ref"].rpartition("/")[2]], known)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return _filled(schema[word][0], known)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        wanted = schema.get("required", ())
        return {name: _filled(value, known) for name, value in schema.get("properties", {}).items() if name in wanted}
    if kind == "array":
        return [_filled(schema.get("items") or {}, known) for _ in range(schema.get("minItems", 0))]
    if kind == "string":
        return ("nonsense" + "x" * schema.get("minLength", 0))[: schema.get("maxLength", 1000)]
    if kind in ("integer", "number"):
        return schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    return {"boolean": False, "null": None}.get(str(kind), "nonsense")
