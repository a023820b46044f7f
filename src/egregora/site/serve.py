"""A web server for one site, for this machine only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from egregora.errors import EgregoraError, StorageError
from egregora.site.policy import CSP

__all__ = ["open_server", "serve"]

_ADDRESS = "127.0.0.1"
_HOSTS = ("127.0.0.1", "localhost")

# As in the pages, and what only a header can say.
_HEADERS = {
    "Content-Security-Policy": f"{CSP}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-cache",
}


def serve(folder: Path, port: int = 0, *, started: Callable[[str], object]) -> None:
    """Serve `folder` on the loopback address until Ctrl-C.

    Args:
        folder: The site's folder, with an `index.html`.
        port: 0 picks a free one.
        started: Called once with the site's address when requests are answered.

    Raises:
        StorageError: there is no site in the folder.
        EgregoraError: the port is taken, or may not be used.
    """
    with open_server(folder, port) as server:
        started(f"http://{_ADDRESS}:{server.server_address[1]}/")
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def open_server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """The server of `serve`, listening but not yet answering. Raises what `serve` raises."""
    if not (folder / "index.html").is_file():
        raise StorageError(
            "there is no site in this folder yet", hint="make one with: egregora write EXPORT --site DIR"
        )
    try:
        server = ThreadingHTTPServer((_ADDRESS, port), partial(_Handler, directory=str(folder.resolve())))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "no such port"
        raise EgregoraError(f"port {port} can't be used: {reason}", hint="choose another with --port") from error
    server.daemon_threads = True
    return server


class _Handler(SimpleHTTPRequestHandler):
    """Files of one folder and nothing else, each with strict headers."""

    server_version = "Egregora"
    sys_version = ""
    # Our own table: what the machine takes a `.js` for (a registry may say text/plain) must not matter.
    extensions_map: ClassVar[dict[str, str]] = {  # type: ignore[misc]
        "": "application/octet-stream",
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".xml": "application/atom+xml; charset=utf-8",
        ".txt": "text/plain; charset=utf-8",
        ".svg": "image/svg+xml",
        ".jpg": "image/jpeg",
        ".jpeg": "image/jpeg",
        ".png": "image/png",
        ".webp": "image/webp",
        ".gif": "image/gif",
    }

    def send_head(self) -> Any:
        """Answer with a file, or with the site's own 404 page."""
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if host not in _HOSTS:
            # Another site's name that was made to lead here: its pages must not read this one.
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return None
        if not self._is_page():
            return self._not_found()
        return super().send_head()

    def _is_page(self) -> bool:
        """Whether the address names a file in the folder, hidden ones and ways out of it (`..`, links) left out."""
        address = unquote(urlsplit(self.path).path)
        if any(part.startswith(".") for part in address.split("/")) or "\0" in address:
            return False
        path = Path(self.translate_path(self.path))
        if path.is_dir():
            path /= "index.html"
        return path.is_file() and path.resolve().is_relative_to(Path(self.directory))

    def _not_found(self) -> None:
        page = Path(self.directory, "404.html")
        # The page may be shown at any depth; its links start at the site's root.
        data = page.read_bytes().replace(b"<head>", b'<head><base href="/">', 1) if page.is_file() else b"Not found\n"
        self.send_response(HTTPStatus.NOT_FOUND)
        self.send_header("Content-Type", self.extensions_map[".html"])
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the library's name)
        """Nothing: who reads what is nobody's business."""
