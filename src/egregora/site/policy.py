"""What a page of the site may load: said in each page, and again by our server."""

from __future__ import annotations

__all__ = ["CSP"]

# The strictest that works from a folder on disk as from a server: every file is the site's own, and nothing else loads.
CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'self'; form-action 'none'; "
    "require-trusted-types-for 'script'"
)
