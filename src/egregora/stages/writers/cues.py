"""What a message does in a conversation, told by its words (English, Portuguese): laughs, agrees, asks, decides."""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "LONGEST_NOD",
    "agrees",
    "decides",
    "is_question",
    "is_slight",
    "laughs",
    "may_ask",
    "may_decide",
    "proposes",
]

_LAUGH: Final = re.compile(
    r"(?:(?:ha|he|hi|ah){2,}h?|k{3,}|(?:rs){1,}|l+o+l+|lmf?ao+|rofl|hue(?:hue)+|[\s😂🤣😆😹😅]|[.!?~])+", re.IGNORECASE
)
_ACKS: Final = frozenset(
    """
    ok okay okey k kk yes yeah yep yup no nope nah sure cool nice great good fine perfect lovely thanks thank you
    thx wow lol haha hahaha amen same true right exactly deal done agreed me too please sounds got it will do i'm in
    count works for congrats congratulations awesome amazing bye hi hello hey morning night sim não nao claro beleza
    blz bom boa ótimo otimo legal valeu vlw obrigado obrigada tá ta fechado combinado show top isso massa também tb
    eu oi olá tchau parabéns aham so beautiful love this that so very is kkk kkkk kkkkk rs rsrs parabens opa eita
    nossa
    """.split()  # noqa: SIM905
)
_YES: Final = re.compile(
    r"^\W*(?:ok(?:ay)?|yes+|yep|yup|yeah|sure|deal|agreed|done|perfect|great|good"
    r"|sounds (?:good|great|perfect|like a plan)"
    r"|works for me|i'?m in|count me in|in!|fine|let'?s do (?:it|that)|sim|claro|fechad[oa]|combinado|bora|beleza|blz"
    r"|perfeito|ótimo|otimo|show|tô dentro|to dentro|por mim tudo bem|top)\b|^\W*[👍👌🙌✅💯]",
    re.IGNORECASE,
)
_NO: Final = re.compile(r"^\W*(?:no+|nope|nah|never|can'?t|não|nao|nunca|nem)\b", re.IGNORECASE)
_SETTLED: Final = re.compile(
    r"\b(?:it'?s (?:decided|settled|agreed|official|a deal|a date|booked|confirmed)|"
    r"(?:we(?:'ve| have)?|i(?:'ve| have)?) "
    r"(?:decided|settled on|agreed(?! not)|booked|reserved|voted)|(?:we'?re|we are|i'?m) going (?:with|for)|"
    r"(?:settled|decided|agreed|sorted|booked|confirmed)"
    r"(?: then)?(?=\s*(?:[.!:,👍✅🎉]|$))|done deal|that'?s (?:settled|decided|a plan|the plan)"
    r"|\w+ it is(?: then)?\s*(?=[.!,👍🎉]|$)|final (?:answer|decision)|fechado|combinado|(?:est[áa]|t[áa]|ficou|fica) "
    r"(?:decidido|marcado|combinado|fechado|confirmado)|marcado|decidido|confirmado|reservei|comprei os|vamos de|"
    r"ent[ãa]o (?:fica|vai ser|[ée])\b)",
    re.IGNORECASE,
)
_NOT_SETTLED: Final = re.compile(
    r"\b(?:not|n't|never|haven'?t|hasn'?t|nothing|until|once|if|unless|as soon as|who"
    r"|não|nao|nunca|ainda|se|quando|nada)\b"
    r"(?:\W+\w+){0,3}?\W+(?:been |yet )?"
    r"(?:decided|settled|agreed|booked|confirmed|decidido|marcado|combinado|fechado|confirmado)",
    re.IGNORECASE,
)
_PROPOSAL: Final = re.compile(
    r"\b(?:let'?s (?!see|hope|face|say|not|be )\w+|how about|what about|shall we"
    r"|i (?:say|vote|propose|suggest)|we should|why don'?t we"
    r"|bora|vamos (?!ver)\w+|que tal|proponho|sugiro|e se a gente|voto)\b",
    re.IGNORECASE,
)
_ASKING: Final = re.compile(
    r"\b(?:who|who's|what|what's|when|where|where's|which|how|why|does|do|did|can|could|is|are|was|will|would|should|"
    r"has|have|any|anyone|anybody|someone|quem|qual|quais|quando|onde|como|cadê|quanto|quantos|quantas|alguém|alguem|"
    r"que|será|tem|vai|posso|pode|podemos|por que|o que)\b",
    re.IGNORECASE,
)
_RHETORICAL: Final = re.compile(
    r"^\W*(?:really|seriously|right|what|why|huh|how|who|ok|no|yes|sério|serio|né|ne|como assim|oi|wtf"
    r"|how (?:is|are) (?:this|that|you)"
    r"|how dare you|who does that|are you (?:serious|kidding|joking)"
    r"|remember\b.*|lembram?\b.*|tudo bem|what do you mean)\W*$",
    re.IGNORECASE,
)
_BARE: Final = re.compile(r"https?://\S+|www\.\S+|\[[a-z][a-z _-]*\]")

LONGEST_NOD: Final = 4
"""Words up to which a message can be a nod: `ok`, `thanks!`, an emoji, laughter."""
_DECIDING_WORDS: Final = frozenset(
    """
    decided settled agreed booked reserved voted confirmed sorted deal official plan going it final fechado fechada
    combinado decidido marcado confirmado reservei comprei vamos fica let's lets bora então entao date
    """.split()  # noqa: SIM905
)


def laughs(text: str) -> bool:
    """Whether the message is nothing but laughter."""
    return len(text) <= 60 and _LAUGH.fullmatch(text) is not None and not text.isspace() and text != ""


def is_slight(word: str) -> bool:
    """Whether a lower-case word says nothing: a short message of such words alone is a nod."""
    return word in _ACKS or _LAUGH.fullmatch(word) is not None


def may_decide(word: str) -> bool:
    """Whether a message with this lower-case word may decide something; one without any such word can't."""
    return word in _DECIDING_WORDS


def may_ask(word: str) -> bool:
    """Whether a message with this lower-case word may be a question; one without any such word can't."""
    return _ASKING.search(word) is not None


def agrees(text: str) -> bool:
    """Whether a message begins by agreeing."""
    return _YES.search(text) is not None


def proposes(text: str) -> bool:
    """Whether a message proposes to do something. It decides only if somebody agrees."""
    return "?" not in text[-3:] and _PROPOSAL.search(text.replace("’", "'")) is not None


def decides(text: str) -> bool:
    """Whether a message says that something is settled."""
    text = text.replace("’", "'")
    found = _SETTLED.search(text)
    if found is None or text.rstrip().endswith("?"):
        return False
    return _NOT_SETTLED.search(text) is None and _NO.match(text) is None


def is_question(text: str) -> bool:
    """Whether a message asks for something that could be answered."""
    mark = text.rfind("?")
    if mark < 0 or _RHETORICAL.match(text):
        return False
    # An address may hold the mark: then it must stand outside of it.
    bare = _BARE.sub(" ", text)
    return "?" in bare and _ASKING.search(bare.replace("’", "'")) is not None and len(bare.split()) >= 3
