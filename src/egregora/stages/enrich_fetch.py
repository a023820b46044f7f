"""Fetching a page that somebody linked to: from the open web and from nowhere else, quickly, and never much of it.

A link in a chat is written by whoever wants to. So a name is resolved once, every address that it stands for must be
one of the open internet, the connection goes to the very address that was looked at, and a redirect begins anew.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from egregora.errors import EgregoraError, PrivacyError
from egregora.pipeline.stage import PrivacyPass, StageContext

__all__ = ["FetchError", "Fetched", "Web", "fetch", "is_open_internet"]

MOST_BYTES: Final = 512 << 10
"""Bytes of a page that are read, unpacked: what it is about stands at its beginning."""
MOST_REDIRECTS: Final = 5
MOST_TEXT: Final = 6000
"""Characters of a page's text that are kept."""
_LONGEST_LINE: Final = 300
_KINDS: Final = ("text/html", "application/xhtml+xml", "text/plain")
_PORTS: Final = {"http": 80, "https": 443}
_AGENT: Final = "Egregora (says what a shared link is about)"


class FetchError(EgregoraError):
    """A page can't be fetched. `lasting` says whether it would be of no use to try again."""

    def __init__(self, message: str, *, lasting: bool) -> None:
        super().__init__(message)
        self.lasting = lasting


class Fetched(NamedTuple):
    """A page: its own title and description, and the beginning of its text; each may be empty. Plain text."""

    title: str
    description: str
    text: str


# -- where it may go ---------------------------------------------------------------------------------------------------

_NEVER: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8",
            "100.64.0.0/10",  # shared by a provider's customers; Alibaba's metadata
            "168.63.129.16/32",  # Azure's, from inside
            "192.0.0.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "240.0.0.0/4",
            "fec0::/10",
        ),
    )
)
# IPv6 addresses that hold one of IPv4, which a gateway may send them on to: the network, and the bit where it begins.
_EMBEDDING: Final = (
    (ipaddress.IPv6Network("64:ff9b::/96"), 96),
    (ipaddress.IPv6Network("64:ff9b:1::/48"), 96),
    (ipaddress.IPv6Network("2002::/16"), 16),
    (ipaddress.IPv6Network("::/96"), 96),
)


def is_open_internet(address: str) -> bool:
    """Whether an address is one that everybody reaches alike, and not of this machine, its network or its provider."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_open_internet(str(ip.ipv4_mapped))
        if ip.teredo is not None or ip.scope_id:
            return False
        for network, bit in _EMBEDDING:
            if ip in network and ip not in (ipaddress.IPv6Address("::"), ipaddress.IPv6Address("::1")):
                inside = ipaddress.IPv4Address((int(ip) >> (128 - bit - 32)) & 0xFFFFFFFF)
                return is_open_internet(str(inside))
    if not ip.is_global or ip.is_private or ip.is_multicast or ip.is_reserved or ip.is_unspecified:
        return False
    return not any(ip in network for network in _NEVER if network.version == ip.version)


def _resolve(host: str, port: int) -> list[str]:
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def _connect(address: str, port: int, timeout: float) -> socket.socket:
    return socket.create_connection((address, port), timeout)


@dataclass(frozen=True)
class Web:
    """How names are resolved and connections made; another one leads to a network of one's own.

    Attributes:
        resolve: All addresses of a host.
        connect: Opens a connection to an address and a port, within so many seconds.
        tls: What servers are trusted by.
        longest_s: Seconds that a page may take, with all its redirects.
    """

    resolve: Callable[[str, int], list[str]] = _resolve
    connect: Callable[[str, int, float], socket.socket] = _connect
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    longest_s: float = 10.0


# -- fetching ----------------------------------------------------------------------------------------------------------


def fetch(permit: PrivacyPass, context: StageContext, url: str, web: Web | None = None) -> Fetched:
    """Fetch a page that a link leads to.

    Args:
        permit: The pass of the run that asks: the link went through the privacy stage.
        url: `http` or `https`.

    Raises:
        PrivacyError: the pass isn't that run's, or it has none.
        FetchError: it isn't a page of the open web, or can't be had.
    """
    if permit is None or permit != context.privacy_pass():
        raise PrivacyError(
            "this is not the pass of the run that wants to fetch something", hint="pass on context.privacy_pass()"
        )
    web = web or Web()
    until = time.monotonic() + web.longest_s
    for _ in range(MOST_REDIRECTS + 1):
        found = _one(url, web, until)
        if isinstance(found, Fetched):
            return found
        url = found
    raise FetchError(f"it redirects more than {MOST_REDIRECTS} times", lasting=True)


def _one(url: str, web: Web, until: float) -> Fetched | str:
    """A page, or the address that it redirects to."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
        host = (parts.hostname or "").encode("idna").decode()
    except (ValueError, UnicodeError):
        raise FetchError("the address can't be read", lasting=True) from None
    if parts.scheme not in _PORTS or not host or "@" in parts.netloc:
        raise FetchError("it is no address of the web", lasting=True)
    if port != _PORTS[parts.scheme]:
        raise FetchError("the address has a port of its own", lasting=True)
    address = _checked(host, port, web, until)
    target = parts.path or "/"
    if re.search(r"[^\x21-\x7e]", target + parts.query):
        raise FetchError("the address can't be read", lasting=True)
    try:
        plain = web.connect(address, port, _left(until))
    except OSError as error:
        raise FetchError(f"its server can't be reached ({type(error).__name__})", lasting=False) from None
    # Each byte may come in time and the whole never end: at the end of the time the connection is closed from here.
    opened = [plain]
    closing = threading.Timer(_left(until), _shut, (opened,))
    closing.daemon = True
    closing.start()
    try:
        if parts.scheme == "https":
            # It takes the place of the plain one, which is no connection any more.
            secure = web.tls.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
            opened[0] = secure
            secure.do_handshake()
        found = _spoken(opened[0], host, f"{target}?{parts.query}" if parts.query else target, url)
        # What was cut off by closing the connection looks like what had an end.
        _left(until)
        return found
    except FetchError:
        raise
    except (OSError, HTTPException, ValueError, zlib.error) as error:
        _left(until - 0.05)
        raise FetchError(f"it can't be read ({type(error).__name__})", lasting=False) from None
    finally:
        closing.cancel()
        opened[0].close()


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise FetchError("it took too long", lasting=False)
    return left


def _shut(opened: list[socket.socket]) -> None:
    with suppress(OSError):
        # Not the method of a secure connection, which would have to wait for whoever reads from it.
        socket.socket.shutdown(opened[0], socket.SHUT_RDWR)


def _checked(host: str, port: int, web: Web, until: float) -> str:
    """The address to connect to. Every one that the name stands for must be open, or the name is a trap."""
    found: list[list[str]] = []

    def look_up() -> None:
        with suppress(OSError, UnicodeError):
            found.append(web.resolve(host, port))

    # A resolver can't be told how long it may take; a thread can be left behind.
    asking = threading.Thread(target=look_up, daemon=True)
    asking.start()
    asking.join(_left(until))
    if not found or not found[0]:
        raise FetchError("its name isn't known", lasting=False)
    if not all(map(is_open_internet, found[0])):
        raise FetchError("it isn't on the open web", lasting=True)
    return found[0][0]


def _spoken(connection: socket.socket, host: str, target: str, url: str) -> Fetched | str:
    """Ask for a page over a connection that is open."""
    speaking = HTTPConnection(host)
    speaking.sock = connection
    speaking.request(
        "GET",
        target,
        headers={
            "User-Agent": _AGENT,
            "Accept": "text/html, text/plain;q=0.5",
            "Accept-Encoding": "identity",
            "Connection": "close",
        },
    )
    response = speaking.getresponse()
    if response.status in (301, 302, 303, 307, 308):
        location = response.getheader("Location")
        if not location:
            raise FetchError("it redirects to nowhere", lasting=True)
        return urljoin(url, location)
    if response.status != 200:
        raise FetchError(f"its server answers {response.status}", lasting=response.status in (403, 404, 410, 451))
    kind, _, more = (response.getheader("Content-Type") or "").lower().partition(";")
    if kind.strip() not in _KINDS:
        raise FetchError(f"it is no page but {kind.strip()[:60] or 'unknown'}", lasting=True)
    charset = re.search(r"charset=\"?([\w.:-]{1,40})", more)
    text = _decoded(_body(response), charset[1] if charset else "")
    return Fetched("", "", _plain(text, MOST_TEXT)) if kind.strip() == "text/plain" else _page(text)


def _body(response: HTTPResponse) -> bytes:
    packed = (response.getheader("Content-Encoding") or "identity").lower()
    data = response.read(MOST_BYTES)
    if packed in ("gzip", "deflate"):
        # Not asked for, but sent all the same. A few bytes may stand for gigabytes: only so much is unpacked.
        return zlib.decompressobj(47 if packed == "gzip" else 15).decompress(data, MOST_BYTES)
    if packed != "identity":
        raise FetchError(f"it is packed as {packed[:20]}", lasting=True)
    return data


def _decoded(data: bytes, charset: str) -> str:
    if not charset:
        declared = re.search(rb"<meta[^>]{0,200}charset=[\"']?([\w.:-]{1,40})", data[:2048], re.IGNORECASE)
        charset = declared[1].decode("ascii") if declared else "utf-8"
    try:
        return data.decode(charset, "replace")
    except LookupError:
        return data.decode("utf-8", "replace")


# -- what it says ------------------------------------------------------------------------------------------------------


class _Reader(HTMLParser):
    """Title, description and text of a page."""

    _SKIPPED = frozenset(("script", "style", "noscript", "template", "svg", "nav", "header", "footer", "form", "aside"))
    _NAMES: Final = {"og:title": "title", "og:description": "description", "description": "description"}

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.own = {"title": "", "description": ""}
        self.titles: list[str] = []
        self.texts: list[str] = []
        self._skipping: list[str] = []
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "meta":
            said = {name: value or "" for name, value in attrs}
            key = self._NAMES.get((said.get("property") or said.get("name") or "").lower())
            if key and not self.own[key]:
                self.own[key] = said.get("content", "")
        elif tag == "title":
            self._in_title = True
        elif tag in self._SKIPPED:
            self._skipping.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag in self._skipping:
            while self._skipping.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.titles.append(data)
        elif not self._skipping:
            self.texts.append(data)


def _page(text: str) -> Fetched:
    reader = _Reader()
    reader.feed(text)
    title = reader.own["title"] or "".join(reader.titles)
    return Fetched(
        _plain(title, _LONGEST_LINE),
        _plain(reader.own["description"], _LONGEST_LINE),
        _plain(" ".join(reader.texts), MOST_TEXT),
    )


def _plain(text: str, longest: int) -> str:
    """One line without characters that can't be seen, cut at a word."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= longest else line[:longest].rpartition(" ")[0] + "…"
