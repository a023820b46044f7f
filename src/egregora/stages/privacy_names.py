"""Names: how one is written in many ways, and how all of them are found in a text at once.

Every way of writing every name is a *needle* of one Aho–Corasick automaton. It runs over the text in folded form (lower
case, no accents, one character for each character, so that places stay valid) and finds needles anywhere; which of
these count is decided by three rules:

- a needle counts between the boundaries of a word (letters; digits, `_` and a change from small to capital letter are
  boundaries), also with letters drawn out ("Brunooo", "Oweeeen") or with a plural or genitive `s`;
- within a hashtag or a handle it counts anywhere from four letters on, and from three at the beginning or end;
- a name that is an ordinary word too ("Will", "Rose", "Sol") counts only where it is capitalised, tagged (`@will`),
  possessive, spoken to ("thanks will") or beside another part of the same person's name; a nickname that is an ordinary
  word ("Mar" for Mariana) only where it is capitalised within a sentence. "Will you" and "May I", "in May" and "May 5"
  are the verb and the month.

Neighbouring parts of one name ("Ana" "Lima") count as one mention. A part that several people bear and that nothing
beside it settles becomes "someone".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, pairwise, permutations
from typing import Any

import numpy as np
from ahocorasick_rs import AhoCorasick, Implementation, MatchKind
from stopwordsiso import stopwords

from egregora.patterns import Found, find_patterns, phone_digits
from egregora.stages.privacy_words import LABELS, NICKNAMES, PARTICLES, PRONOUNS, WORDS

__all__ = ["ODD", "SOMEONE", "Entity", "NameIndex", "clean", "fold", "is_pronoun", "name_words"]

SOMEONE = "someone"

# --- The form of a text ----------------------------------------------------------------------------------------------

# Control characters and escapes could leave their line in a terminal, bidi marks in a page; invisible ones split names.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])|\x9b[0-?]*[ -/]*[@-~]")
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
ODD = f"{_UNSEEN.pattern}|[\r\u034f\u200c\u200d\ufe00-\ufe0f\u0300-\u036f]"
"""What `clean` takes out, perhaps; it only composes a text without any of it. Also for RE2."""
_ODD = re.compile(ODD)
# Latin, Greek and Cyrillic letters, which stand alone or under an accent of their own.
_PLAIN = "A-Za-z0-9\u00c0-\u024f\u0370-\u052f"
_JOINER = re.compile(f"(?<=[{_PLAIN}])[\u034f\u200c\u200d\ufe00-\ufe0f\u0300-\u036f]+(?=[{_PLAIN}]|$|[^\\w\u20e3])")


def clean(text: str) -> str:
    """`text` in composed form, without control, bidi and invisible characters; newline, tab and emoji stay."""
    if text.isprintable() and text.isascii():
        return text
    if not _ODD.search(text):
        return unicodedata.normalize("NFC", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\x1b" in text or "\x9b" in text:
        text = _ANSI.sub("", text)
    text = unicodedata.normalize("NFC", _UNSEEN.sub("", text))
    return _JOINER.sub("", text) if not text.isascii() else text


# Letters that no accent explains: barred ones, the end of a Greek word, and Arabic letters that people write alike.
_BARE = {
    "ø": "o",
    "đ": "d",
    "ł": "l",
    "ı": "i",
    "ħ": "h",
    "ð": "d",
    "ς": "σ",
    "\u0629": "\u0647",
    "\u0649": "\u064a",
    "\u06cc": "\u064a",
    "\u06a9": "\u0643",
}


class _Fold(dict[int, str]):
    """One character for one: small, without accent; any space, hyphen, dot or low line is a space."""

    def __missing__(self, point: int) -> str:
        char = chr(point)
        if char.isspace() or char in "_-.\u2010\u2011\u2012\u2013\u2014\u00b7":
            folded = " " if char not in "\n\t" else char
        elif char in "\u2019\u02bc\u2018`\u00b4\u02b9\u02bb\u02c8\u2032\ua78c\uff07":
            folded = "'"
        else:
            whole = unicodedata.normalize("NFKD", char)
            base = whole[0] if all(unicodedata.combining(c) for c in whole[1:]) else char
            low = _BARE.get(base.lower(), base.lower())
            folded = low if len(low) == 1 else base
        self[point] = folded
        return folded


_FOLD = _Fold()


def fold(text: str) -> str:
    """The form in which names are compared; as long as `text`, character by character."""
    return text.translate(_FOLD)


# Vowel signs and such, from Hebrew to Khmer: part of a word, though no letters.
_MARKS = "".join(char for char in map(chr, range(0x591, 0x1A00)) if unicodedata.category(char)[0] == "M")
# Those of Hebrew and Arabic, which people leave out, and what draws an Arabic word out.
_SIGNS = re.compile("[\u0591-\u05c7\u0640\u064b-\u065f\u0670]")

# The same for all characters of a batch at once: filled in where a character occurs for the first time.
_FOLDED = np.zeros(0x110000, np.uint32)
_LETTERS = np.zeros(0x110000, np.uint8)
_LETTER, _CAPITAL, _SIGN = 1, 2, 4


def _is_part(char: str) -> bool:
    """Whether a character belongs to a word."""
    return char.isalpha() or char in _MARKS


def _learn_points(points: Iterable[int]) -> None:
    for point in points:
        char = chr(point)
        _FOLDED[point] = ord(_FOLD[point])
        # An apostrophe may be a letter to Unicode.
        sign = bool(_SIGNS.match(char))
        _LETTERS[point] = _LETTER * _is_part(_FOLD[point]) | _CAPITAL * char.isupper() | _SIGN * sign


_learn_points(range(0x180))


def _fold_points(points: np.ndarray[Any, np.dtype[np.uint32]]) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """`fold` for code points; `_LETTERS` is valid for them afterwards."""
    folded = _FOLDED.take(points)
    if not folded.all():
        _learn_points(set(points[folded == 0].tolist()))
        folded = _FOLDED.take(points)
    return folded


_NAME_WORD = re.compile(rf"[^\W\d_](?:[^\W\d_]|[{_MARKS}])*(?:['’](?:[^\W\d_]|[{_MARKS}])+)*")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_EASTERN = re.compile("^(?:[\u3400-\u9fff]{3,4}|[\uac00-\ud7af]{3,4})$")
_CYRILLIC = re.compile("^[\u0400-\u04ff]+$")
_CASES = {
    kind: tuple(fold(ending) for ending in endings.split())
    for kind, endings in {
        "а": "а у е ы и ой ою ей ею ам ами ах ин ина ину ины иной",
        "я": "я ю е и ей ею ям ями ях ин ина ину ины иной",
        "ь": "ь я ю е и ем ью",
        "и": "й я ю е и ем",
        "о": "о а у е ом",
        "": "а у е ом ем ы и ой ым ых ыми ов ова ову овой",
        "ая": "ая ую ой ою ий ый ого ому ым им ом ем ие ые их ых ими ыми яя юю ей его ему",
    }.items()
}
"""What Russian names end in, by what their first case ends in."""
_ADJECTIVE = tuple(fold(ending) for ending in ("ая", "яя", "ий", "ый", "ой"))
_GREEK = re.compile("^[\u0370-\u03ff]+[\u03b1\u03b7\u03bf]\u03c3$")
# Kanji before kana: 田中さくら.
_JAPANESE = re.compile("^([\u3400-\u9fff]{1,4})([\u3040-\u30ff]{2,6})$")
_CHINESE = re.compile("^[\u3400-\u9fff]{2,3}$")
_CHINESE_BEFORE = "老阿"
_CHINESE_BEHIND = ("先生", "小姐", "女士", "老师", "总", "哥", "姐", "叔")
# Hebrew and Arabic write "and", "to", "the" onto the name.
_PREFIXED = re.compile("[\u0590-\u07bf]")
_PREFIXES = frozenset("ובלהמשכوفبلكسا")


def name_words(name: str) -> list[str]:
    """The folded words of a name, without digits and signs."""
    return [_SIGNS.sub("", fold(word)) for word in _NAME_WORD.findall(clean(name))]


_FIRST_NAMES_TOO = frozenset(("al", "ben", "mac", "santo"))
"""Particles that are a name where they come first."""
# In the lists of stop words, but more often names in a chat.
_NAMES_AFTER_ALL = frozenset(("ali", "ben", "dan", "mia", "sue", "ana", "sara", "otto", "sean", "edu"))
_LANGUAGES = ("en", "pt", "es", "fr", "de", "it", "nl", "ru")
_STOP_WORDS = frozenset(fold(word) for language in _LANGUAGES for word in stopwords(language))
_COMMON = (WORDS | _STOP_WORDS) - _NAMES_AFTER_ALL
"""Ordinary words, folded: our own list and the stop words of eight languages."""
_SHORT_WORDS = frozenset(
    [
        "be",
        "je",
        "le",
        "la",
        "so",
        "si",
        "di",
        "re",
        "te",
        "se",
        "vi",
        "mi",
        "ma",
        "mo",
        "ti",
        "al",
        "em",
        "es",
        "sa",
        "pa",
        "ka",
    ]
)

# --- Ways of writing a name ------------------------------------------------------------------------------------------

STRONG, WORD, GUESS = 3, 2, 1
"""How a needle counts: in any case; capitalised; capitalised within a sentence."""


def _diminutives(name: str) -> set[str]:
    """Diminutives by rule, Portuguese, Spanish and English: Pedro → pedrinho, Lucas → luquinhas, Dan → danny."""
    found = {name + ending for ending in ("zinho", "zinha", "zito", "zita", "zao")}
    plural = "s" if name.endswith("s") else ""
    stem = name.removesuffix("s") if len(name) > 3 else name
    if stem and stem[-1] in "aeio" and len(stem) > 2:
        stem = stem[:-1]
        if stem.endswith("i") and len(stem) > 3:
            stem = stem[:-1]
        hard = stem[:-1] + {"c": "qu", "g": "gu"}[stem[-1]] if stem[-1] in "cg" else stem
        for root in {stem, hard}:
            found |= {root + ending + tail for ending in ("inho", "inha", "ito", "ita") for tail in {"", plural}}
            found |= {stem + "ao", stem + "ona", stem + "uxo", stem + "uxa"}
    elif stem:
        found |= {stem + ending + tail for ending in ("inho", "inha", "ito", "ita") for tail in {"", plural}}
    for length in (3, 4, 5):
        if len(name) >= length and name[length - 1] not in "aeiouyhwj":
            start = name[:length]
            found |= {start + "y", start + "ie", start + start[-1] + "y", start + start[-1] + "ie"}
            found |= {start + "i"} if length < len(name) else set()
    return found


# How letters with two dots and such are written without them, where it takes two.
_IN_TWO = {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "æ": "ae", "ø": "oe", "œ": "oe", "þ": "th", "ß": "ss"}
_IN_TWO_AS_ONE = str.maketrans(_IN_TWO)
_ONE_AS_TWO = re.compile("([aou])e(?=[bcdfghklmnprstvwxz])")


def _spellings(name: str) -> set[str]:
    """The name, and as whoever lacks its letters writes it: Müller → Mueller, Mueller → Muller."""
    composed = clean(name).lower()
    found = {name, composed.translate(_IN_TWO_AS_ONE)}
    if not found.isdisjoint((composed, name)) and _ONE_AS_TWO.search(composed):
        found.add(_ONE_AS_TWO.sub(r"\1", composed))
    return found | _in_latin(composed) | _in_cyrillic(composed)


# Russian and Ukrainian letters in Latin ones as passports, libraries and people write them, who differ in a few.
_ROMAN = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґў",
        "a b v g d e e zh z i y k l m n o p r s t u f kh ts ch sh shch - y - e yu ya i yi ye g u".split(),  # noqa: SIM905
        strict=True,
    )
) | {"-": "-"}
_ROMAN |= {letter: "" for letter, roman in _ROMAN.items() if roman == "-" and letter != "-"}
_ROMAN_WAYS: tuple[dict[str, str], ...] = (
    {"ий": "y", "ый": "y"},
    {"ий": "iy", "ый": "iy", "ия": "ia", "ья": "ia", "х": "h", "ё": "yo", "щ": "sch"},
    {"ий": "i", "ый": "y", "й": "i", "ия": "ia", "ья": "ia", "ю": "iu", "я": "ia", "кс": "x"},
    {"ий": "ii", "й": "i", "ю": "iu", "я": "ia", "ъ": "ie"},
)
_PAIRS = re.compile("ий|ый|ия|ья|кс|.", re.DOTALL)
_CYRILLIC_LETTER = re.compile("[\u0400-\u04ff]")


def _in_latin(name: str) -> set[str]:
    """Ways in which a name in small Cyrillic letters is written in Latin ones: дмитрий → dmitry, dmitriy, dmitrii."""
    if not _CYRILLIC_LETTER.search(name):
        return set()

    def written(way: dict[str, str]) -> str:
        def one(match: re.Match[str]) -> str:
            pair = match.group()
            return way[pair] if pair in way else "".join(way.get(c, _ROMAN.get(c, c)) for c in pair)

        return _PAIRS.sub(one, name)

    return {written(way) for way in _ROMAN_WAYS}


_LATIN_SOUNDS = dict(
    zip(
        "shch sch sh ch zh kh ts ya ia ye yu iu yo x".split(),  # noqa: SIM905
        "щ щ ш ч ж х ц я я е ю ю е кс".split(),  # noqa: SIM905
        strict=True,
    )
) | dict(zip("abcdefghijklmnopqrstuvwyz", "абкдефгхийклмнопкрстуввыз", strict=True))
_LATIN_SOUND = re.compile("|".join(sorted(_LATIN_SOUNDS, key=len, reverse=True)))
_LATIN_ADJECTIVE = re.compile(r"(?<=[bcdfghklmnprstvz])(?:iy|ii|y|i)\b")


@cache
def _russian() -> dict[str, str]:
    """Russian first names as people write them in Latin letters, and in Cyrillic ones, folded."""
    # As `NICKNAMES` has them an и may have been й; what that makes of the ways is the same.
    names = sorted(name for name in NICKNAMES if _CYRILLIC.match(name))
    unfolded = (name[:-1] + "й" if name.endswith(("ии", "еи", "аи")) else name for name in names)
    return {latin: name for name, whole in zip(names, unfolded, strict=True) for latin in _in_latin(whole)}


def _in_cyrillic(name: str) -> set[str]:
    """A Russian name in small Latin letters as it is in Cyrillic ones, if its first is known: olga → ольга."""
    first, _, rest = name.partition(" ")
    found = _russian().get(first)
    if not found:
        return set()
    last = rest
    if rest.isascii():
        last = _LATIN_SOUND.sub(lambda match: _LATIN_SOUNDS[match.group()], _LATIN_ADJECTIVE.sub("ий", rest))
    return {f"{found} {last}".strip()}


def _beginnings(name: str) -> set[str]:
    """Short forms that begin a name: Alexandre → ale, alex; Christopher → chris."""
    found = {name[:length] for length in (3, 4) if len(name) >= length + 2}
    if len(name) >= 7 and name[4] not in "aeiou":
        found.add(name[:5])
    return found


def _cyrillic_forms(word: str) -> set[str]:
    """A folded name in other cases: марья → марью, дмитрии → дмитрию, павел → павла, белозерская → белозерскои."""
    if len(word) < 3:
        return set()
    found = set()
    if word[-1] in "аяьио":
        found = {word[:-1] + ending for ending in _CASES[word[-1]]}
        if word.endswith(_ADJECTIVE) and len(word) >= 5:
            found |= {word[:-2] + ending for ending in _CASES["ая"]}
    elif word[-1] not in "еуыэю":
        stems = {word}
        if word[-2] in "ео":
            # A vowel that is there for the last consonant alone.
            stems |= {word[:-2] + word[-1], f"{word[:-2]}ь{word[-1]}"}
        found = {stem + ending for stem in stems for ending in _CASES[""]}
    return found - {word}


def _cyrillic_nicknames(nick: str, strength: int) -> Iterator[tuple[str, int, int]]:
    """What is made of a short form, folded: маша → машу, and маш!, машенька, машуля."""
    for form in sorted(_cyrillic_forms(nick) - _STOP_WORDS):
        if len(form) > 2:
            yield form, strength if form not in _COMMON else GUESS, 2
    for latin in sorted(_in_latin(nick) - _COMMON):
        yield latin, _strength(latin, usual=True), 2
    if nick[-1] not in "ая" or len(nick) < 3:
        return
    stem, soft = nick[:-1], nick[-1] == "я"
    called = stem + "ь" if soft else stem
    if len(called) > 2 and called not in _STOP_WORDS:
        yield called, GUESS if called in _COMMON else WORD if len(called) < 5 else STRONG, 2
    for ending in _CYRILLIC_FOND_SOFT if soft else _CYRILLIC_FOND:
        fond = stem + ending
        for form in sorted({fond, *_cyrillic_forms(fond)} - _STOP_WORDS):
            yield form, _strength(form, usual=False), 2


_CYRILLIC_FOND = ("очка", "ечка", "енька", "уля", "уша", "уня", "ушка")
_CYRILLIC_FOND_SOFT = ("ечка", "енька", "юша", "юля", "юня", "юшка")


def _nicknames(first: str) -> set[str]:
    found = _diminutives(first) | set(NICKNAMES.get(first, "").split())
    if len(first) >= 5:
        found |= _beginnings(first)
    return {nick for nick in found if len(nick) >= 2 and nick != first}


@cache
def _written_forms(name: str) -> list[tuple[str, int, int]]:
    """Every way of writing one person's name: needle, how it counts, and its level.

    Level 0 is the whole name, 1 a part of it, 2 a nickname: where people share a needle, the lowest level owns it.
    """
    words = name_words(name)
    if len(words) < 2:
        return _parts(words, level=0) if words else []
    forms: list[tuple[str, int, int]] = [(" ".join(words), STRONG, 0)]
    bearing = [
        word
        for place, word in enumerate(words)
        if word not in LABELS and (word not in PARTICLES or (not place and word in _FIRST_NAMES_TOO))
    ]
    if not bearing:  # "Tia Dona": nothing but labels, so only the whole is a name.
        return forms
    for start in range(len(words)):
        for end in range(start + 2, min(start + 6, len(words)) + 1):
            if any(word in bearing and len(word) > 2 for word in words[start:end]):
                forms += [(" ".join(words[start:end]), STRONG, 1)]
    glued = [word.replace("'", "") for word in words]
    parts = [word.replace("'", "") for word in bearing]
    for joined in {
        "".join(glued),
        "".join(parts),
        *(part[0] + parts[-1] for part in parts[:1]),
        *map("".join, permutations(parts[:6], 2)),
        *map("".join, pairwise(glued)),
    }:
        if len(joined) >= 5:
            forms.append((joined, STRONG if joined not in _COMMON else WORD, 1))
    forms += _short_for_two(parts, hyphened=bool(_TWO_IN_ONE.match(clean(name))))
    if len(bearing) > 1 and len(bearing[0]) > 1:
        forms.append((f"{bearing[0]} {bearing[-1]}", STRONG, 1))
        forms.append((f"{bearing[0]} {bearing[-1][0]}", STRONG if bearing[0] not in _COMMON else WORD, 1))
    return forms + _parts(bearing, level=1)


def _strength(nick: str, *, usual: bool) -> int:
    """How a nickname counts, if it does: one that people use, or one that a rule has formed."""
    if len(nick) == 2:
        return WORD if usual and nick not in _SHORT_WORDS else GUESS
    if usual:
        return WORD if nick in _COMMON else STRONG
    if nick in _STOP_WORDS:
        return 0
    # So short, it may be a word of some language: "serie", "anti", "tia".
    return GUESS if nick in _COMMON or len(nick) < 5 else WORD if len(nick) == 5 else STRONG


_TWO_IN_ONE = re.compile(r"[^\W\d_]+-[^\W\d_]|(?:[^\W\d_]\.\s?){2}")
_ABBREVIATIONS = frozenset(
    """
    ac ad ai am ap bb bc bi cc cd cf cp cv dc dj dm dr ec es eu ex fc fm fr gb gm gp gt hd hp hq hr ia id ii in io ip
    iq it iv jr kg km la lg lp ma mb mc md mg ml mm mp mr ms mt nb ng no nr ny ok or pa pc pe pg ph pm pr ps pt pv qi
    ra rg rh rj rn rs rt sa sc se sg si sp sr st su te tv uk un us va vc vi vs wc xl xp
    """.split()  # noqa: SIM905
)
"""Two capitals that mean something else."""


def _short_for_two(bearing: list[str], *, hyphened: bool) -> Iterator[tuple[str, int, int]]:
    """What two first names become: João Pedro → JP, José Luis → joselu, María Pilar → mapi, maripi."""
    if len(bearing) < 3 and not (hyphened and len(bearing) > 1):
        return
    first, second = bearing[:2]
    if _UNSPACED.search(first + second):
        return
    if first[0] + second[0] not in _ABBREVIATIONS:
        yield first[0] + second[0], GUESS, 2
    if len(second) < 3 or len(first) < 3:
        return
    ends = {second[:2], second[:3], *NICKNAMES.get(second, "").split()}
    for blend in {head + end for head in (first[:2], first[:4], first) for end in ends}:
        if len(blend) >= 4 and blend not in (first, second) and blend not in _COMMON:
            yield blend, WORD if len(blend) < 6 else STRONG, 2


def _parts(bearing: list[str], level: int) -> list[tuple[str, int, int]]:
    forms: list[tuple[str, int, int]] = []
    for place, word in enumerate(bearing):
        unspaced = bool(_UNSPACED.search(word))
        if len(word) >= (2 if place == 0 or unspaced else 3):
            ordinary = word in _COMMON or word in LABELS or len(word) == 2
            forms.append((word, WORD if ordinary and not unspaced else STRONG, level))
        elif len(word) == 2 and word not in _COMMON and word not in _SHORT_WORDS:
            forms.append((word, GUESS if word.upper() != word else WORD, level))
        if _EASTERN.match(word):
            # The family name stands first: one sign of three, two of four.
            forms += [(word[1:], STRONG, 1)] if len(word) == 3 else [(word[:2], STRONG, 1), (word[2:], STRONG, 1)]
            if _CHINESE.match(word):
                # 王小明 is 老王 and 王先生 to people.
                forms += [(before + word[0], STRONG, 2) for before in _CHINESE_BEFORE]
                forms += [(word[0] + behind, STRONG, 2) for behind in _CHINESE_BEHIND]
        japanese = _JAPANESE.match(word)
        if japanese:
            forms += [(part, STRONG, 1) for part in japanese.groups() if len(part) > 1]
        if _GREEK.match(word) and len(word) >= 4:
            forms += [(word[:-1], STRONG, 1), (word[:-2] + "ου", STRONG, 1), (word[:-2] + "ε", STRONG, 1)]
        if _CYRILLIC.match(word) and len(word) >= 3:
            for form in sorted(_cyrillic_forms(word) - _STOP_WORDS):
                forms.append((form, WORD if form in _COMMON or len(form) < 4 else STRONG, 1))
        if len(word) >= 4 and not unspaced:
            # "W I L L I A M", "W.I.L.L.I.A.M"
            forms.append((" ".join(word), STRONG, 1))
        if "'" in word:
            forms.append((word.replace("'", ""), STRONG, level))
            forms += [(piece, STRONG, 1) for piece in word.split("'") if len(piece) >= 3 and piece not in _COMMON]
    first = bearing[0]
    if len(first) >= 3 and not _UNSPACED.search(first):
        usual = set(NICKNAMES.get(first, "").split())
        for nick in sorted(_nicknames(first)):
            strength = _strength(nick, usual=nick in usual)
            if not strength:
                continue
            forms.append((nick, strength, 2))
            if nick in usual and _CYRILLIC.match(nick):
                forms += _cyrillic_nicknames(nick, strength)
    for second in bearing[1:]:
        # "Ana Beatriz" is called Bia as well; by rule only the first name is shortened.
        forms += [
            (nick, WORD if nick in _COMMON or len(nick) == 2 else STRONG, 2)
            for nick in NICKNAMES.get(second, "").split()
            if nick not in _SHORT_WORDS
        ]
    return forms


# --- Everything that is looked for -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entity:
    """Someone or something whose names are looked for.

    Attributes:
        names: As written by whoever named it.
        replacement: What stands in its place.
        kind: `person`, `outsider` (named, but takes no part), `group`, `word` or `alias` (stays as it is).
        phones: Digits with country code.
    """

    names: tuple[str, ...]
    replacement: str
    kind: str = "person"
    phones: tuple[str, ...] = ()


_RANK = {"alias": 0, "person": 1, "word": 2, "outsider": 3, "group": 4}


@dataclass
class _Needle:
    """A way of writing and whom it may mean: `owners` (at its best level) and `bearers` (at any)."""

    strength: int
    rank: int
    level: int
    owners: set[int] = field(default_factory=set)
    bearers: set[int] = field(default_factory=set)
    unspaced: bool = False
    prefixed: bool = False


_DIGITS = re.compile(r"(?<!\d)\d(?:[ .()\-\u00a0\u2010-\u2015]{0,2}\d){7,15}(?!\d)")
_TAG = re.compile(r"[@#][^\s@#,;:!?()\[\]{}\"“”<>|]*")
_THRICE = re.compile(r"([^\W\d_])\1\1+")
_LOOSE = re.compile(f"{_THRICE.pattern}|{_SIGNS.pattern}")
_GAP = re.compile(r"[ \u00a0._\-]{0,3}(?:(?:d[aeo]s?|del|de la|van|von|der|y|e) )?")
_SPOKEN_TO = re.compile(
    r"(?i)(?:^|[^\w])(?:hi|hey|hello|thanks|thank you|thx|dear|love you|good morning|good night|happy birthday|congrats"
    r"|congratulations|welcome|bye|oi|oie|ola|olá|obrigad[oa]|brigad[oa]|valeu|vlw|querid[oa]|bom dia|boa noite"
    r"|boa tarde|parab[eé]ns|feliz anivers[aá]rio|bem[- ]vind[oa]|tchau|cadê|hola|gracias|buenos días|buenas noches"
    r"|felicidades|feliz cumpleaños|hallo|danke|servus|moin|tschüss|guten morgen|gute nacht|liebe[rs]?|merci|salut"
    r"|bonjour|bonsoir|coucou|ch[eè]re?|bon anniversaire|ciao|grazie|buongiorno|buonanotte|car[oa]|auguri|hoi"
    r"|dank je|bedankt|goedemorgen|gefeliciteerd)[ ,]{1,2}$"
)
_TITLE_BEFORE = re.compile(
    r"(?i)\b(?:sra?|dra?|mrs?|ms|profa?|miss|aunt|auntie|uncle|grandma|grandpa|dona|seu|tia|tio|vó|vô|vovó|vovô|doña|don|tía"
    r"|tío|frau|herr|tante|onkel|mme|madame|monsieur|tonton|signora|signor|zia|zio|mevrouw|meneer)\.? $"
)
_TITLE_ENDINGS = frozenset("rasſfRASF.sSetuyYnNoOóÓôÔeETU")
_SPEAKS = re.compile(
    r"(?i) (?:said|says|told me|told us|asked|thinks|wrote|disse|diz|falou|mandou|perguntou|chegou|acha|escreveu|dijo"
    r"|dice|preguntó|escribió|sagt|sagte|meint|meinte|fragt|schreibt|hat gesagt|a dit|dit que|pense|ha detto|dice che"
    r"|scrive|zei|zegt|vraagt|schrijft)\b"
)
_PLURAL_ARTICLE = re.compile(r"(?i)(?<!\w)(?:the|os|as|los|las|les|die|i|gli|le|de) $")
_POSSESSIVE = re.compile(r"['’]s\b(?! (?:all|not|be|see|a\b))")
_ADDRESSED = re.compile(r"\s?(?:[,!?](?!\s*\d)|:\s)")
# Accents make these words, whoever is called like them without: Marco, Sara, Bete, Nino.
_NO_NAMES = frozenset(("março", "sarà", "bête", "tête", "francês", "niño", "niña", "niños", "niñas", "mère"))
_VERB_AFTER = {
    "will": re.compile(
        r"(?i) +(?:you|we|they|it|he|she|i|the|there|this|that|these|those|do|be|try|go|send|check"
        r"|call|bring|anyone|anybody|someone|everyone|your|my|his|her|our|their)\b"
    ),
    "may": re.compile(r"(?i) +(?:i|you|we|they|it|he|she|the|be|there|this|that|your|his|her|not)\b|(?:'s)? *\d"),
    "mark": re.compile(r"(?i) +(?:my words|your calendars?|the date)\b"),
    "let": re.compile(r"['’]?s?\b"),
    "can": re.compile(r"(?i) +(?:you|we|they|it|he|she|i|someone|anyone|the)\b"),
}
_MONTHS = frozenset(
    (
        "may",
        "april",
        "june",
        "august",
        "march",
        "abril",
        "maio",
        "junho",
        "agosto",
        "julho",
        "summer",
        "autumn",
        "sunday",
        "monday",
        "domingo",
        "domingos",
        "christmas",
        "natal",
    )
)
_MONTH_BEFORE = re.compile(
    r"(?i)(?:\d(?:st|nd|rd|th)?(?: of| de)? |\b(?:in|during|early|late|mid|last|next|this|every"
    r"|end of|beginning of|start of|em|no|on) )$"
)
_MONTH_AFTER = re.compile(r"^,? \d")


class NameIndex:
    """All names of a site, found at once.

    Args:
        entities: Whose names are looked for.
        region: Country (ISO 3166) in which phone numbers without country code are read.
    """

    def __init__(self, entities: Sequence[Entity], region: str = "US") -> None:
        self.region = region
        self.entities = list(entities)
        self._needles: dict[str, _Needle] = {}
        self.phones: dict[str, int] = {}
        for number, entity in enumerate(self.entities):
            for phone in entity.phones:
                self.phones.setdefault(phone, number)
            for name in entity.names:
                for needle, strength, level in self._forms(entity, name):
                    self._add(needle, strength, level, number)
        for needle in ("someone", *(n for n, found in self._needles.items() if not found.owners)):
            self._needles.pop(needle, None)
        self._texts = sorted(self._needles)
        self._found = [self._needles[text] for text in self._texts]
        self._automaton = AhoCorasick(
            self._texts or ["\x00"], matchkind=MatchKind.Standard, implementation=Implementation.DFA
        )
        self._within_words = np.array([needle.unspaced or needle.prefixed for needle in self._found], np.bool_)
        self._certain = np.array([needle.strength == STRONG for needle in self._found], np.bool_)

    @staticmethod
    def _forms(entity: Entity, name: str) -> list[tuple[str, int, int]]:
        words = name_words(name)
        if entity.kind == "person":
            return [form for spelling in sorted(_spellings(name)) for form in _written_forms(spelling)]
        whole = " ".join(words)
        if entity.kind == "alias":
            return [(whole, STRONG, 0), ("".join(words), STRONG, 0)] if words else []
        if entity.kind == "word":
            literal = fold(clean(name)).strip()
            return [(form, STRONG, 0) for form in {whole, literal} if form]
        if entity.kind == "group":
            if len(words) == 1:
                return [(whole, WORD if whole in _COMMON | LABELS else STRONG, 0)] if len(whole) > 2 else []
            glued = "".join(words)
            return [(whole, STRONG, 0), *([(glued, STRONG, 0)] if len(glued) >= 6 else [])] if words else []
        if not words:
            return []
        parts = [word for word in words if len(word) > 2 and word not in LABELS and word not in PARTICLES]
        return [
            (whole, STRONG if len(words) > 1 else WORD, 0),
            *((word, GUESS if word in _COMMON else WORD, 1) for word in parts if len(words) > 1),
        ]

    def _add(self, text: str, strength: int, level: int, number: int) -> None:
        rank = _RANK[self.entities[number].kind]
        needle = self._needles.get(text)
        if needle is None:
            needle = self._needles[text] = _Needle(
                strength, rank, level, unspaced=bool(_UNSPACED.search(text)), prefixed=bool(_PREFIXED.match(text))
            )
        elif rank > needle.rank:
            return
        elif rank < needle.rank:
            needle.owners, needle.bearers = set(), set()
            needle.rank, needle.level, needle.strength = rank, level, max(strength, needle.strength)
        elif level < needle.level:
            needle.owners, needle.level = set(), level
        needle.strength = max(strength, needle.strength)
        needle.bearers.add(number)
        if level == needle.level:
            needle.owners.add(number)

    # --- Single texts ---

    def _boundaries(self, text: str, folded: str, start: int, end: int, needle: _Needle) -> int:
        """The end of the match if it stands as a word, its drawn-out letters and plural taken in; else -1."""
        if needle.unspaced:
            return end
        if (
            start
            and _is_part(folded[start - 1])
            and _is_part(folded[start])
            and not (text[start].isupper() and not text[start - 1].isupper())
        ):
            before = start
            while before and before > start - 3 and text[before - 1] in _PREFIXES:
                before -= 1
            if not needle.prefixed or (before and _is_part(folded[before - 1])):
                return -1
        size = len(text)
        if end >= size or not _is_part(folded[end]) or not _is_part(folded[end - 1]):
            return end
        if text[end].isupper() and not text[end - 1].isupper():
            return end
        last, at = folded[end - 1], end
        while at < size and folded[at] == last:
            at += 1
        stop = at if at > end else end + 1 if folded[end] == "s" and end - start >= 4 else end
        if stop == end or (stop < size and _is_part(folded[stop])) or folded[start:stop] in _COMMON:
            return -1
        if needle.strength == STRONG or (at > end and (at - end > 1 or text[start].isupper())):
            return stop
        # "the Clarks": of a name that is a word, a plural needs a capital and an article.
        family = text[start].isupper() and needle.level < 2 and _PLURAL_ARTICLE.search(text[max(0, start - 6) : start])
        return stop if family else -1

    def _counts(self, text: str, folded: str, start: int, end: int, needle: _Needle) -> bool:
        """Whether a match of a name that may be an ordinary word is the name here."""
        if text[start:end].lower() in _NO_NAMES:
            return False
        if needle.strength == STRONG:
            return True
        first = text[start]
        # U+001E divides the texts of a batch.
        before = text[max(0, start - 24) : start].rpartition("\x1e")[2]
        after = text[end : end + 24].partition("\x1e")[0]
        if before[-1:] in ("@", "#"):
            return True
        word = folded[start:end]
        if word in _MONTHS and (_MONTH_BEFORE.search(before) or _MONTH_AFTER.match(after)):
            return False
        if not (first.isupper() or first.lower() == first.upper()):
            if before[-2:-1] in _TITLE_ENDINGS and _TITLE_BEFORE.search(before):
                return True
            if needle.strength == GUESS:
                return False
            if _POSSESSIVE.match(after) or _SPEAKS.match(after) or not f"{before}{after}".strip(" .,!?"):
                return True
            if (not before and after[:2] == ", ") or (before[-2:] == ", " and after in ("?", "!")):
                return True
            return not after[1:2].isalpha() and bool(_SPOKEN_TO.search(before))
        lead = before.rstrip(" \u00a0\"'“‘(*_~@#")
        starts = not lead or lead[-1] in ".!?…\n:;–—•>-" or "\n" in before[len(lead) :]
        within = not starts or bool(_TITLE_BEFORE.search(before))
        if len(word) == 2 and after[:1].isdecimal():
            return False
        if needle.strength == WORD:
            # Only at the beginning of a sentence may a capital be the verb's.
            verb = _VERB_AFTER.get(word)
            return within or not (verb and verb.match(after))
        if not within:
            within = bool(_ADDRESSED.match(after) or _POSSESSIVE.match(after) or _SPEAKS.match(after))
        return within and not text.isupper()

    def _drawn_out(self, text: str, folded: str, places: Iterable[int]) -> Iterator[tuple[int, int, _Needle]]:
        """Names once drawn-out letters stand once or twice ("Oweeeen", "Hannnah") and vowel signs are gone.

        Args:
            text, folded: The text and its folded form.
            places: Where, in order, such letters or signs stand; the words around them are looked at.
        """
        end = 0
        for place in places:
            if place < end:
                continue
            start = end = place
            while start and _is_part(folded[start - 1]):
                start -= 1
            while end < len(folded) and _is_part(folded[end]):
                end += 1
            word = _SIGNS.sub("", folded[start:end])
            for squeezed in (_THRICE.sub(r"\1", word), _THRICE.sub(r"\1\1", word)):
                needle = self._needles.get(squeezed)
                if needle is None and squeezed[:1] in _PREFIXES:
                    needle = self._needles.get(squeezed[1:])
                if needle and (needle.strength == STRONG or (needle.strength == WORD and text[start].isupper())):
                    yield start, end, needle
                    break

    def _name_spans(self, text: str, taken: Sequence[Found]) -> list[tuple[int, int, set[int], set[int]]]:
        """Start, end, owners and bearers of every mention, in order, without overlaps."""
        folded = fold(text)
        matches = self._automaton.find_matches_as_indexes(folded, overlapping=True)
        drawn = list(self._drawn_out(text, folded, [run.start() for run in _LOOSE.finditer(folded)]))
        if not matches and not drawn:
            return []
        tags = [match.span() for match in _TAG.finditer(text)] if "@" in text or "#" in text else []
        sure: list[tuple[int, int, _Needle]] = []
        unsure: list[tuple[int, int, _Needle]] = []
        for index, start, end in matches:
            needle = self._found[index]
            if any(start < found.end and end > found.start for found in taken):
                continue
            stop = self._boundaries(text, folded, start, end, needle)
            if stop < 0:
                for tag_start, tag_end in tags:
                    if tag_start < start and end <= tag_end and needle.strength == STRONG:
                        length = end - start
                        if length >= 4 or (length == 3 and (start == tag_start + 1 or end == tag_end)):
                            sure.append((start, end, needle))
                            break
                continue
            (sure if self._counts(text, folded, start, stop, needle) else unsure).append((start, stop, needle))
        sure += [word for word in drawn if not any(word[0] < found.end and word[1] > found.start for found in taken)]
        if not sure:
            return []
        if unsure:
            # "will turner": an uncertain part beside a certain one of the same person is that person's.
            for start, end, needle in unsure:
                for other_start, other_end, other in sure:
                    gap = text[end:other_start] if end <= other_start else text[other_end:start]
                    if (
                        (end <= other_start or other_end <= start)
                        and _GAP.fullmatch(gap)
                        and needle.bearers & other.bearers
                    ):
                        sure.append((start, end, needle))
                        break
        sure.sort(key=lambda span: (span[0], -span[1]))
        spans: list[tuple[int, int, set[int], set[int]]] = []
        at = 0
        for start, end, needle in sure:
            if start < at:
                if end <= at:
                    continue
                # Two mentions that overlap ("Ana Paula" and "Paula Lima") hide everything that they cover.
                last = spans[-1]
                common = last[3] & needle.bearers
                spans[-1] = (last[0], end, common or last[2], common or last[3])
            else:
                spans.append((start, end, needle.owners, needle.bearers))
            at = end
        merged: list[tuple[int, int, set[int], set[int]]] = []
        for span in spans:
            if merged:
                last = merged[-1]
                common = last[3] & span[3]
                if common and _GAP.fullmatch(text[last[1] : span[0]]):
                    merged[-1] = (last[0], span[1], common, common)
                    continue
            merged.append(span)
        return merged

    def named(self, text: str) -> bool:
        """Whether a part of a link names someone, glued to other words or not."""
        folded = fold(text)
        for index, start, end in self._automaton.find_matches_as_indexes(folded, overlapping=True):
            needle = self._found[index]
            if needle.rank == _RANK["alias"]:
                continue
            if needle.strength == STRONG and end - start >= 5 and needle.level < 2:
                return True
            # A word that is a name too counts where nothing else stands: "/@rose", "?by=rose".
            alone = needle.strength == WORD and needle.level < 2 and end == len(text) and text[:start] in ("", "@")
            if (alone or needle.strength == STRONG) and self._boundaries(text, folded, start, end, needle) >= 0:
                return True
        return False

    def find(self, text: str, shaped: bool = True) -> list[Found]:
        """Names and personal data in a text that went through `clean`, in order, without overlaps.

        Args:
            text: Any length.
            shaped: Whether there may be anything but names: False where `SUSPECT` found nothing.
        """
        found = find_patterns(text, self.region, self.named) if shaped else []
        for place, item in enumerate(found):
            if item.kind == "phone" and self.phones:
                digits = phone_digits(text[item.start : item.end], self.region)
                known = self.phones.get(digits or "")
                if known is not None:
                    found[place] = Found(item.start, item.end, "name", self.entities[known].replacement)
        if self.phones and shaped:
            found += self._known_numbers(text, found)
        spans = self._name_spans(text, found)
        for start, end, owners, _bearers in spans:
            replacements = {self.entities[number].replacement for number in owners}
            replacement = replacements.pop() if len(replacements) == 1 else SOMEONE
            hash_before = text.rfind("#", 0, start)
            if hash_before >= 0 and not re.search(r"\s", text[hash_before:end]):
                replacement = re.sub(r"\W", "", replacement)
            kept = all(self.entities[number].kind == "alias" for number in owners)
            found.append(Found(start, end, "kept" if kept else "name", replacement))
        return sorted(found)

    def _known_numbers(self, text: str, taken: Sequence[Found]) -> list[Found]:
        """Participants' numbers written without country code, whatever the region."""
        found = []
        for match in _DIGITS.finditer(text):
            start, end = match.span()
            if any(start < other.end and end > other.start for other in taken):
                continue
            digits = re.sub(r"\D", "", match.group()).lstrip("0")
            owners = {owner for phone, owner in self.phones.items() if len(digits) >= 8 and phone.endswith(digits)}
            if owners:
                replacements = {self.entities[owner].replacement for owner in owners}
                found.append(Found(start, end, "name", replacements.pop() if len(replacements) == 1 else SOMEONE))
        return found

    def redact(self, text: str, count: Callable[[str], None] | None = None, shaped: bool = True) -> str:
        """`text` without names and personal data; `count` is told the kind of everything that was replaced.

        `shaped` as for `find`.
        """
        text = clean(text)
        found = self.find(text, shaped)
        if not found:
            return text
        pieces, at = [], 0
        for start, end, kind, replacement in found:
            pieces += [text[at:start], replacement]
            at = end
            if count is not None and kind != "kept" and replacement != text[start:end]:
                count(kind)
        pieces.append(text[at:])
        return "".join(pieces)

    # --- Many texts ---

    def suspects(self, joined: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The numbers of the texts in a batch that hold a name, or now and then what only looks like one.

        Hashtags, handles and links are not looked into: whoever calls this treats texts that hold one as suspect.

        Args:
            joined: Every text between two characters U+001E, the first and the last text too.
        """
        points = np.frombuffer(joined.encode("utf-32-le"), np.uint32)
        codes = _fold_points(points)
        folded = codes.tobytes().decode("utf-32-le")
        found = self._automaton.find_matches_as_indexes(folded, overlapping=True)
        matches = np.fromiter(chain.from_iterable(found), np.int64, 3 * len(found)).reshape(-1, 3)
        numbers, starts, ends = matches.T
        # Most matches lie within a longer word: what `_boundaries` says of these, for all of them at once.
        before, first, last, after = (_LETTERS[points[at]] for at in (starts - 1, starts, ends - 1, ends))
        glued = (before & first & _LETTER > 0) & (first & ~before & _CAPITAL == 0)
        longer = (last & after & _LETTER > 0) & (after & ~last & _CAPITAL == 0)
        ending = _FOLDED[points[ends]]
        drawn = (ending == _FOLDED[points[ends - 1]]) | (ending == ord("s"))
        within = self._within_words[numbers]
        open_ended = within | (~glued & longer & drawn)
        places: list[int] = []
        for number, start, end in matches[open_ended].tolist():
            needle = self._found[number]
            stop = self._boundaries(joined, folded, start, end, needle)
            if stop >= 0 and self._counts(joined, folded, start, stop, needle):
                places.append(start)
        whole = ~(within | glued | longer)
        certain = self._certain[numbers]
        places += starts[whole & certain].tolist()
        for number, start, end in matches[whole & ~certain].tolist():
            if self._counts(joined, folded, start, end, self._found[number]):
                places.append(start)
        # The last two of three or more of the same letter, with another letter behind them.
        same = codes[1:] == codes[:-1]
        runs = np.flatnonzero(same[:-2] & same[1:-1] & ~same[2:]) + 1
        runs = runs[_LETTERS[points[runs]] & _LETTERS[points[runs + 2]] & _LETTER > 0]
        places += [start for start, _end, _needle in self._drawn_out(joined, folded, runs.tolist())]
        signs = np.flatnonzero(_LETTERS[points] & _SIGN)
        places += [start for start, _end, _needle in self._drawn_out(joined, folded, signs.tolist())]
        return np.searchsorted(np.flatnonzero(points == 0x1E), np.array(places, np.int64)) - 1


def is_pronoun(name: str) -> bool:
    """Whether a system notice names nobody by this ("You", "Você")."""
    return fold(clean(name)).strip() in PRONOUNS
