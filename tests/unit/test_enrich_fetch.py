"""Fetching linked pages: what is never reached, how much of a page is read, and what is taken from it.

The pages come from a real server on loopback. Names are resolved by a table to addresses of the open internet, and a
connection to one of those is led to that server: so what is refused is refused by what the table says, as outside.
"""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from egregora.errors import PrivacyError
from egregora.pipeline.stage import PrivacyPass, StageContext
from egregora.stages.enrich_fetch import MOST_BYTES, Fetched, FetchError, Web, fetch, is_open_internet

OPEN = "93.184.216.34"
CERTIFICATE = Path(__file__).parents[1] / "pages_example.pem"
PASS = PrivacyPass("r", "default")


class Allowed(StageContext):
    """A run whose input went through the privacy stage."""

    def privacy_pass(self) -> PrivacyPass:
        return PASS


CONTEXT = Allowed(Path("unused"))
Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer, *, tls: bool = False, **names: list[str]) -> Iterator[tuple[Web, list[str]]]:
    """A server, the web that it is all of, and the hosts and paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.headers['Host']}{self.path}")
            answer(self)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    trusting = ssl.create_default_context()
    if tls:
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own.load_cert_chain(CERTIFICATE)
        server.socket = own.wrap_socket(server.socket, server_side=True)
        trusting.load_verify_locations(CERTIFICATE)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    table = {"pages.example": [OPEN], **{name.replace("_", "."): found for name, found in names.items()}}

    def resolve(host: str, port: int) -> list[str]:
        if host not in table:
            raise socket.gaierror("no such name")
        return table[host]

    def connect(address: str, port: int, timeout: float) -> socket.socket:
        assert is_open_internet(address)
        return socket.create_connection(server.server_address[:2], timeout)

    try:
        yield Web(resolve, connect, trusting), asked
    finally:
        server.shutdown()
        server.server_close()


def page(body: bytes, *, status: int = 200, kind: str = "text/html; charset=utf-8", **headers: str) -> Answer:
    """Answers with this page."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


HTML = """<html><head><title>Larch &amp; oak</title><meta name="description" content=" Planks
for boats. "></head><body><nav>Menu</nav><script>alert('no')</script><p>Air-dried,<br>24 mm.</p></body></html>"""
TAKEN = Fetched("Larch & oak", "Planks for boats.", "Air-dried, 24 mm.")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "198.18.0.1"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.2.1", "203.0.113.9", "192.88.99.1"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
        *("2002:7f00:1::", "2002:a00:1::1", "2001:0:1::1", "::127.0.0.1", "64:ff9b:1::a00:1", "localhost", ""),
    ],
)
def test_addresses_that_are_not_of_the_open_internet(address: str) -> None:
    """This machine, its network, its provider's, documentation's, metadata services, and IPv4 of these within IPv6."""
    assert not is_open_internet(address)


@pytest.mark.parametrize("address", [OPEN, "8.8.8.8", "1.1.1.1", "2606:4700::1111", "2001:4860:4860::8888"])
def test_addresses_of_the_open_internet(address: str) -> None:
    """Ordinary servers are reached."""
    assert is_open_internet(address)


@pytest.mark.parametrize("tls", [False, True])
def test_a_page_is_taken_apart(tls: bool) -> None:
    """Title, description and text, without scripts and menus; over TLS with the certificate of the name."""
    with serving(page(HTML.encode()), tls=tls) as (web, asked):
        scheme = "https" if tls else "http"
        assert fetch(PASS, CONTEXT, f"{scheme}://pages.example/a/b?c=d&e=f#g", web) == TAKEN
    assert asked == ["pages.example/a/b?c=d&e=f"]


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("http://trap.example/", {"trap_example": ["127.0.0.1"]}),
        ("http://trap.example/", {"trap_example": [OPEN, "10.0.0.7"]}),
        ("http://trap.example/", {"trap_example": ["::ffff:169.254.169.254"]}),
        ("http://pages.example:8080/", {}),
        ("http://user:word@pages.example/", {}),
        ("ftp://pages.example/", {}),
        ("file:///etc/passwd", {}),
        ("http:///nowhere", {}),
        ("http://pages.example:99999/", {}),
        ("http://pages.example/a b", {}),
        ("http://pages.example/a\r\nX: y", {}),
    ],
)
def test_what_is_never_asked_for(url: str, names: dict[str, list[str]]) -> None:
    """A name that stands for anything closed, a port, a user name, another scheme: no connection is made, for good."""
    with serving(page(HTML.encode()), **names) as (web, asked), pytest.raises(FetchError) as raised:
        fetch(PASS, CONTEXT, url, web)
    assert (raised.value.lasting, asked) == (True, [])


def test_the_address_that_was_checked_is_the_one_that_is_reached() -> None:
    """A name that means something else a moment later leads nowhere else: it is asked for once."""
    answers = iter([[OPEN], ["127.0.0.1"]])
    with serving(page(HTML.encode())) as (web, _):
        changing = Web(lambda host, port: next(answers), web.connect, web.tls)
        assert fetch(PASS, CONTEXT, "http://pages.example/", changing) == TAKEN


@pytest.mark.parametrize(
    "target", ["http://trap.example/", "//trap.example/x", "http://127.0.0.1/", "http://[::1]/", "http://2130706433/"]
)
def test_a_redirect_begins_anew(target: str) -> None:
    """An open server can't send one to a closed one."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        page(b"", status=302, Location=target)(handler)

    names = {"trap_example": ["192.168.0.1"]}
    with serving(answer, **names) as (web, asked):
        numeric = Web(lambda h, p: ["127.0.0.1"] if h[0].isdigit() or ":" in h else web.resolve(h, p), web.connect)
        with pytest.raises(FetchError, match="isn't on the open web"):
            fetch(PASS, CONTEXT, "http://pages.example/", numeric)
    assert asked == ["pages.example/"]


def test_redirects_are_followed_and_end() -> None:
    """Five at the most, relative ones too."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        number = int(handler.path.strip("/") or 0)
        if number == 5:
            page(HTML.encode())(handler)
        else:
            page(b"", status=301, Location=f"/{number + 1}")(handler)

    with serving(answer) as (web, asked):
        assert fetch(PASS, CONTEXT, "http://pages.example/", web) == TAKEN
        with pytest.raises(FetchError, match="redirects more than 5 times"):
            fetch(PASS, CONTEXT, "http://pages.example/-1", web)
    assert len(asked) == 12


@pytest.mark.parametrize(
    ("answer", "lasting"),
    [
        (page(b"", status=404), True),
        (page(b"", status=410), True),
        (page(b"", status=500), False),
        (page(b"", status=429), False),
        (page(b"%PDF", kind="application/pdf"), True),
        (page(b"x", kind=""), True),
        (page(b"", status=302), True),
        (page(b"x", Content_Encoding="br"), True),
        (page(b"no gzip", Content_Encoding="gzip"), False),
        (lambda handler: None, False),
        (lambda handler: handler.wfile.write(b"nonsense\r\n\r\n"), False),
    ],
)
def test_what_is_no_page(answer: Answer, lasting: bool) -> None:
    """Errors, other files and nonsense are told apart by whether it is worth trying again."""
    with serving(answer) as (web, _), pytest.raises(FetchError) as raised:
        fetch(PASS, CONTEXT, "http://pages.example/", web)
    assert raised.value.lasting == lasting


@pytest.mark.parametrize("packed", [False, True])
def test_only_so_much_is_read(packed: bool) -> None:
    """An endless page, or one that unpacks to gigabytes, is read in part."""
    body = HTML.encode() + b"<p>" + b"word " * (4 << 20 if packed else MOST_BYTES)
    answer = page(gzip.compress(body, 1), Content_Encoding="gzip") if packed else page(body)
    with serving(answer) as (web, _):
        began = time.monotonic()
        found = fetch(PASS, CONTEXT, "http://pages.example/", web)
    assert (found.title, len(found.text) <= 6000, time.monotonic() - began < 5) == ("Larch & oak", True, True)


@pytest.mark.parametrize("tls", [False, True])
def test_a_page_that_drips_is_given_up(tls: bool) -> None:
    """Each byte comes in time and the page never ends: after the time for the whole it is over."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.end_headers()
        with suppress(OSError):
            for _ in range(30):
                handler.wfile.write(b"x")
                handler.wfile.flush()
                time.sleep(0.1)

    with serving(answer, tls=tls) as (web, _):
        began = time.monotonic()
        with pytest.raises(FetchError) as raised:
            fetch(PASS, CONTEXT, f"http{'s' * tls}://pages.example/", replace(web, longest_s=0.6))
        took = time.monotonic() - began
    assert (took < 3, raised.value.lasting) == (True, False)


def test_a_resolver_that_hangs_is_given_up() -> None:
    """Looking up a name counts as well."""
    hanging = Web(lambda host, port: time.sleep(5) or [OPEN], longest_s=0.2)
    began = time.monotonic()
    with pytest.raises(FetchError, match="its name isn't known"):
        fetch(PASS, CONTEXT, "http://pages.example/", hanging)
    assert time.monotonic() - began < 2


def test_a_certificate_of_another_name_is_refused() -> None:
    """The name in the link is the one that the server has to prove."""
    with (
        serving(page(HTML.encode()), tls=True, other_example=[OPEN]) as (web, asked),
        pytest.raises(FetchError, match="SSLCertVerificationError"),
    ):
        fetch(PASS, CONTEXT, "https://other.example/", web)
    assert asked == []


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        ("Olá, é aqui".encode("latin-1"), "text/plain; charset=ISO-8859-1", Fetched("", "", "Olá, é aqui")),
        ("<meta charset='iso-8859-1'><title>é</title>".encode("latin-1"), "text/html", Fetched("é", "", "")),
        (b"<title>a", "text/html; charset=no-such-thing", Fetched("a", "", "")),
        ("<title>a\u202e\u200b\x07b</title>".encode(), "text/html", Fetched("a b", "", "")),
        (
            b'<meta property="og:title" content="Own"><title>Other</title><meta name="description" content="d">',
            "text/html",
            Fetched("Own", "d", ""),
        ),
        (b"<svg><script></svg>x<p>y", "text/html", Fetched("", "", "")),
        (b"<!--" + b"<" * 100_000, "text/html", Fetched("", "", "")),
    ],
)
def test_what_a_page_says(body: bytes, kind: str, expected: Fetched) -> None:
    """Any charset, invisible characters, broken markup: always plain text in one line."""
    with serving(page(body, kind=kind)) as (web, _):
        assert fetch(PASS, CONTEXT, "http://pages.example/", web) == expected


def test_nothing_is_fetched_without_the_pass_of_the_run() -> None:
    """A stage whose input isn't protected has no pass, and a made-up one isn't taken."""
    with serving(page(HTML.encode())) as (web, asked):
        for permit, context in [
            (None, CONTEXT),
            (PrivacyPass("other", "default"), CONTEXT),
            (PASS, StageContext(Path())),
        ]:
            with pytest.raises(PrivacyError):
                fetch(permit, context, "http://pages.example/", web)  # type: ignore[arg-type]
    assert asked == []
