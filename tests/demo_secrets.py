"""What the bundled example export holds that must be nowhere on a site made from it.

Names are to be searched as whole words, in any case (`Cal` is in `call`, `Nora` in `ignorant`); all else anywhere.
"""

from __future__ import annotations

AUTHORS = (
    "Nora Kettleby",
    "Bia Quintaneiro",
    "Thiago Bragamonte",
    "Inês Vilhalva",
    "Owen Tarrowby",
    "Callum Rookhollow",
    "+1 (202) 555-0147",
    "+44 7700 900142",
)
"""The eight people, as the exporting phone knew them."""

NAMES = tuple(sorted({word for author in AUTHORS if "+" not in author for word in author.split()}))
"""First names and surnames."""

NICKNAMES = ("Thi", "Cal", "Ines", "Callums", "Biaaaa", "OWEEEEN")
"""Short, unaccented, plural and shouted forms of the names, as the bodies have them."""

PHONE_NUMBERS = (
    "+1 (202) 555-0147",
    "12025550147",
    "2025550147",
    "555-0147",
    "+44 7700 900142",
    "447700900142",
    "7700 900142",
    "+351 265 000 187",
    "265 000 187",
    "+351 265 000 165",
    "265 000 165",
    "+55 11 90000-0000",
    "90000-0000",
    "+1 202 555 0119",
    "555 0119",
)
"""Numbers as written, and the digits of those of authors."""

EMAILS = ("thiago.bragamonte@example.com", "registo@porto.example.org", "domingos.estaleiro@example.com")

IDENTIFIERS = ("PT50 0002 0123 1234 5678 9015 4", "111.444.777-35")
"""A bank account and a tax number (both the usual specimens)."""

URL_SECRETS = ("q7Zt4mVx91LpKe2sWd08", "otter:barnacle9", "barnacle9", "Gk3vRt90xTurtleQ2", "203.0.113.44")
"""Token, credentials, invitation and IP address in links."""

PLACES = ("38.4866", "8.7405")
"""Coordinates in a location message, in a map link and in pictures."""

STREETS = ("Rua das Gaivotas Tortas 14", "Gaivotas Tortas", "Rua do Moinho Velho 3", "Moinho Velho")
"""Street addresses."""

TITLES = ("Turtle Crew", "Bia's Boat")
"""The group's title, now and before."""

FILES = ("Domingos Estaleiro", "Turtle kitty March - Nora Kettleby", "Turtle kitty March")
"""Names of the contact card and the document."""

METADATA = ("Estuary Telephones", "Lontra 5", "Lontra 3", "Heron Phone 2", "2024:03:09", "2024:04:13")
"""What the pictures' EXIF holds beside names, title and places."""

OPTED_OUT = (
    "Tarrowby tells me",
    "sail that's been folded",
    "That'll be the tanning",
    "Which bit?",
    "dry it flat in the shade",
    "No offence taken",
    "stay out of the papers",
    "Two new panels",
    "on the far bank",
)
"""What the person who opted out wrote."""


SECRETS = (
    *AUTHORS,
    *PHONE_NUMBERS,
    *EMAILS,
    *IDENTIFIERS,
    *URL_SECRETS,
    *PLACES,
    *STREETS,
    *TITLES,
    *FILES,
    *METADATA,
    *OPTED_OUT,
)
"""All of it that is searched anywhere in a text; `NAMES` and `NICKNAMES` come on top, as whole words."""
