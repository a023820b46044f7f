"""The bundled example: an invented group's export, as an Android phone writes it.

`EXPORT` names no chat, but a real export's file name does: copy it to `EXPORT_NAME` before using it.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["CHAT", "EXPORT", "EXPORT_NAME", "GROUP_TITLE", "TIMEZONE", "TITLE", "settings"]

CHAT = Path(__file__).with_name("chat.txt")
"""The chat's text, from which `build.py` makes the export."""
EXPORT = Path(__file__).with_name("export.zip")
"""The export: the text, its pictures, a document and a contact card."""
GROUP_TITLE = "Turtle Crew"
"""The group's own title, which stays private."""
EXPORT_NAME = f"WhatsApp Chat with {GROUP_TITLE}.zip"
"""The file name that the phone would have given it."""
TIMEZONE = "Europe/Lisbon"
"""The timezone in which the phone showed its times."""
TITLE = "Boat, One"
"""A title for the site that gives nothing away."""


def settings() -> str:
    """`egregora.toml` of the example site."""
    return f"""# The example's settings; `egregora init` writes a file that explains every one there is.
[site]
title = "{TITLE}"
description = "Six people, a shed, and a boat that nobody has sailed in eleven years."

[parse]
timezone = "{TIMEZONE}"

[publish]
# Pictures appear without their metadata. They are drawings here; faces would not be protected.
media = true
"""
