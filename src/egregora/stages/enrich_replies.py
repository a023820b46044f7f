"""Who answers whom: an export carries no mark of it, so it is inferred, and only where something speaks for it.

The first rule that applies decides. Nobody answers themselves, a later message, another chat, or something said more
than `reply_minutes` ago; but for the first rule nothing farther back than `LOOK_BACK` messages is answered either.

1. *Addressed*: the message has `@Alias`, begins with the alias and a comma, or ends with a comma and the alias. It
   answers the last message of that person; nobody, if they have said nothing in time or several are addressed.
2. *Reaction*: a few words such as "haha", "sim" or "me too", or nothing but emoji. It answers the latest message of
   somebody else that isn't a reaction itself; or, where that one answers a question and this begins as answers do
   ("me", "não"), the question. Right after the author's own message a reaction belongs to that and answers nobody.
3. *Answer*: what somebody else says first after a question; and what others say after that, once for each, if it
   begins as answers do ("yes, …", "acho que …") or shares a word of substance with the question.
4. *Same matter*: the latest message of somebody else that shares two words of substance with it, or a rare one.
5. *Taking up*: a message right after somebody else's, within `QUICK_SECONDS`, that begins by leaning on what was said
   ("but", "exactly", "mas", "verdade").

A message for which none of this holds answers nobody: a wrong link misleads, a missing one only leaves a gap.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = ["LOOK_BACK", "QUICK_SECONDS", "Replies"]

LOOK_BACK = 8
"""How many messages back an answer may reach: beyond that a guess is more often wrong than right."""

QUICK_SECONDS = 300
"""How soon a message must follow to be taken as leaning on the one before."""

_TEXT_REACTIONS = """
    yes yeah yep yup no nope nah ok okay sure great nice cool perfect lovely awesome amazing wow lol lmao rofl haha
    true exactly agreed agree same deal done thanks thx ty cheers congrats bravo me me2 maybe never always both either
    neither good fine right sorry what why really seriously omg yay yum ouch oh ah aw aww hmm sim não nao s n claro
    beleza blz ótimo otimo perfeito legal massa fixe giro boa bom verdade exato concordo combinado fechado valeu vlw
    obrigado obrigada obg parabéns eu talvez nunca sempre certo tá ta isso nossa eita putz poxa opa sério serio jura
    adorei amei show top lindo linda bora partiu kk né uau
"""
_REACTIONS = frozenset(_TEXT_REACTIONS.split())
"""Words that make a short message a reaction."""

_TEXT_REACTION_FILLERS = """
    too also please very so much that's thats it is i in of course all well not a for the to you do am im i'm também
    tambem tb tbm muito mesmo por favor é e pois com de o que sou
"""
_REACTION_FILLERS = frozenset(_TEXT_REACTION_FILLERS.split())
"""Words that may stand in a reaction beside those."""

_LAUGHTER = re.compile(r"(?:[hj]+[aeiu]+){2,}[hj]*|[ha]{4,}|k{2,}|(?:rs){1,}|lo+l+|lmf?ao+|a+w+|w+o+w+|h+m+|o+h+|m+e+")
_TEXT_ANSWER_OPENINGS = """
    yes yeah yep yup no nope nah ok okay sure maybe probably i i'm i'd i'll i've me mine mostly depends because either
    neither both sim não nao claro talvez acho eu depende porque beleza também tb tbm nenhum nenhuma provavelmente
"""
_ANSWER_OPENINGS = frozenset(_TEXT_ANSWER_OPENINGS.split())
"""How answers to a question begin."""

_TEXT_LEANING = """
    but exactly agreed true same indeed absolutely definitely seriously really also thanks thank sorry congrats that
    that's thats which because mas exato exatamente verdade concordo também tb tbm pois valeu obrigado obrigada
    parabéns isso nossa sério porque
"""
_LEANING = frozenset(_TEXT_LEANING.split())
"""How messages begin that take up the one before."""

_TEXT_LIGHT = """
    about after again could doing every first going gonna great have here just know like made make maybe more much
    need never only other over really said same should some something still sure take than thank thanks that that's
    their them then there these they thing things think this those time today tomorrow tonight very want well were
    what what's when where which will with would yeah your you're don't didn't can't from been before because being
    come coming does even everyone someone anyone good into last long look next people right they're week weekend year
    years also back acho agora ainda alguém alguem algum alguma amanhã amanha antes aqui assim cada coisa coisas como
    depois dele dela deles delas desde dessa desse desta deste disso então entao entre essa esse esta este está estão
    estava fazer foram gente hoje isso isto mais mesmo mesma muito muita muitos muitas nada nesse nessa nosso nossa
    ontem onde outra outro para pela pelo pode pouco porque pra pras pros qual quando quase quem quer quero sempre
    seria sobre também tambem tenho tinha todo toda todos todas tudo vamos você voce vocês voces vai vou fica ficou
    foi ser tem uma uns
"""
_LIGHT = frozenset(_TEXT_LIGHT.split())
"""Words of four letters and more that are of no substance all the same."""

_QUESTION = re.compile(r"\?(?:[\s!?.)\"'»”]|$)")
_MOST_WORDS = 200_000
_REACTION_WORDS = 4


class _Said(NamedTuple):
    """A message as later ones look back at it."""

    event_id: str
    author: str
    seconds: float
    answerable: bool
    reaction: bool
    question: bool
    asked: _Said | None
    """The question that it answers."""


class _Heard(dict[str, "list[int] | None"]):
    """Word → at which message it was last said and how often in all; None for a word that links nothing."""

    def __missing__(self, word: str) -> list[int] | None:
        if len(self) >= _MOST_WORDS:
            # What was said so long ago that so many other words came since doesn't matter to what is said now.
            self.clear()
        heard = None if len(word) < 4 or word in _LIGHT or not word[0].isalpha() else [-LOOK_BACK - 1, 0]
        self[word] = heard
        return heard


class Replies:
    """Infers what each message of one chat answers, fed in the chat's order.

    Args:
        reply_minutes: How long after a message another may still count as its answer.
        aliases: Everybody's alias, to find who is addressed.
    """

    def __init__(self, reply_minutes: float, aliases: Iterable[str]) -> None:
        self._limit = reply_minutes * 60.0
        self._recent: deque[_Said] = deque(maxlen=LOOK_BACK)
        self._last_by: dict[str, _Said] = {}
        self._heard = _Heard()
        self._position = 0
        self._question: _Said | None = None
        self._asked_at = 0
        self._since: set[str] = set()
        ordered = sorted({alias for alias in aliases if alias}, key=lambda alias: (-len(alias), alias))
        names = "|".join(re.escape(alias) for alias in ordered) or r"(?!)"
        self._mention = re.compile(rf"@\u2068?({names})(?!\w)", re.IGNORECASE)
        self._opening = re.compile(rf"({names})[,:!]\s", re.IGNORECASE)
        self._closing = re.compile(rf",\s*({names})\s*[.!?…]*$", re.IGNORECASE)
        self._alias_of = {alias.lower(): alias for alias in reversed(ordered)}
        self._first_words = frozenset(alias.lower().split()[0] for alias in ordered)
        self._last_words = frozenset(alias.lower().split()[-1] for alias in ordered)

    def add(
        self, event_id: str, alias: str | None, seconds: float, kind: str, text: str, words: Sequence[str]
    ) -> str | None:
        """Take the chat's next message and say which earlier one it answers, if any.

        Args:
            alias: Its author's; None for a system notice.
            seconds: When it was sent, on any scale that goes in seconds.
            text: The body without links.
            words: Its words in lower case, without punctuation.

        Returns:
            The `event_id` of the message that it answers, or None.
        """
        if alias is None or kind == "system":
            return None
        reaction = question = False
        target: _Said | None = None
        if text and kind != "deleted":
            reaction = len(words) <= _REACTION_WORDS and _is_reaction(words)
            question = not reaction and "?" in text and _QUESTION.search(text) is not None
            shared = {} if reaction else self._hear(words)
            if self._recent:
                target = self._target(alias, seconds, text, words, shared, reaction=reaction, question=question)
        asked = target if target and target.question else None
        if asked and asked.asked:
            # Otherwise questions that answer questions would keep all of the chat before them.
            asked = asked._replace(asked=None)
        said = _Said(event_id, alias, seconds, kind not in ("deleted", "call"), reaction, question, asked)
        if question:
            self._question, self._asked_at, self._since = said, self._position, set()
        elif self._question and alias != self._question.author:
            self._since.add(alias)
        self._recent.append(said)
        self._last_by[alias] = said
        self._position += 1
        return target.event_id if target else None

    def _hear(self, words: Sequence[str]) -> dict[int, list[int]]:
        """Note a message's words of substance.

        Returns:
            For how many messages ago (1: the one before) each word was last said, how often it had been said: only as
            far as `LOOK_BACK` reaches.
        """
        position = self._position
        shared: dict[int, list[int]] = {}
        for heard in filter(None, map(self._heard.__getitem__, words)):
            ago = position - heard[0]
            if 0 < ago <= LOOK_BACK:
                shared.setdefault(ago, []).append(heard[1])
            heard[0] = position
            heard[1] += 1
        return shared

    def _target(
        self,
        alias: str,
        seconds: float,
        text: str,
        words: Sequence[str],
        shared: dict[int, list[int]],
        *,
        reaction: bool,
        question: bool,
    ) -> _Said | None:
        recent = self._recent
        opening = words[0] if words else ""
        if "@" in text or opening in self._first_words or (words and words[-1] in self._last_words):
            addressed = self._addressed(text)
            if addressed:
                last = self._last_by.get(addressed[0]) if len(addressed) == 1 else None
                return last if last and self._can_answer(alias, seconds, last) else None
        if reaction:
            return self._reacted_to(alias, seconds, opening)
        asked = self._question
        if asked and alias != asked.author:
            ago = self._position - self._asked_at
            # The first who speaks after a question answers it; later ones must sound like it.
            first = not self._since
            sounds = ago in shared or opening in _ANSWER_OPENINGS
            if (
                ago <= LOOK_BACK
                and (first or (sounds and not question and alias not in self._since))
                and self._can_answer(alias, seconds, asked)
            ):
                return asked
        if shared:
            rare = 2 + self._position // 500
            for ago in sorted(shared):
                if ago <= len(recent) and (len(shared[ago]) > 1 or min(shared[ago]) <= rare):
                    other = recent[-ago]
                    if self._can_answer(alias, seconds, other):
                        return other
        before = recent[-1]
        if (
            opening in _LEANING
            and seconds - before.seconds <= QUICK_SECONDS
            and not before.reaction
            and self._can_answer(alias, seconds, before)
        ):
            return before
        return None

    def _reacted_to(self, alias: str, seconds: float, opening: str) -> _Said | None:
        """What a reaction is about, by rule 2."""
        if self._recent[-1].author == alias:
            return None
        for other in reversed(self._recent):
            if other.author == alias or other.reaction:
                continue
            if other.asked and other.asked.author != alias and opening in _ANSWER_OPENINGS:
                other = other.asked
            return other if self._can_answer(alias, seconds, other) else None
        return None

    def _addressed(self, text: str) -> list[str]:
        """Whom a message is addressed to, each once."""
        found = self._mention.findall(text)
        for place in (self._opening.match(text), self._closing.search(text)):
            if place:
                found.append(place.group(1))
        return list(dict.fromkeys(self._alias_of[alias.lower()] for alias in found))

    def _can_answer(self, alias: str, seconds: float, other: _Said) -> bool:
        return other.answerable and other.author != alias and 0.0 <= seconds - other.seconds <= self._limit


def _is_reaction(words: Sequence[str]) -> bool:
    """Whether a message of at most `_REACTION_WORDS` words, or none, means nothing without what it answers."""
    strong = not words
    for word in words:
        if word in _REACTIONS or _LAUGHTER.fullmatch(word):
            strong = True
        elif word not in _REACTION_FILLERS:
            return False
    return strong
