"""The links in a message: found, cleaned, named and sorted by kind, from nothing but their own text."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, unquote_plus, urlsplit

__all__ = ["LINK_HINTS", "Link", "find_links", "without_links"]

LONGEST = 2048
"""Longer addresses than this are no links: no one shares them on purpose, and some software breaks on them."""

LONGEST_TITLE = 120

LINK_HINTS = ("://", "ww.", "WW.")
"""A text with a link in it contains one of these: phones like to begin a message with a capital, as in `Www.`"""

# Ends at white space, quotes, brackets of markup, control characters and the invisible characters that change the
# direction or break of a line: an address with one of those inside would show as something else than it is.
_URL = re.compile(
    r"(?<![\w@/.:-])(?:https?://|www\.)"
    r"[^\s<>\"“”«»`\x00-\x20\x7f-\xa0\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]+",
    re.IGNORECASE,
)
_TRAILING = ".,;:!?'’…*~|\\_"
_PAIRS = {")": "(", "]": "[", "}": "{"}
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_TLD = re.compile(r"xn--[a-z0-9-]{2,59}|[a-z]{2,63}")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

_TEXT_TRACKING = """
    fbclid gclid gclsrc dclid gbraid wbraid msclkid yclid twclid ttclid igshid igsh mc_cid mc_eid mkt_tok _ga _gl
    _hsenc _hsmi hsctatracking vero_id wickedid oly_anon_id oly_enc_id ref_src ref_url spm s_cid cmpid rcm trk
    trackingid share_id sharetype si feature _branch_match_id __twitter_impression
"""
_TRACKING = frozenset(_TEXT_TRACKING.split())
_TRACKING_PREFIXES = ("utm_", "pk_", "mtm_", "hsa_", "oly_", "pf_rd_")

_KINDS = {
    "video": """
        youtube.com youtu.be youtube-nocookie.com vimeo.com twitch.tv dailymotion.com tiktok.com netflix.com kwai.com
        globoplay.globo.com ted.com loom.com
    """,
    "music": """
        spotify.com soundcloud.com music.apple.com music.youtube.com deezer.com bandcamp.com tidal.com genius.com
        letras.mus.br last.fm podcasts.apple.com
    """,
    "article": """
        wikipedia.org medium.com substack.com nytimes.com theguardian.com bbc.com bbc.co.uk cnn.com reuters.com
        apnews.com washingtonpost.com economist.com globo.com folha.uol.com.br uol.com.br estadao.com.br publico.pt
        dn.pt observador.pt elpais.com lemonde.fr spiegel.de arstechnica.com theverge.com wired.com nature.com
        arxiv.org news.ycombinator.com
    """,
    "map": """
        maps.google.com maps.app.goo.gl goo.gl/maps google.com/maps openstreetmap.org osm.org maps.apple.com waze.com
        komoot.com strava.com wikiloc.com what3words.com
    """,
    "document": """
        docs.google.com drive.google.com sheets.google.com slides.google.com forms.gle dropbox.com notion.so
        notion.site onedrive.live.com 1drv.ms sharepoint.com overleaf.com wetransfer.com we.tl airtable.com scribd.com
    """,
    "image": """
        imgur.com flickr.com unsplash.com photos.google.com photos.app.goo.gl giphy.com tenor.com pinterest.com pin.it
        gph.is icloud.com/photos
    """,
    "code": """
        github.com gitlab.com gist.github.com bitbucket.org codeberg.org stackoverflow.com pypi.org npmjs.com
        crates.io huggingface.co kaggle.com readthedocs.io docs.rs sr.ht replit.com
    """,
    "shop": """
        amazon.com amazon.com.br amazon.co.uk amazon.de amazon.es amzn.to amzn.eu ebay.com etsy.com aliexpress.com
        mercadolivre.com.br shopee.com.br olx.com.br olx.pt magazineluiza.com.br ikea.com decathlon.com decathlon.pt
        booking.com airbnb.com ticketmaster.com eventbrite.com sympla.com.br vinted.pt shein.com
    """,
    "social": """
        twitter.com x.com t.co instagram.com facebook.com fb.com fb.me fb.watch linkedin.com lnkd.in reddit.com
        redd.it threads.net threads.com bsky.app mastodon.social t.me telegram.me discord.gg discord.com wa.me
        chat.whatsapp.com whatsapp.com snapchat.com tumblr.com meetup.com
    """,
}
_KIND_OF_SITE = {site: kind for kind, sites in _KINDS.items() for site in sites.split()}
_KIND_OF_ENDING = {
    ending: kind
    for kind, endings in {
        "image": "jpg jpeg png gif webp avif svg heic bmp",
        "video": "mp4 webm mov mkv avi",
        "music": "mp3 ogg opus m4a flac wav",
        "document": "pdf doc docx odt xls xlsx ods ppt pptx odp csv epub txt rtf ics",
        "code": "py js ts rs go ipynb patch diff",
    }.items()
    for ending in endings.split()
}
_TEXT_PAGE_ENDINGS = """
    html htm php asp aspx jsp shtml xhtml ghtml amp
"""
_PAGE_ENDINGS = frozenset(_TEXT_PAGE_ENDINGS.split())
_ARTICLE_PATH = re.compile(r"/(?:blog|news|noticias?|article|articles|artigos?|story|stories|posts?)/|/20\d\d/[01]?\d/")
_TEXT_SHORTENERS = """
    youtu.be maps.app.goo.gl photos.app.goo.gl goo.gl bit.ly t.co tinyurl.com is.gd ow.ly forms.gle amzn.to amzn.eu
    pin.it fb.me fb.watch redd.it lnkd.in wa.me chat.whatsapp.com we.tl 1drv.ms t.me telegram.me discord.gg gph.is
"""
_SHORTENERS = frozenset(_TEXT_SHORTENERS.split())
_QUERY_TITLES = ("q", "query", "search_query", "search", "s", "title")

_TEXT_NO_TITLE = """
    index home watch status view embed shorts reel reels live video videos playlist post posts article articles story
    item items product products dp gp page pages main default share link search results user users profile track album
    artist channel file files folder folders document d spreadsheets presentation edit open download comments wiki
    node blog news event events groups group invite join p r s t u c w v amp web app en pt br us uk es fr de pt-br en-
    us en-gb pt-pt intl
"""
_NO_TITLE = frozenset(_TEXT_NO_TITLE.split())
_SEPARATORS = re.compile(r"[-_+\s.~]+")
_ID = re.compile(r"\d+|(?=.*\d)[0-9a-f]{6,}|(?=.*\d)(?=.*[a-z])[a-z0-9]{7,}|[0-9a-f]{24,}", re.IGNORECASE)
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


class Link(NamedTuple):
    """A link, as in `ENRICHED.links`.

    Attributes:
        url: ASCII, `http` or `https`, no white space, brackets or quotes: safe between Markdown's parentheses.
        site: The host without `www.`; in its own script only where that can't be taken for another host.
        title: What the address says that it leads to, else the site. Plain text.
        kind: `video`, `music`, `article`, `map`, `document`, `image`, `code`, `shop`, `social` or `other`.
    """

    url: str
    site: str
    title: str
    kind: str


def find_links(text: str) -> list[Link]:
    """Every `http`, `https` and `www.` link of a text, in order, each once, without what follows people around.

    Other schemes, addresses with a user name or a bare number as host, with a backslash, or longer than 2,048
    characters are no links: what they show and where they lead are not the same, or they are not for others to open.
    """
    links: dict[str, Link] = {}
    for found in _URL.finditer(text):
        # Trimming looks at the whole address for each character it takes away: not for something endless.
        link = _link(_trimmed(found.group())) if found.end() - found.start() <= 2 * LONGEST else None
        if link:
            links.setdefault(link.url, link)
    return list(links.values())


def without_links(text: str) -> str:
    """The text with a space for each thing that looks like a link, for those who count words."""
    return _URL.sub(" ", text)


def _trimmed(url: str) -> str:
    """An address without the punctuation of the sentence around it. A closing bracket stays where it was opened."""
    while url:
        last = url[-1]
        if last in _TRAILING or (last in _PAIRS and url.count(last) > url.count(_PAIRS[last])):
            url = url[:-1]
        else:
            break
    return url


@lru_cache(maxsize=4096)
def _link(raw: str) -> Link | None:
    """The link that an address makes, or None if it is none."""
    if len(raw) > LONGEST or "\\" in raw:
        return None
    try:
        parts = urlsplit(raw if "://" in raw[:8] else f"https://{raw}")
        port = parts.port
    except ValueError:
        return None
    host = _ascii_host(parts.hostname or "")
    if not host or "@" in parts.netloc or parts.scheme not in ("http", "https"):
        return None
    path = _escaped(parts.path)
    query = "&".join(pair for pair in _escaped(parts.query).split("&") if pair and not _is_tracking(pair))
    fragment = _escaped(parts.fragment)
    if fragment.startswith((":~:", "xtor=", "utm_")):
        fragment = ""
    default = {"http": 80, "https": 443}[parts.scheme]
    address = host if port in (None, default) else f"{host}:{port}"
    url = f"{parts.scheme}://{address}{path}" + (f"?{query}" if query else "") + (f"#{fragment}" if fragment else "")
    if len(url) > LONGEST:
        return None
    site = _shown_host(host.removeprefix("www."))
    kind = _kind(host.removeprefix("www."), path)
    return Link(url, site, _title(SplitResult(parts.scheme, host, path, query, ""), kind) or site, kind)


def _escaped(part: str) -> str:
    """A path, query or fragment in ASCII, with brackets and quotes escaped; what is escaped already stays."""
    return quote(_BAD_ESCAPE.sub("%25", part), safe="%/:@!$&*+,;=~-._?", errors="replace")


def _is_tracking(pair: str) -> bool:
    name = pair.partition("=")[0].lower()
    return name in _TRACKING or name.startswith(_TRACKING_PREFIXES)


def _ascii_host(host: str) -> str:
    """A host name in ASCII (IDNA) and lower case, or nothing if it is none: a number, no dot, or not valid."""
    host = host.rstrip(".").lower()
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii").lower()
        except UnicodeError:
            return ""
    labels = host.split(".")
    if len(host) > 253 or len(labels) < 2 or not _TLD.fullmatch(labels[-1]):
        return ""
    return host if all(_LABEL.fullmatch(label) for label in labels) else ""


def _shown_host(host: str) -> str:
    """A host as people read it, unless its letters could be taken for another host's: then as it is in ASCII.

    All letters, the top-level domain's too, must be of one script; of Latin only those with the usual accents.
    """
    if "xn--" not in host:
        return host
    try:
        shown = host.encode("ascii").decode("idna")
    except UnicodeError:
        return host
    scripts = {unicodedata.name(char, "?").split()[0] for char in shown if char.isalpha()}
    usual = all(char.isalnum() and char <= "\u017f" and char not in "ıĸŀŉſ" for char in shown if char not in ".-")
    return shown if len(scripts) == 1 and (usual or scripts != {"LATIN"}) else host


def _kind(host: str, path: str) -> str:
    ending = path.rpartition("/")[2].rpartition(".")
    if ending[1] and ending[2].lower() in _KIND_OF_ENDING:
        return _KIND_OF_ENDING[ending[2].lower()]
    first = f"{host}/{path.strip('/').partition('/')[0]}"
    if first in _KIND_OF_SITE:
        return _KIND_OF_SITE[first]
    labels = host.split(".")
    for start in range(len(labels) - 1):
        site = ".".join(labels[start:])
        if site in _KIND_OF_SITE:
            return _KIND_OF_SITE[site]
    if labels[0] in ("maps", "map"):
        return "map"
    if labels[0] in ("shop", "store", "loja"):
        return "shop"
    if labels[0] in ("blog", "news", "noticias") or _ARTICLE_PATH.search(path):
        return "article"
    # A long name in the address is how most papers and blogs call their articles.
    return "article" if path.rpartition("/")[2].count("-") >= 4 else "other"


def _title(parts: SplitResult, kind: str) -> str:
    """What the address itself says about where it leads, or nothing."""
    segments = [segment for segment in parts.path.split("/") if segment]
    if kind == "code" and len(segments) >= 2 and parts.netloc.removeprefix("www.") in ("github.com", "gitlab.com"):
        return _readable(f"{unquote(segments[0])}/{unquote(segments[1])}")
    # What people are called on social sites stands where other sites have titles, so only a phrase counts there.
    least = 3 if kind == "social" else 1
    if parts.netloc in _SHORTENERS:
        segments = []
    for segment in reversed(segments):
        title = _from_slug(unquote(segment), least)
        if title:
            return title
    for pair in parts.query.split("&"):
        name, _, value = pair.partition("=")
        if name.lower() in _QUERY_TITLES:
            title = _readable(unquote_plus(value))
            if any(char.isalpha() for char in title):
                return title
    return ""


def _from_slug(segment: str, least: int) -> str:
    """`the-lake-house-a1b2c3d4.html` → `The lake house`; nothing for ids and for what all addresses have."""
    stem, dot, ending = segment.rpartition(".")
    if dot and (ending.lower() in _PAGE_ENDINGS or ending.lower() in _KIND_OF_ENDING):
        segment = stem
    if segment.lower() in _NO_TITLE or segment.startswith("@") or "=" in segment:
        return ""
    words = [word for word in _SEPARATORS.split(segment) if word]
    # Papers put the number of the article before or after its name.
    while words and _ID.fullmatch(words[-1]) and not re.fullmatch(r"(?:19|20)\d\d|\d{1,2}", words[-1]):
        words.pop()
    while words and _ID.fullmatch(words[0]) and not re.fullmatch(r"(?:19|20)\d\d|\d{1,2}", words[0]):
        words.pop(0)
    letters = sum(char.isalpha() for word in words for char in word)
    if len(words) < least or letters < 3 or (len(words) == 1 and not _is_word(words[0])):
        return ""
    title = _readable(" ".join(words))
    return title[:1].upper() + title[1:]


def _is_word(text: str) -> bool:
    """Whether a lone segment looks like a word of a language and not like a key: no digits, no capitals inside."""
    return text.isalpha() and (text[1:].islower() or not text.isascii()) and len(text) <= 24


def _readable(text: str) -> str:
    """One line without characters that can't be seen, cut at a word."""
    seen = "".join(" " if unicodedata.category(char) in _UNSEEN else char for char in text)
    line = " ".join(seen.split())
    if len(line) <= LONGEST_TITLE:
        return line
    return (
        line[:LONGEST_TITLE].rpartition(" ")[0].rstrip(" ,;:-") + "…"
        if " " in line[:LONGEST_TITLE]
        else line[:LONGEST_TITLE]
    )
