"""Who answers whom: an export carries no mark of it, so it is inferred, and only where something speaks for it.

The first rule that applies decides. Nobody answers themselves, a later message, another chat, or something said more
than `reply_minutes` ago; but for the first rule nothing farther back than `LOOK_BACK` messages is answered either.

1. *Addressed*: the message has `@Alias`, begins with the alias and a comma, or ends with a comma and the alias. It
   answers the last message of that person; nobody, if they have said nothing in time or several are addressed.
2. *Reaction*: a few words such as "haha", "sim" or "me too", or nothing but emoji; a link is none. It answers the
   latest message of somebody else that isn't a reaction itself; or, where that one answers a question and this begins
   as answers do ("me", "não"), the question. Right after the author's own message a reaction belongs to that and
   answers nobody.
3. *Answer*: what somebody else says first after a question; and what others say after that, once for each, if it
   shares a word of substance with the question or, while nothing but answers has come since, begins as answers do
   ("yes, …", "acho que …").
4. *Same matter*: the latest message of somebody else that shares two words of substance with it, or a rare one.
5. *Taking up*: a message right after somebody else's, within `QUICK_SECONDS`, that begins by leaning on what was said
   ("but", "exactly", "mas", "verdade").

A message for which none of this holds answers nobody: a wrong link misleads, a missing one only leaves a gap.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from egregora.stages.enrich_links import without_links
from egregora.stages.enrich_words import Words, integers

__all__ = ["LOOK_BACK", "QUICK_SECONDS", "Dictionary", "Replies"]

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

# Where a piece of text without spaces ends, or more marks follow.
_QUESTION = r"\?(?:[\s\pZ!?.)\"'»”]|$)"
_MOST_WORDS = 200_000
_REACTION_WORDS = 4

# What a word is, and what a message is by its words: sums of these.
_LIKE_ANSWER = 1
_LEANS = 2
# Of words only.
_STRONG = 4
_FILLER = 8
_SUBSTANCE = 16
_FIRST_OF_ALIAS = 32
_LAST_OF_ALIAS = 64
# Of messages only.
_SILENT = 128
_CLOSED = 256
_REACTION = 512
_ASKS = 1024
_MAY_ADDRESS = 2048


class Dictionary(dict[str, int]):
    """Word → what it is, as a sum of flags. A word not seen before is judged when it is asked for.

    Attributes:
        aliases: Everybody's, longest first, so that none is taken for another one that it begins with.
    """

    def __init__(self, aliases: Iterable[str]) -> None:
        super().__init__()
        ordered = sorted({alias for alias in aliases if alias}, key=lambda alias: (-len(alias), alias))
        self.aliases = pa.array(ordered, pa.string())
        names = "|".join(map(re.escape, ordered)) or r"(?!)"
        self._mention = re.compile(rf"@\u2068?({names})(?!\w)", re.IGNORECASE)
        self._opening = re.compile(rf"({names})[,:!]\s", re.IGNORECASE)
        self._closing = re.compile(rf",\s*({names})\s*[.!?…]*$", re.IGNORECASE)
        self._number = {alias.lower(): number for number, alias in reversed([*enumerate(ordered)])}
        self._kinds = (
            (_LIKE_ANSWER, _ANSWER_OPENINGS),
            (_LEANS, _LEANING),
            (_STRONG, _REACTIONS),
            (_FILLER, _REACTION_FILLERS),
            (_FIRST_OF_ALIAS, frozenset(alias.lower().split()[0] for alias in ordered)),
            (_LAST_OF_ALIAS, frozenset(alias.lower().split()[-1] for alias in ordered)),
        )

    def __missing__(self, word: str) -> int:
        flags = sum(flag for flag, members in self._kinds if word in members)
        if not flags & _STRONG and _LAUGHTER.fullmatch(word):
            flags |= _STRONG
        if len(word) >= 4 and word[0].isalpha() and word not in _LIGHT:
            flags |= _SUBSTANCE
        if len(self) < _MOST_WORDS:
            self[word] = flags
        return flags

    def addressed(self, text: str) -> list[int]:
        """Whom a message is addressed to, by their places in `aliases`, each once."""
        found = self._mention.findall(text)
        for place in (self._opening.match(text), self._closing.search(text)):
            if place:
                found.append(place.group(1))
        return list(dict.fromkeys(self._number[alias.lower()] for alias in found))


def _kinds(texts: pa.Array, kind: pa.Array, words: Words, flags: pa.Array) -> pa.Array:
    """What each message is, as a sum of flags. `flags` are those of `words.distinct`."""
    first, last = words.edge(flags), words.edge(flags, last=True)
    deleted = pc.equal(kind, "deleted")
    silent = pc.or_(pc.equal(texts, ""), deleted)
    # In one sum: how many words make a reaction, and how many keep it from being one.
    strong = pc.not_equal(pc.bit_wise_and(flags, _STRONG), 0).cast(pa.int64())
    other = pc.equal(pc.bit_wise_and(flags, _STRONG | _FILLER), 0).cast(pa.int64())
    total = words.sums(pc.add(strong, pc.shift_left(other, 32)))
    count = words.counts()
    # In another: questions, signs of a mention, links.
    marks = words.piece_sums(
        pc.add(
            pc.add(
                pc.match_substring_regex(words.pieces, _QUESTION).cast(pa.int64()),
                pc.shift_left(pc.match_substring(words.pieces, "@").cast(pa.int64()), 20),
            ),
            pc.shift_left(words.hinted.cast(pa.int64()), 40),
        )
    )
    reaction = pc.and_(
        pc.and_(pc.less_equal(count, _REACTION_WORDS), pc.less(total, 1 << 32)),
        pc.or_(pc.greater(total, 0), pc.and_(pc.equal(count, 0), pc.less(marks, 1 << 40))),
    )
    asks = pc.and_not(pc.not_equal(pc.bit_wise_and(marks, (1 << 20) - 1), 0), reaction)
    names = pc.bit_wise_or(pc.bit_wise_and(first, _FIRST_OF_ALIAS), pc.bit_wise_and(last, _LAST_OF_ALIAS))
    addresses = pc.or_(pc.not_equal(pc.bit_wise_and(marks, ((1 << 20) - 1) << 20), 0), pc.not_equal(names, 0))
    what = pc.bit_wise_and(first, _LIKE_ANSWER | _LEANS)
    for flag, where in (
        (_SILENT, silent),
        (_CLOSED, pc.or_(deleted, pc.equal(kind, "call"))),
        (_REACTION, pc.and_not(reaction, silent)),
        (_ASKS, pc.and_not(asks, silent)),
        (_MAY_ADDRESS, addresses),
    ):
        what = pc.add(what, pc.multiply(where.cast(pa.int64()), flag))
    return what


class Replies:
    """Infers what each message of one chat answers, fed with chunks of messages in the chat's order.

    Args:
        reply_minutes: How long after a message another may still count as its answer.
        dictionary: Knows words and aliases; chats may share it.
    """

    def __init__(self, reply_minutes: float, dictionary: Dictionary) -> None:
        self._limit = reply_minutes * 60.0
        self._dictionary = dictionary
        # Word → at which message it was last said, counted from the chat's first, and how often in all.
        self._heard: dict[str, tuple[int, int]] = {}
        self._count = 0
        # The messages that later ones may look back at, by columns: the last `LOOK_BACK` at the end, before them what
        # those answer and everybody's last; while a chunk is worked on, the chunk's as well. "Asked" is the question
        # that a message answers. A message is known by its place here; -1 is none.
        self._ids = pa.array([], pa.string())
        self._who: list[int] = []
        self._when: list[int] = []
        self._what: list[int] = []
        self._asked: list[int] = []
        self._last_by: dict[int, int] = {}
        self._question = -1
        # Who has spoken since the latest question but for who asked it, and whether about something else.
        self._since: set[int] = set()
        self._moved_on = False

    def of(self, messages: pa.RecordBatch, words: Words) -> pa.Array:
        """The `event_id` that each of the chat's next messages answers; NULL where it answers none.

        Args:
            messages: Rows of `MESSAGES`.
            words: The words of their texts.
        """
        texts, kind = messages.column("text"), messages.column("kind")
        who = pc.index_in(messages.column("alias"), value_set=self._dictionary.aliases)
        talks = pc.and_(pc.is_valid(who), pc.not_equal(kind, "system"))
        flags = pa.array(map(self._dictionary.__getitem__, words.distinct), pa.int64())
        what = _kinds(texts, kind, words, flags)
        place = pc.subtract(pc.cumulative_sum(talks.cast(pa.int64())), 1)
        seconds = pc.divide(messages.column("ts").cast(pa.int64()), 1_000_000)
        known = len(self._who)
        self._ids = pa.concat_arrays([self._ids, messages.column("event_id").filter(talks)])
        self._who += integers(who.filter(talks).cast(pa.int64()))
        self._when += integers(seconds.filter(talks))
        self._what += integers(what.filter(talks))
        self._asked += [-1] * (len(self._who) - known)
        heard = pc.and_(talks, pc.equal(pc.bit_wise_and(what, _SILENT | _REACTION), 0))
        shared = zip(*self._hear(words, flags, heard, place), strict=True)
        addresses = pc.and_(talks, pc.not_equal(pc.bit_wise_and(what, _MAY_ADDRESS), 0))
        addressed = {
            known + at: self._dictionary.addressed(without_links(text))
            for at, text in zip(integers(place.filter(addresses)), texts.filter(addresses).to_pylist(), strict=True)
        }
        targets = self._targets(known, shared, addressed)
        found = self._ids.take(pa.array(targets, pa.int64()))
        self._count += len(targets)
        self._forget()
        return pc.replace_with_mask(pa.nulls(len(talks), pa.string()), talks, found)

    def _hear(self, words: Words, flags: pa.Array, heard: pa.Array, place: pa.Array) -> tuple[list[int], list[int]]:
        """Note the words of substance of a chunk's messages that are `heard`.

        Args:
            place: Of each message its place among those of the chunk that count.

        Returns:
            By place: with which of the last `LOOK_BACK` messages each shares words (1 << 1: with the one before), and
            with which of them so many or such rare ones that it is about the same matter.
        """
        if len(self._heard) > _MOST_WORDS:
            # What was said so long ago that so many other words came since doesn't matter to what is said now.
            self._heard.clear()
        substance = pc.not_equal(pc.bit_wise_and(flags, _SUBSTANCE), 0)
        text_of, word_of = words.places_of(substance)
        matter = heard.take(text_of)
        said = integers(word_of.filter(matter).cast(pa.int64()))
        numbers = integers(pc.add(place, self._count).take(text_of.filter(matter)))
        known = [self._heard.get(word, (-LOOK_BACK - 1, 0)) for word in words.distinct]
        last = [number for number, _ in known]
        times = [count for _, count in known]
        sharing = [0] * len(heard)
        same = [0] * len(heard)
        for word, number in zip(said, numbers, strict=True):
            ago = number - last[word]
            if 0 < ago <= LOOK_BACK:
                at, bit = number - self._count, 1 << ago
                # Two words, or one that has hardly been said in this chat.
                if sharing[at] & bit or times[word] <= 2 + number // 500:
                    same[at] |= bit
                sharing[at] |= bit
            last[word] = number
            times[word] += 1
        self._heard.update(
            (word, (number, count)) for word, number, count in zip(words.distinct, last, times, strict=True) if count
        )
        return sharing, same

    def _targets(
        self, start: int, shared: Iterable[tuple[int, int]], addressed: dict[int, list[int]]
    ) -> list[int | None]:
        """What each message from `start` on answers. `shared` is from `_hear`, `addressed` by place."""
        what, who = self._what, self._who
        targets: list[int | None] = []
        for at, (sharing, same) in zip(range(start, len(who)), shared, strict=False):
            author, kind = who[at], what[at]
            target = -1
            if kind & _SILENT:
                pass
            elif people := addressed.get(at):
                last = self._last_by.get(people[0], -1) if len(people) == 1 else -1
                target = last if self._can_answer(at, last) else -1
            elif kind & _REACTION:
                target = self._reacted_to(at)
            else:
                target = self._taken_up(at, sharing, same)
            if target >= 0 and what[target] & _ASKS:
                self._asked[at] = target
            if kind & _ASKS:
                self._question = at
                self._since.clear()
                self._moved_on = False
            elif self._question >= 0:
                if self._since and target != self._question and not kind & (_SILENT | _REACTION):
                    self._moved_on = True
                if author != who[self._question]:
                    self._since.add(author)
            self._last_by[author] = at
            targets.append(target if target >= 0 else None)
        return targets

    def _taken_up(self, at: int, sharing: int, same: int) -> int:
        """What a message is about that is neither addressed nor a reaction, by rules 3 to 5."""
        author, kind, asked = self._who[at], self._what[at], self._question
        ago = at - asked
        if asked >= 0 and ago <= LOOK_BACK and author != self._who[asked]:
            # The first who speaks after a question answers it; later ones must sound like it.
            sounds = (kind & _LIKE_ANSWER and not self._moved_on) or sharing >> ago & 1
            may = not self._since or (sounds and not kind & _ASKS and author not in self._since)
            if may and self._can_answer(at, asked):
                return asked
        ago = 1
        while same >> ago:
            if same >> ago & 1 and self._can_answer(at, at - ago):
                return at - ago
            ago += 1
        before = at - 1
        if kind & _LEANS and self._can_answer(at, before) and not self._what[before] & _REACTION:
            return before if self._when[at] - self._when[before] <= QUICK_SECONDS else -1
        return -1

    def _reacted_to(self, at: int) -> int:
        """What a reaction is about, by rule 2."""
        author = self._who[at]
        first = max(at - LOOK_BACK, 0)
        if at == first or self._who[at - 1] == author:
            return -1
        for other in range(at - 1, first - 1, -1):
            if self._who[other] == author or self._what[other] & _REACTION:
                continue
            asked = self._asked[other]
            if asked >= 0 and self._who[asked] != author and self._what[at] & _LIKE_ANSWER:
                other = asked
            return other if self._can_answer(at, other) else -1
        return -1

    def _can_answer(self, at: int, other: int) -> bool:
        """Whether a message may answer another; -1 for the other is none."""
        return (
            other >= 0
            and not self._what[other] & _CLOSED
            and self._who[other] != self._who[at]
            and 0 <= self._when[at] - self._when[other] <= self._limit
        )

    def _forget(self) -> None:
        """Keep only the messages that later ones may look back at."""
        count = len(self._who)
        recent = range(max(count - LOOK_BACK, 0), count)
        kept = sorted({*recent, *self._last_by.values(), *(self._asked[at] for at in recent if self._asked[at] >= 0)})
        place = {old: new for new, old in enumerate(kept)}
        self._ids = self._ids.take(pa.array(kept, pa.int64()))
        self._who = [self._who[at] for at in kept]
        self._when = [self._when[at] for at in kept]
        self._what = [self._what[at] for at in kept]
        self._asked = [place.get(self._asked[at], -1) for at in kept]
        self._last_by = {author: place[at] for author, at in self._last_by.items()}
        self._question = place.get(self._question, -1)
