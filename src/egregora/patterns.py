"""What personal data looks like: numbers, addresses, credentials and places that are told by their form alone.

Everything here works on a single text and knows nobody's name. What is found becomes a short placeholder in brackets,
so that a sentence stays readable: `call me on [phone]`. Harmless numbers (prices, scores, dates, times, ISBNs, order
numbers, years, versions) stay; where a form is ambiguous the words before it decide, see `_is_phone`.

Only `re` is needed to import this module; `phonenumbers` is loaded when a text holds a candidate that needs it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple
from urllib.parse import unquote

__all__ = [
    "PLACEHOLDER",
    "SUSPECT",
    "Found",
    "clean_url",
    "find_patterns",
    "phone_digits",
    "redact_patterns",
]


class Found(NamedTuple):
    """A piece of personal data: where it stands, of which kind, and what replaces it."""

    start: int
    end: int
    kind: str
    replacement: str


PLACEHOLDER = re.compile(r"\[(?:phone|email|card|iban|id|ip|place|address|token|link|group|redacted|notice)\]")
"""The placeholders that redaction leaves. They are never redacted again."""

# --- Street addresses -----------------------------------------------------------------------------------------------

# A name of a street: words that begin with a capital, the small words between them, perhaps a day ("25 de Março").
_LINK = (
    r"(?:d[aeo]s?|del?|la|las|los|le|les|el|du|des|di|dei|della|delle|degli|e|y|et|of|the|van|von|der|den|am|im|zur|zum|und"
    r"|sur|sous|aux?)[ ]|[dl]['’]"
)
_CAPITAL = r"[^\W\d_a-zß-öø-ÿ][\w'’\-]*\.?"
_STREET_NAME = rf"(?:{_LINK}){{0,3}}(?:\d{{1,2}}\.?[ ](?:de[ ])?)?{_CAPITAL}(?:[ ](?:{_LINK}){{0,3}}{_CAPITAL}){{0,5}}"
# In small letters any word may be meant, so what makes a sentence must be missing.
_NO_NAME = (
    r"(?!(?:tem|com|desde|at[eé]|[àa]s?|que|[eé]|em|por|para|pra|no|na|sem|h[aá]|s[aã]o|foi|uma?|uns|umas|nos|nas|dois|duas"
    r"|mais|menos|est[aá]|fica|tinha|cheia|inteira|toda|todo|mesmo|onde|hace|con|en|hasta|tiene|hay|with|avec|est|il|depuis"
    r"|the|this|that|of|on|in|at|to|down|up|along|across|from|for|and|or|lanes?|ways?|miles?|minutes?|mins?|hours?|days?|km"
    r"|more|other|different|blocks?|cars?|people|men|kids|busy|small|big|narrow|side|main|new|great|old|long|years?|rough"
    r"|dirt|open|closed|good|best|nice|next|first|last)\b)"
)
_SMALL = rf"{_NO_NAME}[^\W\d_][\w'’\-]*"
_SMALL_NAME = rf"(?:(?:d[aeo]s?|del?|du|des|la|le|les)[ ])?{_SMALL}(?:[ ]{_SMALL}){{0,3}}"
_NOT_COUNTED = (
    r"(?![\w/]|[.,:]\d|-\d|\s?(?:[€$£%°]|(?:euros?|eur|reais|dollars?|pounds?|bucks|pesos|francs|km|m|met(?:ro|er|re)s?|mi|miles?"
    r"|kg|g|am|pm|h|hs|hrs?|horas?|hours?|uhr|heures?|min\w*|days?|dias?|d[ií]as?|tage?|jours?|giorni|weeks?|semanas?|wochen?|months?"
    r"|m[eê]s(?:es)?|years?|anos?|años?|jahre?|ans|anni|times|vezes|veces|mal|fois|volte|people|pessoas|personas|personnes"
    r"|persone|leute)\b))"
)
_HOUSE = (
    rf"\d{{1,5}}(?:/?[a-gA-G])?(?:[ ]?[\-–/][ ]?\d{{1,4}}[a-gA-G]?(?![.º°ª\w]))?(?:[ ](?:bis|ter)\b)?{_NOT_COUNTED}"
    r"(?:,?[ ]?(?:-[ ])?(?:\d{1,2}\s?\.?[ºª°][ ]?(?:esq|dir|dto|fte|frente|andar|[a-hA-H]\b)?\.?"
    r"|(?:ap(?:t|to|artamento|artment)?\.?|flat|unit|bloco|piso|andar|lote|suite)[ ]\d{1,4}[a-hA-H]?\b))*"
    r"(?:,?[ ](?:\d{4}-\d{3}|\d{5}-\d{3}|\d{5})(?!\w|[.,\-]\d))?"
)
_AT = r",?[ ](?:n(?:[º°o]|\.[º°o]|r|[uú]mero)?\.?[ ]?)?"
_BEFORE = (
    r"rua|avenida|av|avda|avd|alameda|travessa|trav|estrada|rodovia|rod|pra[cç]a|ladeira|beco|cal[cç]ada|azinhaga|largo|calle|carrer"
    r"|paseo|pasaje|plaza|camino|carretera|callej[oó]n|rue|avenue|boulevard|bd|blvd|chemin|impasse|all[ée]e|quai|place|route"
    r"|via|viale|piazza|piazzale|vicolo|corso|lungomare|stra(?:ß|ss)e|gasse"
)
_AFTER = r"street|road|avenue|lane|boulevard|crescent"
_AFTER_CAPITAL = (
    "St|Rd|Ave|Ln|Drive|Dr|Court|Ct|Blvd|Way|Place|Pl|Terrace|Close|Square|Sq|Gardens|Grove|Row|Mews|Walk|Parade|Highway|Hwy"
    "|Parkway|Pkwy|Circle|Quay|Wharf|Esplanade|Rise|Hill|Green"
)
_NUMBER_FIRST = r"rue|avenue|av\.|boulevard|bd\.?|place|chemin|impasse|all[ée]e|quai|faubourg"
_GLUED = r"(?i:stra(?:ß|ss)e|str|gasse|chaussee|straat|gracht)"
_GLUED_CAPITAL = r"(?:allee|weg|platz|damm|ufer|laan|plein|kade|singel)"
_STREET = rf"""(?x)
    # Rua das Flores 14; Av. Paulista, 1578; C/ Mayor 5
    (?<!\w)(?:(?i:{_BEFORE})\.?|R\.|[Cc]/)[ ]?
        (?!(?i:WhatsApp|Zoom|Teams|Skype|Telegram|Signal|PayPal|Pix|Uber|E-?mail|SMS|Bluetooth|Instagram|Facebook|Google|Discord
        |Slack|FaceTime|Revolut|Wise|Venmo|Twitter|YouTube|Wi-?Fi)\b)
        (?<=[ ./]){_STREET_NAME}{_AT}{_HOUSE}
    | (?<!\w)(?i:(?:rua|avenida|av\.?|alameda|travessa|estrada|pra[cç]a|calle|plaza|rue|piazza)[ ]
        {_SMALL_NAME}{_AT}{_HOUSE})(?=\s*(?:$|[\n.,;!?)\]]))
    # 14 Baker Street; 350 5th Ave; 14 baker street
    | (?<![\w.,:/\-])\d{{1,5}}[a-gA-G]?(?:-\d{{1,4}})?,?[ ](?:(?:{_CAPITAL}|\d{{1,3}}(?i:st|nd|rd|th))[ ]){{1,4}}
        (?:(?i:{_AFTER})|{_AFTER_CAPITAL}|{_AFTER_CAPITAL.upper()})(?!\w)
    | (?<![\w.,:/\-])\d{{1,5}}[a-g]?[ ](?:{_NO_NAME}[a-z'’\-]{{3,}}[ ]){{1,2}}(?:street|road|avenue)(?!\w)
        (?![ ](?:food|dogs?|art|artists?|cats?|photos?|photography|style|wear|lights?|lamps?|signs?|part(?:y|ies)
        |performers?|musicians?|vendors?|smart|view|works?|trips?|bikes?|tax|races?|maps?))
    # 12 rue de Rivoli; 12 bis, avenue Foch
    | (?<![\w.,:/\-])\d{{1,5}}(?:[ ]?(?:bis|ter|[a-gA-G]\b))?,?[ ](?i:{_NUMBER_FIRST})
        [ ](?:{_STREET_NAME}|(?i:(?:d[eu]s?|de[ ]la)[ ]|d['’])[^\W\d_]{{3,}})
    # Hauptstraße 12; Berliner Platz 1; Keizersgracht 123
    | (?<!\w)[^\W\d_]{{2,30}}{_GLUED}\.?{_AT}{_HOUSE}
    | (?<!\w)(?!(?:Park|Arbeits|Spiel|Sitz|Steh|Zelt|Stell|Flug|Schlaf|Studien|Camping|Fußball|Treff|Markt)platz|Mila)
        [^\W\d_a-zß-öø-ÿ][^\W\d_]{{2,30}}{_GLUED_CAPITAL}{_AT}{_HOUSE}
    | (?<!\w)(?:[^\W\d_a-zß-öø-ÿ][^\W\d_]+[ \-]){{1,3}}(?:(?i:stra(?:ß|ss)e|str\.|gasse)|Allee|Weg|Platz|Damm|Ufer)
        {_AT}{_HOUSE}
    """


@cache
def _street() -> re.Pattern[str]:
    """`_STREET` when a text first needs it: compiling it takes as long as all other patterns together."""
    return re.compile(_STREET)


_STREET_WORD = re.compile(
    rf"\b(?:{_BEFORE}|{_AFTER}|{_NUMBER_FIRST})\b|\b(?:r\.|c/)|(?:stra(?:ß|ss)e|str|gasse|chaussee|straat|gracht|{_GLUED_CAPITAL})\b"
)
"""Finds a word for streets in a text in small letters, unless it is one only with a capital."""
_STREET_CAPITAL = re.compile(rf"\b(?:{_AFTER_CAPITAL}|{_AFTER_CAPITAL.upper()})\b")

# --- The cheap test -------------------------------------------------------------------------------------------------

_GAP = " \t\u00a0\u2007-\u2015\u202f.,()\\-/"
_DIGITS = re.compile(rf"\d(?:[{_GAP}]{{0,3}}\d){{6}}|\d\.\d{{1,3}}\.\d{{1,3}}\.\d")
"""Finds seven digits with at most three separators between each, or four dotted numbers."""

_MARKERS = (
    "www.", "geo:", "tel:", "maps.", "goo.gl", "private key", "bearer ", "ghp_", "gho_", "ghs_", "ghu_", "ghr_",
    "github_pat_", "glpat-", "xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "akia", "asia", "aiza", "eyj", "hf_", "npm_",
    "pypi-", "sk-", "sk_", "pk_", "rk_", "password", "passwd", "passphrase", "pwd", "senha", "contrase", "passwort",
    "kennwort", "mot de passe", "wachtwoord", "parola d'ordine", "api key", "api_key", "api-key", "apikey", "token",
    "secret",
)  # fmt: skip
"""Lower-case beginnings of credentials and of addresses without a scheme."""

_IDS = r"[a-z]{2} ?\d\d ?\d\d ?\d\d ?[a-d]|[a-z]{6}[\dl-v]{2}[a-ehlmprst][\dl-v]{2}[a-z][\dl-v]{3}[a-z]"
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

SUSPECT = (
    r"(?is)[@#°]|://|\.[^\s./?]{2,18}[/?]|[2-9c-x]{4}\+[2-9c-x]{2}|:.*:|\.\d\d[^\n]*:|\[[a-z]{2,8}\]|"
    + "|".join(map(re.escape, _MARKERS))
    + rf"|{_DIGITS.pattern}|{_IDS}|{_UUID}"
    + rf"|(?-i:\b(?:(?i:{_BEFORE})[. ]|R\.|[Cc]/)[^\n]*\d|(?:{_GLUED}|(?i:{_GLUED_CAPITAL}))[., ][^\n]*\d"
    + rf"|\d[^\n]*\b(?:(?i:{_AFTER}|{_NUMBER_FIRST})|{_AFTER_CAPITAL}|{_AFTER_CAPITAL.upper()})(?:\b|[. ]))"
).replace(r"\d", r"\p{Nd}")
"""The cheap test of a whole column, for RE2: a text in which it finds nothing holds nothing of what is sought here, nor
a mention, a hashtag or the head of a pasted message."""

# --- Links ----------------------------------------------------------------------------------------------------------

_URL = re.compile(
    r"""(?ix)
    (?: \b[a-z][a-z0-9+.\-]{1,15}:// | \bwww\. ) [^\s<>"\[\]{}|\\^`]+
    | (?<![\w@./\-]) (?:[a-z0-9\-]{1,63}\.){1,4}[a-z]{2,12} (?::\d{2,5})? [/?] [^\s<>"\[\]{}|\\^`]*
    """
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_MAP_HOST = re.compile(
    r"""(?x)^(?:
        maps\.google\.[a-z.]+ | maps\.app\.goo\.gl | maps\.apple\.com | maps\.apple | (?:www\.)?openstreetmap\.org
        | osm\.org | (?:[a-z]+\.)?waze\.(?:com|to) | (?:wego|share|maps)\.here\.com
        | her\.is | w3w\.co | what3words\.com
        | plus\.codes | maps\.yandex\.[a-z.]+ | (?:www\.)?mapquest\.com | citymapper\.com | maps\.me | ge0\.me
        | (?:www\.)?find-?my\.[a-z]+ | glympse\.com | bing\.com/maps | 2gis\.[a-z]+ | amap\.com | surl\.amap\.com
    )$"""
)
_MAP_PATH = re.compile(r"(?i)^/(?:maps?(?:[/?#]|$)|localiza|geo/)")
_MAP_PATH_HOST = re.compile(
    r"^(?:www\.)?(?:google\.[a-z.]+|goo\.gl|bing\.com|yandex\.[a-z.]+|g\.co|here\.com|baidu\.com)$"
)
_PHONE_HOST = re.compile(r"^(?:wa\.me|api\.whatsapp\.com|web\.whatsapp\.com|wa\.link|signal\.me|viber\.me|imo\.im)$")
# Whoever has such a link can enter, join or read: the path is the credential. Pay links name their owner.
_SECRET_HOST = re.compile(
    r"""(?x)^(?:[a-z0-9\-]+\.)*(?:
        chat\.whatsapp\.com | zoom\.us | meet\.google\.com | teams\.microsoft\.com | teams\.live\.com | discord\.gg
        | webex\.com | meet\.jit\.si | whereby\.com | docs\.google\.com | drive\.google\.com | photos\.google\.com
        | photos\.app\.goo\.gl | forms\.gle | dropbox\.com | db\.tt | 1drv\.ms | onedrive\.live\.com | sharepoint\.com
        | wetransfer\.com | we\.tl | icloud\.com | mega\.nz | box\.com | splitwise\.com | paypal\.me | venmo\.com
        | cash\.app | calendly\.com | doodle\.com | when2meet\.com | signal\.group | pastebin\.com
    )$"""
)
# The first part of such a link's path is whose page it is, unless it is one of the site's own.
_PROFILE_HOST = re.compile(
    r"""(?x)^(?:[a-z0-9\-]+\.)*(?:
        instagram\.com | facebook\.com | fb\.com | fb\.me | twitter\.com | x\.com | tiktok\.com | threads\.(?:net|com)
        | t\.me | telegram\.me | snapchat\.com | vk\.com | linktr\.ee | onlyfans\.com | ko-fi\.com | patreon\.com
        | bsky\.app | last\.fm | letterboxd\.com | vsco\.co | pinterest\.[a-z.]+ | linkedin\.com | strava\.com
    )$"""
)
_NO_PROFILE = re.compile(
    r"(?i)/(?:p|reels?|tv|stories|explore|watch|events?|groups?|pages|marketplace|gaming|hashtag|search|i|home|tag|discover|music"
    r"|channel|channels|film|films|lists?|pin|pulse|jobs|company|school|learning|posts|photo|photos|video|videos|segments|routes"
    r"|clubs|about|help|legal|privacy|add)(?:[/?]|$)"
)
_SECRET_PATH = re.compile(
    r"(?i)^/(?:joinchat|invite|invites|join|in|j|s|share|reset|verify|confirm|unsubscribe|magic|auth|oauth|login|signin|sso|token|profile\.php)(?:[/?#]|$)"
)
_PRIVATE_PARAMETER = re.compile(
    r"""(?ix)^(?:
        .*(?:token|passw|pwd|secret|api_?key|auth|signature|session|credential|email|e-mail|phone|jwt|otp|csrf|nonce).*
        | key|sig|sid|code|pass|pin|hash|hmac|state|ticket|invite|ref|access|user|username|uid|userid|user_id|login|name
        | first_?name|last_?name|nome|mail|tel|mobile|whats|cpf|id_token|account|acct|member|contact|from|to|author
        | lat|lon|lng|ll|sll|latlng|location|loc|address|addr|daddr|saddr|geo|near
        | utm_.*|fbclid|gclid|dclid|msclkid|yclid|igsh|igshid|si|mc_[ce]id|_ga|_gl|_hs.*|s?ref_?src|ref_url|share.*|sh
        | x-amz-.*|x-goog-.*|expires|policy|key-pair-id|se|sp|sv|sr|st|skoid
    )$"""
)
_TRAILING = ".,;:!?'\"*_~…)»”’"


def _looks_secret(part: str, least: int) -> bool:
    """Whether a part of a link looks like random characters rather than words; `least` is its shortest length."""
    for run in re.findall(r"[A-Za-z0-9_\-=+]+", part):
        if len(run) < least:
            continue
        letters_and_digits = any(c.isdigit() for c in run) and any(c.isalpha() for c in run)
        if letters_and_digits and (run.lower() != run or "-" not in run):
            return True
    return False


def _nobody(_text: str) -> bool:
    return False


def clean_url(url: str, region: str = "US", named: Callable[[str], bool] = _nobody) -> str:
    """A link without its owner: no user and password, no token, no tracking id, cut before whatever names someone.

    Args:
        url: With or without a scheme, no spaces.
        region: Country (ISO 3166) for phone numbers in it.
        named: Tells whether a text holds somebody's name, also glued to other words.

    Returns:
        The link, perhaps shortened; or a placeholder where nothing of it can stay.
    """
    scheme_match = _SCHEME.match(url)
    scheme = scheme_match.group() if scheme_match else ""
    rest = url[len(scheme) :]
    cut = re.search(r"[/?#]", rest)
    netloc, tail = (rest[: cut.start()], rest[cut.start() :]) if cut else (rest, "")
    host_port = netloc.rpartition("@")[2]
    host, _, port = host_port.partition(":")
    lowered = host.lower().removeprefix("m.")
    if scheme and scheme.lower() not in ("http://", "https://", "ftp://"):
        # postgres://…, otpauth://…, whatsapp://…: what follows is for a machine, and often a secret.
        return "[phone]" if "phone=" in tail else "[link]"
    if _MAP_HOST.match(lowered) or (_MAP_PATH_HOST.match(lowered) and _MAP_PATH.match(tail)):
        return "[place]"
    if _PHONE_HOST.match(lowered) or "://" in tail:
        return "[phone]" if _PHONE_HOST.match(lowered) else "[link]"
    if _IPV4.fullmatch(host):
        return "[ip]"
    if (
        not re.fullmatch(r"[\w.\-]+", host)
        or named(host)
        or any(map(named, host.split(".")[:-2]))
        or _looks_secret(host, 24)
        or re.search(r"\d{7}", host)
    ):
        return "[link]"
    start = f"{scheme}{host}{':' + port if re.fullmatch(r'[0-9]{2,5}', port) else ''}"
    if _SECRET_HOST.match(lowered) or _SECRET_PATH.match(tail):
        return f"{start}/"
    if _PROFILE_HOST.match(lowered) and not _NO_PROFILE.match(tail):
        return f"{start}/"
    path_and_query, _, fragment = tail.partition("#")
    path, _, query = path_and_query.partition("?")

    def private(part: str, least: int) -> bool:
        plain = unquote(unquote(part)).replace("+", " ")
        return (
            _looks_secret(part, least)
            or bool(_TOKEN.search(plain))
            or named(plain)
            or bool(_EMAIL.search(plain))
            or "@" in plain.strip("@")
            or any(found.kind != "phone" for found in _numbers(plain, region))
            or bool(re.search(r"(?:^|\D)(?:\+|00) ?\d{8}", unquote(part)))
            or any(ord(c) < 32 for c in plain)
        )

    kept: list[str] = []
    for segment in path.split("/")[1:]:
        if private(segment, 24):
            return f"{start}/{'/'.join(kept)}{'/' if kept else ''}"
        kept.append(segment)
    result = start + "".join(f"/{segment}" for segment in kept)
    pairs = []
    for pair in re.split(r"[&;]", query):
        name, _, value = pair.partition("=")
        if pair and not _PRIVATE_PARAMETER.match(unquote(name)) and not private(name, 16) and not private(value, 16):
            has_phone = any(found.kind == "phone" for found in _numbers(unquote(value), region))
            if not has_phone:
                pairs.append(pair)
    if pairs:
        result += "?" + "&".join(pairs)
    if re.fullmatch(r"[\w\-.!/]{1,60}", fragment) and not private(fragment, 20):
        result += f"#{fragment}"
    return result


def _trim(url: str) -> str:
    """The link without the punctuation of the sentence around it; a closing bracket stays if it was opened within."""
    while url and url[-1] in _TRAILING and not (url[-1] == ")" and url.count("(") >= url.count(")")):
        url = url[:-1]
    return url


# --- Words with a form ----------------------------------------------------------------------------------------------

_EMAIL = re.compile(
    r"(?i)(?<![\w.+\-])(?:mailto:)?[\w.!#$%&'*+/=?^`{|}~\-]{0,63}[\w+\-]\s?@\s?(?:[\w\-]{1,63}\.)+[^\W\d_]{2,24}(?!\w)"
)
_TOKEN = re.compile(
    r"""(?x)
    (?<![A-Za-z0-9]) (?:
        (?:sk|pk|rk)[-_][A-Za-z0-9_\-]{16,} | gh[pousr]_[A-Za-z0-9]{16,} | github_pat_\w{16,} | glpat-[\w\-]{12,}
        | xox[abprs]-[\w\-]{8,} | (?:AKIA|ASIA)[A-Z0-9]{12,} | AIza[\w\-]{20,} | hf_[A-Za-z0-9]{16,}
        | npm_[A-Za-z0-9]{16,} | pypi-[\w\-]{16,} | eyJ[\w\-]{8,}\.[\w\-]{4,}(?:\.[\w\-]*)?
    )
    | -----BEGIN[ A-Z]*PRIVATE\ KEY-----(?:[\s\S]*?-----END[ A-Z]*PRIVATE\ KEY-----|[\s\S]*)
    """
)
_SECRET_AFTER = re.compile(
    r"""(?ix)
    \b(?:password|passwd|passphrase|pwd|senha|contrase[nñ]a|passwort|kennwort|mot\ de\ passe|wachtwoord
        |parola\ d'ordine|api[ _\-]?key|(?:access|auth|api|bearer|session)[ _\-]?token|token|secret(?:[ _\-]key)?)
    (?:\s?(?:é|eh|is|ist|est|es|è))?\s?[:=]\s*(?P<s>[^\s\[\]]{4,}) | \bbearer\s+(?P<b>[\w\-.~+/=]{16,})
    """
)
_IPV4 = re.compile(r"(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}")
_IPV4_IN_TEXT = re.compile(rf"(?<![\w.]){_IPV4.pattern}(?:/\d{{1,2}})?(?![\w]|\.\d)")
_VERSION_BEFORE = re.compile(
    r"(?i)(?:\bv|\bver\.?|\bversion|\bversão|\bversao|\bversión|\brelease|\bbuild|\bfirmware|\bsection|§)\s*$"
)
_IPV6 = re.compile(
    r"(?i)(?<![\w:.])(?:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}"
    r"|(?=[0-9a-f:]*[0-9a-f])(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?)(?![\w:])"
)
_PLUS_CODE = re.compile(
    r"(?<![\w+])[23456789CFGHJMPQRVWX]{4}(?:[23456789CFGHJMPQRVWX]{2}){0,2}\+[23456789CFGHJMPQRVWX]{2,3}(?!\w)"
)
_DEGREE = (
    r"-?\d{1,3}(?:[.,]\d+)?\s?°\s?(?:\d{1,2}(?:[.,]\d+)?\s?['′’]\s?)?"
    r"(?:\d{1,2}(?:[.,]\d+)?\s?(?:\"|″|”|''))?\s?[NSEWOL]\b"
)
_DEGREES = re.compile(rf"(?i){_DEGREE}(?:[\s,;/]+{_DEGREE})?")
_COORDINATES = re.compile(
    r"(?<![\w.])(?:geo:)?(-?\d{1,2}\.\d{4,})\s{0,2}[,;\s]\s{0,2}(-?1?\d{1,2}\.\d{4,})(?![\w]|\.\d)"
)

# --- Numbers --------------------------------------------------------------------------------------------------------

_CARD = re.compile(r"(?<![\w.,])\d(?:[ \-\u00a0.]?\d){12,18}(?!\w|[.,]\d)")
_CARD_PREFIX = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|2[2-7]\d\d)\d{12}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"
    r"|(?:6011|6[45]\d\d|35\d\d|62\d\d|50[0-9]\d|6[0-9]\d\d)\d{12}|(?:50|5[6-9]|6\d)\d{10,17}"
)
_IBAN_LENGTH = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18,
    "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24,
    "XK": 20,
}  # fmt: skip
_IBAN_START = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]{2})\d{2}[ \u00a0\-]?[A-Za-z0-9]")
_CPF = re.compile(r"(?<![\w.,+\-])\d{3}([. ]?)\d{3}\1\d{3}[- ]?\d{2}(?!\w|[.,]\d|-\d)")
_CNPJ = re.compile(r"(?<![\w.,\-])\d{2}[. ]?\d{3}[. ]?\d{3}[/ ]?\d{4}[- ]?\d{2}(?!\w|[.,]\d|-\d)")
_ID_SHAPE = re.compile(
    r"(?<![\w.,\-])(?:\d{3}\.\d{3}\.\d{3}[-/]\d{2}|\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}|\d{1,2}\.\d{3}\.\d{3}-[\dXx]|\d{3}-\d{2}-\d{4})(?!\w|-\d)"
)
_NINO = re.compile(
    r"(?<!\w)(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]( ?)\d\d\1\d\d\1\d\d\1[A-D](?!\w)"
)
_CODICE = re.compile(r"(?i)(?<!\w)[a-z]{6}[\dl-v]{2}[a-ehlmprst][\dl-v]{2}[a-z][\dl-v]{3}[a-z](?!\w)")
_PIX_KEY = re.compile(rf"(?i)\b(?:pix|chave)\b[^\n]{{0,40}}?(?<!\w)({_UUID})(?!\w)")
# A run, a thing in a database, a hash: its digits are no phone number.
_MACHINE_ID = re.compile(rf"(?i)(?<![\w\-])(?:{_UUID}|(?=[\da-f]*[a-f])[\da-f]{{32,128}})(?![\w\-])")
_DNI = re.compile(r"(?<![\w.,\-])([XYZxyz]?)-?(\d{7,8})[- ]?([A-HJ-NP-TV-Za-hj-np-tv-z])(?!\w)")

_ORDER_BEFORE = re.compile(
    r"""(?ix)(?:
        \b(?:orders?|pedidos?|invoice|ref|reference|refer[eê]ncia|nota\ fiscal|nf-?e|protocolo?|tracking|rastreio
          |rastreamento
          |isbn(?:-1[03])?|issn|ticket|booking|reserva|c[oó]digo|code|serial|sku|ean|upc|doi|boleto|case|caso|issue|commit
          |flight|voo|part|model|modelo|parcel|shipment|encomenda|bestellung|commande|total|populat\w*|popula[cç]\S*
          |about|approx\w*|cerca\ de|over|under|mais\ de|menos\ de
          |заказ\w*|накладн\w*|трек\w*|артикул|билет\w*|рейс\w*|брон\w+|счет\w*|счёт\w*|код|посылк\w+|договор\w*
          |zam[oó]wieni\w+|faktur\w*|paczk\w+|przesyłk\w+|bestelling|factuur|pakket|rechnung|sendung|paket|auftrag
          |ordine|fattura|spedizione|factura|env[ií]o|gu[ií]a|facture|colis|r[eé]servation|dossier
          |sipariş|takip|fatura|kargo)
        (?:\s?(?:n[ouº°]|nr|number|n[uú]mero|code|id|of|de|foi|was|is|é))?\.? | [\#№]
    )[\s:\-#nº°№]*$"""
)
_PHONE_BEFORE = re.compile(
    r"""(?ix)\b(?:call|phone|tel|telefone?|tel[eé]fono|fone|cell?|cel|celular|mobile|m[oó]vel|m[oó]vil|whats?(?:app)?|wpp|zap|zapzap
        |text|sms|dial|ring|liga(?:r|me)?|ligue|chama|chamar|llama|handy|тел|телефон\w*|моб\w*|номер\w*|звони\w*|ватсап\w*|num|n[uú]mero|number|contact|contato|pix|tlf|t[eé]l)
        (?:\s?(?:me|us|her|him|is|é|eh|for|da|do|dela|dele|no|na|at|on|to|this|meu|my|novo|new|number|n[uú]mero|pra|para|o|a|no|phone|app)){0,3}
        [\s:.\-=]*\(?$"""
)
_MONEY_BEFORE = re.compile(r"(?i)(?:[$€£¥₹₽₩฿]|\b(?:usd|eur|brl|gbp|inr|rs\.?|chf|r\$))\s?$")
_MONEY_AFTER = re.compile(
    r"(?i)^(?:[.,]\d+)?\s?(?:[$€£¥₹%‰]|(?:usd|eur|brl|gbp|reais|real|dollars?|euros?|pounds|bucks|pesos|contos|mil\b|millions?|milh|views?\b|users?\b|people|pessoas|habitantes|inhabitants|followers|seguidores|km\b|kg\b|g\b|m²|m2\b|mm\b|cm\b|kcal|bytes?\b|[kmg]b\b|ms\b|steps|passos|votes|votos|times\b|vezes\b))"
)
_RUN = re.compile(
    r"(?<![\w])(?<![\d][.,:/])(?:\(?\+\s?)?\(?\d(?:[ \t\u00a0\u2007-\u2015\u202f.()\-/]{0,4}\d){6,39}\)?(?!\d)"
)
_DATE_WITHIN = re.compile(
    r"(?<!\d)(?:(?:19|20)\d\d[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:0?[1-9]|[12]\d|3[01])"
    r"|(?:0?[1-9]|[12]\d|3[01])[-./](?:0?[1-9]|[12]\d|3[01])[-./](?:(?:19|20)\d\d|\d\d))(?!\d)"
)
_YEARS = re.compile(r"(?:19|20)\d\d\s?[-\u2010-\u2015/]\s?(?:19|20)\d\d")
_COMPACT_DATE = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[ _\-]?\d{4}(?:\d\d)?)?")
_THOUSANDS = re.compile(r"\d{1,3}(?:([., \u00a0\u202f])\d{3})(?:\1\d{3})+(?:[.,]\d{1,2})?")
_AMAZON = re.compile(r"\d{3}-\d{7}-\d{7}")
_NANP_SHAPE = re.compile(r"(?:1[ .\-]?)?(?:\([2-9]\d\d\)[ .\-]?|[2-9]\d\d[ .\-])\d{3}[ .\-]?\d{4}")
_BR_SHAPE = re.compile(r"(?:55 ?)?(?:\(0?\d\d\) ?|0?\d\d[ \-])(?:9[ .]?)?\d{4}[ .\-\u2010-\u2015]?\d{4}")
_BR_LOCAL = re.compile(r"(?:9[ .]?)?[2-9]\d{3}[\-\u2010-\u2015]\d{4}")
_US_LOCAL = re.compile(r"[2-9]\d\d[\-\u2010-\u2015]\d{4}")
_DIGIT = re.compile(r"\d")
_NANP = frozenset(("US", "CA", "PR", "DO", "JM", "BS", "BB", "TT"))


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _check_digit(digits: str, weights: tuple[int, ...]) -> int:
    rest = sum(int(d) * w for d, w in zip(digits, weights, strict=True)) % 11
    return 0 if rest < 2 else 11 - rest


def _valid_cpf(digits: str) -> bool:
    """Whether eleven digits end in the two check digits of a Brazilian personal number."""
    if len(set(digits)) == 1:
        return False
    first = _check_digit(digits[:9], tuple(range(10, 1, -1)))
    second = _check_digit(digits[:10], tuple(range(11, 1, -1)))
    return digits[9:] == f"{first}{second}"


def _valid_cnpj(digits: str) -> bool:
    """Whether fourteen digits end in the two check digits of a Brazilian company's number."""
    if len(set(digits)) == 1:
        return False
    first = _check_digit(digits[:12], (5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2))
    second = _check_digit(digits[:13], (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2))
    return digits[12:] == f"{first}{second}"


def _valid_codice(code: str) -> bool:
    """Whether sixteen letters and digits end in the check letter of an Italian fiscal code."""
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
    values = [int(char) if char.isdigit() else ord(char) - ord("A") for char in code.upper()]
    total = sum(value if place % 2 else odd[value] for place, value in enumerate(values[:15]))
    return total % 26 == values[15]


def _valid_isbn(digits: str) -> bool:
    """Whether thirteen digits are the number of a book (978, 979) by their check digit."""
    if len(digits) != 13 or not digits.startswith(("978", "979")):
        return False
    return sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits)) % 10 == 0


def _only_digits(text: str) -> str:
    """The decimal digits of any script in `text`, as ASCII."""
    return "".join(str(int(c)) for c in text if c.isdecimal())


def _ibans(text: str) -> list[Found]:
    found = []
    for match in _IBAN_START.finditer(text):
        length = _IBAN_LENGTH.get(match.group(1).upper())
        if length is None:
            continue
        at, taken = match.start(), ""
        while at < len(text) and len(taken) < length:
            char = text[at]
            if char.isascii() and char.isalnum():
                taken += char.upper()
            elif char not in " \u00a0-":
                break
            at += 1
        if len(taken) == length and not (at < len(text) and text[at].isalnum()):
            number = "".join(str(int(c, 36)) for c in taken[4:] + taken[:4])
            if int(number) % 97 == 1:
                found.append(Found(match.start(), at, "iban", "[iban]"))
    return found


@lru_cache(4096)
def phone_digits(text: str, region: str = "US") -> str | None:
    """The digits of a phone number with its country code, e.g. `5511987654321`; None if `text` can't be one."""
    import phonenumbers

    digits = _only_digits(text)
    if not 5 <= len(digits) <= 17:
        return None
    plus = "+" in text
    for attempt, country in (
        ((f"+{digits}", None), (digits, region)) if plus else ((digits, region), (f"+{digits}", None))
    ):
        try:
            number = phonenumbers.parse(attempt, country)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number) or (plus and attempt[0] == "+"):
            return f"{number.country_code}{phonenumbers.national_significant_number(number)}"
    return digits.removeprefix("00") if plus or digits.startswith("00") else None


def _valid_phone(text: str, region: str) -> bool:
    import phonenumbers

    digits = _only_digits(text)
    # Numbers that are free for films and examples are invalid, though written like any other.
    trunk = digits[0] == "0" and 9 <= len(digits) <= 12
    attempts: list[tuple[str, str | None]] = [(digits, region)]
    if digits.startswith("00"):
        attempts.append((f"+{digits[2:]}", None))
    elif 11 <= len(digits) <= 13:
        attempts.append((f"+{digits}", None))
    for attempt, country in attempts:
        try:
            number = phonenumbers.parse(attempt, country)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number) or (trunk and phonenumbers.is_possible_number(number)):
            return True
    return False


def _is_phone(piece: str, before: str, after: str, region: str) -> bool:
    """Whether a run of digits is a phone number.

    A plus sign always makes one. Else what looks like a date, an amount, a book's number or follows a word such as
    "order" is none; the ways in which North America and Brazil write theirs are one even where the number does not
    exist (people make up numbers, and typing errors are no protection); a word such as "call" makes any seven digits
    one; for the rest the numbering plan of `region` decides.
    """
    digits = _only_digits(piece)
    if not 7 <= len(digits) <= 15:
        return False
    if "+" in piece:
        return True
    if _DATE_WITHIN.search(piece) or _COMPACT_DATE.fullmatch(piece) or _YEARS.fullmatch(piece):
        return False
    if _AMAZON.fullmatch(piece) or _valid_isbn(digits) or _MONEY_BEFORE.search(before) or _MONEY_AFTER.match(after):
        return False
    groups = re.findall(r"\d+", piece)
    if len(groups) > 7 or (max(map(len, groups)) < 3 and not (digits[0] == "0" and len(digits) == 10)):
        return False
    if re.fullmatch(r"\d{1,3}[.,]\d{5,}", piece):
        return False
    called = bool(_PHONE_BEFORE.search(before))
    if not called and (_ORDER_BEFORE.search(before) or (_THOUSANDS.fullmatch(piece) and "." in piece)):
        return False
    shape = piece.replace("\u00a0", " ").replace("\u202f", " ")
    if _NANP_SHAPE.fullmatch(shape) or _BR_SHAPE.fullmatch(shape) or _BR_LOCAL.fullmatch(shape):
        return True
    if called or (region in _NANP and _US_LOCAL.fullmatch(shape)):
        return True
    return _valid_phone(piece, region)


def _phones(text: str, region: str) -> list[Found]:
    found = []
    for run in _RUN.finditer(text):
        groups = list(re.finditer(r"(?:\(?\+\s?)?\(?\d+\)?", run.group()))
        base, first = run.start(), 0
        while first < len(groups):
            if first and not _breakable(run.group(), groups[first - 1].end(), groups[first].start(), groups[first]):
                first += 1
                continue
            for last in range(min(len(groups), first + 8) - 1, first - 1, -1):
                if last + 1 < len(groups) and not _breakable(
                    run.group(), groups[last].end(), groups[last + 1].start(), groups[last + 1]
                ):
                    continue
                start, end = base + groups[first].start(), base + groups[last].end()
                piece = text[start:end]
                # A bracket around the number is the sentence's, one within it the number's.
                around = piece.startswith("(") and piece.endswith(")")
                start += piece.startswith("(") and (around or ")" not in piece)
                end -= piece.endswith(")") and (around or "(" not in piece)
                if _is_phone(text[start:end].strip(), text[max(0, start - 32) : start], text[end : end + 16], region):
                    found.append(Found(start, end, "phone", "[phone]"))
                    first = last
                    break
            first += 1
    return found


def _breakable(run: str, end: int, start: int, following: re.Match[str]) -> bool:
    """Whether two groups of digits may belong to different numbers: a space, a slash or a new opening is between."""
    return any(c in " \t\u00a0\u202f/" for c in run[end:start]) or following.group()[0] in "(+"


def _numbers(text: str, region: str) -> list[Found]:
    """Cards, IBANs, personal ids, coordinates and phone numbers, in this order of preference; may overlap."""
    found: list[Found] = []
    if not _DIGITS.search(text):
        return found
    found += [
        Found(*match.span(), "place", "[place]")
        for match in _COORDINATES.finditer(text)
        if abs(float(match.group(1))) <= 90 and abs(float(match.group(2))) <= 180
    ]
    found += _ibans(text)
    for match in _CARD.finditer(text):
        digits = _only_digits(match.group())
        usual = len(digits) in (15, 16) or not _ORDER_BEFORE.search(text[max(0, match.start() - 32) : match.start()])
        if usual and _luhn(digits) and _CARD_PREFIX.fullmatch(digits):
            found.append(Found(*match.span(), "card", "[card]"))
    found += [Found(*match.span(), "id", "[id]") for match in _ID_SHAPE.finditer(text)]
    for match in _CPF.finditer(text):
        if _valid_cpf(_only_digits(match.group())):
            found.append(Found(*match.span(), "id", "[id]"))
    for match in _CNPJ.finditer(text):
        if _valid_cnpj(_only_digits(match.group())):
            found.append(Found(*match.span(), "id", "[id]"))
    for match in _DNI.finditer(text):
        prefix, digits, letter = match.groups()
        number = int(f"{'XYZ'.index(prefix.upper())}{digits}") if prefix else int(digits)
        if len(digits) == (7 if prefix else 8) and "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == letter.upper():
            found.append(Found(*match.span(), "id", "[id]"))
    return found + _phones(text, region)


# --- All together ---------------------------------------------------------------------------------------------------


def find_patterns(text: str, region: str = "US", named: Callable[[str], bool] = _nobody) -> list[Found]:
    """The personal data in a text that is told by its form, in order, without overlaps.

    Links are among them with the kind `url` and their cleaned form, also where nothing of them had to go.

    Args:
        text: Any length; lines are fine.
        region: Country (ISO 3166) in which a phone number without country code is read.
        named: Tells whether a part of a link holds somebody's name.
    """
    found: list[Found] = [Found(*match.span(), "kept", match.group()) for match in PLACEHOLDER.finditer(text)]
    lowered = text.lower()
    marked = any(map(lowered.__contains__, _MARKERS))
    if "/" in text or marked:
        for match in _URL.finditer(text):
            url = _trim(match.group())
            if "@" in url and _EMAIL.fullmatch(url):
                continue
            clean = clean_url(url, region, named)
            kind = clean.strip("[]") if PLACEHOLDER.fullmatch(clean) else "url"
            found.append(Found(match.start(), match.start() + len(url), kind, clean))
    if marked:
        found += [Found(*match.span(), "token", "[token]") for match in _TOKEN.finditer(text)]
        for match in _SECRET_AFTER.finditer(text):
            span = match.span("s") if match.group("s") else match.span("b")
            found.append(Found(*span, "token", "[token]"))
    if "@" in text:
        found += [Found(*match.span(), "email", "[email]") for match in _EMAIL.finditer(text)]
    if "°" in text:
        found += [Found(*match.span(), "place", "[place]") for match in _DEGREES.finditer(text)]
    if "+" in text:
        found += [Found(*match.span(), "place", "[place]") for match in _PLUS_CODE.finditer(text)]
    if text.count(":") > 1:
        found += [
            Found(*match.span(), "ip", "[ip]")
            for match in _IPV6.finditer(text)
            if re.search(r"(?i)[0-9a-f]{3}", match.group())
        ]
    if text.count(".") > 2:
        for match in _IPV4_IN_TEXT.finditer(text):
            if not _VERSION_BEFORE.search(text[: match.start()]):
                found.append(Found(*match.span(), "ip", "[ip]"))
    if text.count("-") > 3:
        found += [Found(*match.span(1), "id", "[id]") for match in _PIX_KEY.finditer(text)]
    if _DIGIT.search(text):
        if _STREET_WORD.search(lowered) or _STREET_CAPITAL.search(text):
            found += [Found(*match.span(), "address", "[address]") for match in _street().finditer(text)]
        found += [Found(*match.span(), "id", "[id]") for match in _NINO.finditer(text)]
        found += [
            Found(*match.span(), "id", "[id]") for match in _CODICE.finditer(text) if _valid_codice(match.group())
        ]
    if _DIGITS.search(text):
        found += [Found(*match.span(), "kept", match.group()) for match in _MACHINE_ID.finditer(text)]
        found += _numbers(text, region)
    if len(found) < 2:
        return found
    # Earlier kinds win over later ones: a phone number inside a link is part of the link.
    chosen: list[Found] = []
    for candidate in found:
        place = bisect_left(chosen, candidate)
        after_last = not place or chosen[place - 1].end <= candidate.start
        if after_last and (place == len(chosen) or candidate.end <= chosen[place].start):
            chosen.insert(place, candidate)
    return chosen


def redact_patterns(text: str, region: str = "US") -> str:
    """`text` with phone numbers, addresses, cards, ids, places and credentials replaced by placeholders.

    For single texts such as error messages. Names stay: use the privacy stage where they matter.
    """
    pieces, at = [], 0
    for found in find_patterns(text, region):
        pieces += [text[at : found.start], found.replacement]
        at = found.end
    return "".join(pieces) + text[at:]
