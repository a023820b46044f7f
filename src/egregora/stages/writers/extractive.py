"""The writer that needs no model: it chooses what was said best, in order, and says around it only what it knows.

Every sentence of its own is a fact that was counted (who began, who joined, how long, what was decided); every other
sentence is a quotation. Nothing is paraphrased, so nothing can be made up.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache
from itertools import accumulate, chain, compress, pairwise
from math import log1p
from operator import itemgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from egregora.pipeline.stage import StageContext
from egregora.stages.writers import cues
from egregora.stages.writers.conversations import Span, conversations, stretches
from egregora.stages.writers.draft import Block, Draft, Window
from egregora.stages.writers.markdown import escape, image, inline_quote, link, plain, quote, safe_url, site_name
from egregora.stages.writers.phrases import Language, language
from egregora.stages.writers.words import Background, Term, Terms, terms_of

__all__ = ["write_post"]

_WRITER: Final = "extractive"
_MAX_SECTIONS: Final = 5
_QUOTES_EACH: Final = 4
"""A conversation is told with about so many quotations: fewer make no story."""
_MAX_ITEMS: Final = 6
"""Entries of a list of decisions, questions or links."""
_MAX_PICTURES: Final = 6
_MAX_PASSING: Final = 5
_LONG: Final = 500
"""Messages from which a window is not read as a whole."""
_CLOSELY: Final = 240
"""Messages that are read of such a window: ten for each that is quoted."""
_STRETCH: Final = 75
"""Messages of a stretch of talk that is read or left out as one."""
_LATE_ANSWER: Final = 3 * 3600
"""Seconds after which what somebody else says no longer counts as an answer, unless it is marked as one."""
_SELF_CONTAINED: Final = 6
"""Words from which a decision is understood without what it answers."""
_SHORT: Final = 3
"""Words up to which a message right after somebody else's counts as a reaction to it."""
_TELLING: Final = 0.33
"""Weight below which a term doesn't name a conversation; better none than one that misleads."""
_QUOTED: Final = ("text", "media")
_TELLS: Final = ("poll", "location")
"""Kinds of messages that say something without words."""


@dataclass(slots=True, eq=False)
class _Talk:
    """One conversation and what is known of it."""

    span: Span
    rows: list[int]
    """Rows that people sent, in order."""
    people: list[str]
    """Most active first."""
    opener: int = -1
    kind: str = "text"
    topics: list[tuple[float, Term]] = field(default_factory=list)
    decisions: list[int] = field(default_factory=list)
    questions: list[int] = field(default_factory=list)
    laughs: int = 0
    answers: int = 0
    score: float = 0.0
    topic: Term | None = None
    again: bool = False


def write_post(window: Window, known: Background, config: Any, context: StageContext) -> Draft | None:
    """Write the post of one window.

    A window of 500 messages and more is read in part: the stretches between silences in which most happened. Messages,
    people, answers, links and media are counted in all of it, decisions, questions and reactions in what is read.

    Args:
        window: Its messages.
        known: Word counts of all windows.
        config: Reads `write.min_messages`, `write.max_quotes` and `site.language`.
        context: Is told why there is no post, if there is none.

    Returns:
        The draft, or None where fewer than `write.min_messages` messages say something.
    """
    reader = _Reader(_worth_reading(window, known), known)
    substance = sum(reader.substantial)
    if substance < config.write.min_messages:
        context.log(f"no post: {substance} messages of substance, {config.write.min_messages} are needed")
        return None
    return _Desk(reader, window, language(config.site.language), config.write.max_quotes).write()


def _worth_reading(window: Window, known: Background) -> Window:
    """The window, or of a long one the stretches between silences in which most happened."""
    if len(window.people) < _LONG:
        return window
    spans = stretches(window, _STRETCH)
    flags = (
        window.tokens.per_row(known.letters) > cues.LONGEST_NOD,
        window.answers,
        window.tokens.per_row(known.where(cues.may_decide)) > 0,
        np.asarray(pc.or_(window.rows.column("media").is_valid(), window.rows.column("poll").is_valid())),
    )
    starts = [span.start for span in spans]
    counts = zip(*(np.add.reduceat(each, starts, dtype=np.int64).tolist() for each in flags), strict=True)
    scored, persons = [], window.people.tolist()
    for span, (saying, answers, deciding, seen) in zip(spans, counts, strict=True):
        people = len(set(persons[span.start : span.end]))
        score = (
            1.2 * log1p(saying) + 0.8 * log1p(people) + 0.5 * log1p(answers) + 0.8 * log1p(deciding) + 0.5 * log1p(seen)
        )
        scored.append((-score, span.start, span))
    rows: list[int] = []
    for _, _, span in sorted(scored, key=itemgetter(0, 1)):
        if len(rows) + span.end - span.start <= _CLOSELY:
            rows += range(span.start, span.end)
    return window.part(np.sort(rows))


class _Reader:
    """Reads a window once: what each message does, and which conversations there are."""

    def __init__(self, window: Window, known: Background) -> None:
        self.window = window
        self.known = known
        self.spoken = window.spoken
        texts, kinds, tokens = window.texts, window.kinds, window.tokens
        words = tokens.per_row(known.letters)
        self.words: list[int] = words.tolist()
        """How many words each message has."""
        names = {author: _name(author) for author in dict.fromkeys(window.authors)}
        self.who = [names[author] for author in window.authors]
        self.pictures = {row for row in window.media if _is_picture(window, row)}
        asking = np.flatnonzero(tokens.per_row(known.where(cues.may_ask)))
        self.asking = {row for row in asking.tolist() if "?" in texts[row] and cues.is_question(texts[row])}
        slight = (words <= cues.LONGEST_NOD) & (tokens.per_row(known.where(cues.is_slight)) == words)
        self.substantial: list[bool] = (window.speaks & ~slight).tolist()
        for row in {row for row, kind in enumerate(kinds) if kind in _TELLS} | self.pictures | window.links.keys():
            self.substantial[row] = window.spoken[row]
        self.quotable = [bool(n) and kind in _QUOTED for n, kind in zip(self.words, kinds, strict=True)]
        """Whether a message can be quoted: somebody's text, with more in it than addresses and placeholders."""
        self.answered_by: dict[int, list[int]] = {}
        for row in np.flatnonzero(window.answers).tolist():
            self.answered_by.setdefault(window.replies[row], []).append(row)
        nothing_else = window.speaks & (words <= 3) & (tokens.per_row(known.where(cues.laughs)) == words)
        self.laughing = {row for row in np.flatnonzero(nothing_else).tolist() if cues.laughs(texts[row])}
        self.terms: Terms = terms_of(tokens, window.people, known)
        self.spans = conversations(window, known)
        self.deciding = set(np.flatnonzero(tokens.per_row(known.where(cues.may_decide))).tolist())

    def talks(self) -> list[_Talk]:
        """The window's conversations in which somebody said something."""
        found = []
        for span in self.spans:
            rows = [row for row in range(span.start, span.end) if self.spoken[row]]
            if any(self.substantial[row] for row in rows):
                found.append(self._talk(span, rows))
        self._give_topics(found)
        for talk in found:
            talk.score = self._score(talk)
        return found

    def _talk(self, span: Span, rows: list[int]) -> _Talk:
        window = self.window
        counts = Counter(window.authors[row] or "" for row in rows)
        talk = _Talk(span, rows, sorted(counts, key=lambda name: (-counts[name], name)))
        talk.opener = next(row for row in rows if self.substantial[row])
        talk.kind = self._kind(talk.opener)
        talk.laughs = len(self.laughing.intersection(rows))
        talk.answers = sum(len(self.answered_by.get(row, ())) for row in rows)
        settled = {row for row in self.deciding.intersection(rows) if self._decides(row, span)}
        # "Agreed" to a decision settles nothing further.
        talk.decisions = [row for row in sorted(settled) if window.replies[row] not in settled]
        talk.questions = [row for row in sorted(self.asking.intersection(rows)) if self._is_open(row, span)]
        return talk

    def _kind(self, row: int) -> str:
        window = self.window
        if window.kinds[row] == "poll":
            return "poll"
        if row in window.links:
            return "link"
        if row in self.pictures:
            return "picture"
        return "question" if row in self.asking else "text"

    def _following(self, row: int, span: Span, most: int) -> list[int]:
        """The next rows of the conversation that others sent."""
        author = self.window.authors[row]
        others = (i for i in range(row + 1, span.end) if self.spoken[i] and self.window.authors[i] != author)
        return [i for _, i in zip(range(most), others, strict=False)]

    def _decides(self, row: int, span: Span) -> bool:
        window = self.window
        text = window.texts[row]
        if window.kinds[row] not in ("text", "media") or len(text) > 400:
            return False
        if cues.decides(text):
            return True
        if not cues.proposes(text):
            return False
        # A proposal is a decision once two of the others (or the only other) agree at once and nobody objects.
        replies = self._following(row, span, 4)
        agreeing = {window.authors[i] for i in replies if window.replies[i] == row and cues.agrees(window.texts[i])}
        company = {window.authors[i] for i in range(span.start, span.end) if self.spoken[i]}
        return len(agreeing) >= min(2, len(company) - 1) > 0

    def _is_open(self, row: int, span: Span) -> bool:
        window = self.window
        if window.kinds[row] != "text" or self.answered_by.get(row):
            return False
        if len(window.texts[row]) > 300:
            return False
        # Who asks and then says more may be answered below that; only what nobody came after is surely open.
        return not any(window.times[i] - window.times[row] <= _LATE_ANSWER for i in self._following(row, span, 1))

    def _give_topics(self, talks: list[_Talk]) -> None:
        """For each conversation the terms that it is about, best first."""
        ranked = self.terms.ranked
        owner = np.full(len(self.who), -1)
        for number, talk in enumerate(talks):
            owner[talk.rows] = number
        persons, company = self.window.people, int(self.window.people.max()) + 1
        rows = np.fromiter(chain.from_iterable(term.rows for term in ranked), np.int64)
        of = np.repeat(np.arange(len(ranked)), [len(term.rows) for term in ranked])
        of, rows = of[owner[rows] >= 0], rows[owner[rows] >= 0]
        totals = np.bincount(of, minlength=len(ranked)).tolist()
        places, numbers = np.unique(of * len(talks) + owner[rows], return_counts=True)
        said_by = np.unique((of * len(talks) + owner[rows]) * company + persons[rows]) // company
        people = np.unique(said_by, return_counts=True)[1]
        for place, n, company in zip(places.tolist(), numbers.tolist(), people.tolist(), strict=True):
            (i, number), total = divmod(place, len(talks)), totals[place // len(talks)]
            if n < 2 and (len(talks[number].rows) > 8 or total > 4):
                continue
            weight = {1: 0.6, 2: 1.0}.get(company, 1.2) * ranked[i].weight * n**0.5 * (n / total) ** 0.5
            if weight >= _TELLING:
                talks[number].topics.append((weight, ranked[i]))
        for talk in talks:
            talk.topics.sort(key=lambda item: (-item[0], item[1].words))

    def _score(self, talk: _Talk) -> float:
        window = self.window
        substance = sum(self.substantial[row] for row in talk.rows)
        topical = min(talk.topics[0][0], 3.0) if talk.topics else 0.0
        return (
            1.2 * log1p(substance)
            + 0.8 * log1p(len(talk.people) - 1)
            + 0.5 * log1p(talk.answers)
            + 0.5 * log1p(talk.laughs)
            + 1.8 * min(len(talk.decisions), 2)
            + 0.3 * min(len(self.pictures.intersection(talk.rows)), 2)
            + 1.2 * any(window.kinds[row] == "poll" for row in talk.rows)
            + 0.7 * topical
        )

    @cached_property
    def worth(self) -> list[float]:
        """How much each message adds to an excerpt; what is slight takes away from it."""
        window, size = self.window, len(self.words)
        lengths = np.fromiter(map(len, window.texts), np.int64, size)
        asks = np.fromiter(("?" in text for text in window.texts), bool, size)
        answers = np.zeros(size)
        answers[list(self.answered_by)] = list(map(len, self.answered_by.values()))
        laughter = np.zeros(size + 4)
        laughter[list(self.laughing)] = 1.0
        score = np.minimum(1.4, self._topical())
        score += np.where((lengths >= 35) & (lengths <= 320), 0.5, np.where(lengths > 15, 0.15, -0.1))
        score += 0.3 * asks
        score += 0.2 * (window.parents >= 0)
        score += 0.25 * np.minimum(3, answers)
        # Laughter right after it: it was funny.
        score += 0.3 * (laughter[1:-3] + laughter[2:-2] + laughter[3:-1])
        score = np.where(self.quotable, np.where(self.substantial, score, -0.15), -0.1)
        worth: list[float] = score.tolist()
        return worth

    def _topical(self) -> npt.NDArray[np.float64]:
        """The weight of the terms that each message names, each counted once."""
        tokens, weights = self.window.tokens, np.zeros(len(self.known.letters))
        weights[list(self.terms.weights)] = list(self.terms.weights.values())
        places = np.flatnonzero(weights[tokens.lower] > 0)
        rows = np.searchsorted(tokens.starts, places, side="right") - 1
        rows, words = np.divmod(np.unique(rows * len(weights) + tokens.lower[places]), len(weights))
        # Rounded, so that the order in which they are added up doesn't show.
        return np.bincount(rows, weights[words], len(self.words)).astype(np.float64).round(9)


@lru_cache(4096)
def _name(author: str | None) -> str:
    """How an author is named in text."""
    return plain(author or "") or "?"


def _is_picture(window: Window, row: int) -> bool:
    media = window.media.get(row)
    if not media or window.kinds[row] != "media":
        return False
    return bool(media.get("thumbnail") or (media.get("blob") and str(media.get("mime") or "").startswith("image/")))


class _Desk:
    """Makes a post of what was read."""

    def __init__(self, reader: _Reader, whole: Window, words: Language, max_quotes: int) -> None:
        self.reader = reader
        self.window = reader.window
        self.whole = whole
        """The window with what wasn't read closely; who took part and how much is counted in it."""
        self.words = words
        self.max_quotes = max_quotes
        self.blocks: list[Block] = []
        self.pictures_left = _MAX_PICTURES
        self.said: Counter[str] = Counter()
        self.spelled: dict[str, str] = {}
        self.dated = self.window.days is None or self.window.days > 7
        self.seed = zlib.crc32(self.window.ids[0].encode())

    def write(self) -> Draft:
        talks = self.reader.talks()
        chosen = self._choose(talks)
        self._name_topics(chosen)
        rest = [talk for talk in talks if talk not in chosen]
        shares = self._quotes_for(chosen)
        for talk, quotes in zip(chosen, shares, strict=True):
            self._section(talk, quotes)
        # A conversation that isn't told may still have settled something.
        decisions = [row for talk in talks for row in talk.decisions]
        questions = [row for talk in talks for row in talk.questions]
        shown_decisions = self._decided(decisions)
        shown_questions = self._still_open(questions)
        self._passing(rest)
        self._links()
        people = self._took_part()
        named = [talk for talk in chosen if talk.topic and not talk.again]
        named.sort(key=lambda talk: (-talk.score * talk.topics[0][0], talk.span.start))
        topics = [talk.topic for talk in named if talk.topic]
        # What is said once is no thread that leads to another post.
        terms = [term for term in self.reader.terms.ranked[:20] if len(term.rows) > 1]
        heaviest = terms[0].weight if terms else 1.0
        return Draft(
            titles=self._titles(topics, people),
            standfirst=self._standfirst(topics, people, shown_decisions, shown_questions),
            blocks=tuple(self.blocks),
            tags=self._tags(),
            people=tuple(people),
            language=self._language(),
            signals=self._signals(talks, people, len(decisions)),
            writer=_WRITER,
            terms={term.key: round(term.weight / heaviest, 3) for term in terms},
            spelling={term.key: plain(term.shown) for term in terms},
        )

    # What is told, and under which name

    def _choose(self, talks: list[_Talk]) -> list[_Talk]:
        """The conversations that are told, in order of time."""
        ranked = sorted(talks, key=lambda talk: (-talk.score, talk.span.start))
        best = ranked[0].score
        told = [
            talk
            for talk in ranked
            if talk.score >= 0.5 * best and sum(self.reader.quotable[row] for row in talk.rows) >= 2
        ]
        most = min(_MAX_SECTIONS, max(1, self.max_quotes // _QUOTES_EACH))
        return sorted(told[:most] or ranked[:1], key=lambda talk: (self.window.times[talk.opener], talk.span.start))

    def _name_topics(self, talks: list[_Talk]) -> None:
        """Give each conversation the topic that says most of it; the same topic twice only if nothing else fits."""
        taken: set[str] = set()
        for talk in sorted(talks, key=lambda talk: (-talk.score, talk.span.start)):
            if not talk.topics:
                continue
            best = talk.topics[0][0]
            fresh = [term for score, term in talk.topics if score >= 0.5 * best and taken.isdisjoint(term.words)]
            talk.topic = fresh[0] if fresh else talk.topics[0][1]
            taken.update(talk.topic.words)
        told: set[str] = set()
        for talk in talks:
            if talk.topic is not None:
                talk.again = talk.topic.key in told
                told.add(talk.topic.key)

    def _quotes_for(self, talks: list[_Talk]) -> list[int]:
        """How many messages each conversation may quote: by its weight, at least two."""
        total = sum(talk.score for talk in talks)
        return [max(2, min(8, round(self.max_quotes * talk.score / total))) for talk in talks]

    def _shown(self, term: Term) -> str:
        """A topic as it stands inside a sentence."""
        if term.key not in self.spelled:
            self.spelled[term.key] = self._spelling(term)
        return self.spelled[term.key]

    def _spelling(self, term: Term) -> str:
        """A topic with its article, where it takes one and the site's language is its own."""
        languages = Counter(self.window.languages[row] for row in term.rows)
        foreign = languages[self.words.code] < 0.5 * (len(term.rows) - languages[None])
        if term.shown[:1].isupper() or foreign:
            return plain(term.shown)
        articles: Counter[str] = Counter()
        for word, n in term.before.items():
            if word in self.words.articles:
                articles[self.words.articles[word]] += n
        article = min(articles, key=lambda word: (-articles[word], word), default="")
        # One of a kind reads better with its article than without; several of them don't.
        enough = 0.5 if term.words[-1].endswith("s") else 0.25
        common = sum(articles.values()) >= enough * max(sum(term.before.values()), 1)
        return plain(f"{article} {term.shown}" if common else term.shown)

    # Sections

    def _section(self, talk: _Talk, quotes: int) -> None:
        window = self.window
        moment = self.words.moment(window.when(talk.opener), dated=self.dated)
        self.blocks.append(Block(f"## {escape(moment)}: {escape(self._heading(talk))}"))
        self.blocks.append(self._narration(talk))
        runs = self._excerpts(talk, quotes)
        quoted = {row for run in runs for row in run}
        bridges = {run[0]: (before, run) for before, run in pairwise(runs)}
        for row in talk.rows:
            if row in bridges:
                self._bridge(talk, *bridges[row])
            if window.kinds[row] == "poll":
                self._poll(row)
            if row in self.reader.pictures:
                self._picture(row)
            if row in quoted:
                markdown = quote(self._who(row), window.texts[row], window.links.get(row, ()))
                self.blocks.append(Block(markdown, (window.ids[row],)))

    def _heading(self, talk: _Talk) -> str:
        if talk.topic is not None:
            topic = self._shown(talk.topic)
            return self._say("again", topic=topic) if talk.again else topic
        return self._say(f"topic.{talk.kind}", opener=self._who(talk.opener), names=self.words.names(talk.people, 2))

    def _narration(self, talk: _Talk) -> Block:
        window, words = self.window, self.words
        opener = self._who(talk.opener)
        names = [self.reader.who[row] for row in talk.rows]
        after = [
            (name, row) for name, row in zip(names, talk.rows, strict=True) if row > talk.opener and name != opener
        ]
        first = dict(sorted(dict(reversed(after)).items(), key=itemgetter(1)))
        sources = [talk.opener, *list(first.values())[:4]]
        if first:
            text = self._say(f"open.{talk.kind}", opener=opener, others=words.names(list(first), 3))
        else:
            text = self._say(f"open.{talk.kind}.alone", opener=opener)
        counts = Counter(names)
        lasted = window.times[talk.rows[-1]] - window.times[talk.rows[0]]
        more = ""
        if talk.decisions:
            more = self._say("joined.settled")
            sources.extend(talk.decisions[:2])
        elif talk.laughs >= 3:
            more = self._say("joined.laugh")
            sources.extend(sorted(self.reader.laughing.intersection(talk.rows)))
        elif len(talk.people) > 2 and counts[talk.people[0]] + counts[talk.people[1]] >= 0.7 * len(talk.rows) >= 8:
            more = self._say("joined.pair", a=talk.people[0], b=talk.people[1])
        elif len(talk.rows) >= 20 and lasted >= 1200:
            more = self._say("joined.length", n=words.number(len(talk.rows)), duration=words.duration(lasted))
        elif talk.questions and first:
            more = self._say("joined.open")
            sources.extend(talk.questions)
        return Block(escape(_sentence(f"{text} {more}".strip())), self._ids(sources))

    def _excerpts(self, talk: _Talk, quotes: int) -> list[list[int]]:
        """One or two runs of consecutive messages of the conversation, without what is slight in them."""
        reader, window = self.reader, self.window
        decisive = set(talk.decisions)
        # A nod belongs to what it answers where that asked or settled something.
        rows = [row for row in talk.rows if reader.quotable[row] and (reader.substantial[row] or row in decisive)]
        if len(rows) <= quotes:
            return [rows] if rows else []
        worth = [reader.worth[row] + (1.0 if row in decisive else 0.0) for row in rows]
        place = {row: i for i, row in enumerate(rows)}

        sums = list(accumulate(worth, initial=0.0))

        def best(length: int, low: int, high: int) -> tuple[float, int]:
            top = (float("-inf"), low)
            for start in range(low, high - length + 1):
                score = sums[start + length] - sums[start]
                parent = place.get(window.replies[rows[start]], start)
                if parent < start:
                    score -= 0.6  # an answer without its question
                if start == 0:
                    score += 1.2  # where it began
                elif window.times[rows[start]] - window.times[rows[start - 1]] > 600:
                    score += 0.4  # where somebody begins anew
                if score > top[0] + 1e-9:
                    top = (score, start)
            return top

        begin = next((i for i in range(min(4, len(rows))) if worth[i] >= 0.4), 0)
        tail = quotes - quotes * 2 // 5
        if quotes < 4 or len(rows) - begin < quotes + 2:
            _, start = best(quotes, begin, len(rows))
            return [rows[start : start + quotes]]
        # How it began, and the best of what came of it.
        head = begin + quotes - tail
        _, start = best(tail, head, len(rows))
        if start <= head + 1:
            return [rows[begin : begin + quotes]]
        return [rows[begin:head], rows[start : start + tail]]

    def _bridge(self, talk: _Talk, before: list[int], after: list[int]) -> None:
        gap = self.window.times[after[0]] - self.window.times[before[-1]]
        if gap >= 1200:
            duration = self.words.duration(gap)
            text = self._say("bridge.gap", duration=duration, duration_cap=_sentence(duration))
        elif after[-1] >= talk.rows[-1] - 1:
            text = self._say("bridge.end")
        else:
            text = self._say("bridge.short")
        self.blocks.append(Block(escape(text), self._ids([before[-1], after[0]])))

    def _picture(self, row: int) -> None:
        if self.pictures_left <= 0:
            return
        self.pictures_left -= 1
        media = self.window.media[row]
        alt = self._say("picture", who=self._who(row), day=self.words.day(self.window.when(row)))
        alt = media.get("description") or alt
        blob = media.get("thumbnail") or media["blob"]
        self.blocks.append(Block(image(alt, blob), (self.window.ids[row],)))

    def _poll(self, row: int) -> None:
        attrs = self.window.polls.get(row, {})
        options = [item for item in attrs.get("options", ()) if isinstance(item, dict)]
        if not options:
            return
        ranked = sorted(options, key=lambda item: -int(item.get("votes") or 0))
        result = self.words.join(
            [
                self._say("poll.option", option=plain(str(item.get("text") or "…")), n=int(item.get("votes") or 0))
                for item in ranked[:5]
            ]
        )
        question = plain(str(attrs.get("question") or self.window.texts[row]))
        text = self._say("poll", opener=self._who(row), question=question, result=result)
        self.blocks.append(Block(escape(text), (self.window.ids[row],)))

    # Lists

    def _decided(self, rows: list[int]) -> int:
        items: list[tuple[str, list[int]]] = []
        for row in self._best(rows):
            line, used = self._decision(row)
            # Two who agree to the same settle one thing.
            if all(used[0] not in others for _, others in items):
                items.append((line, used))
        self._list("heading.decided", items)
        return len(items)

    def _decision(self, row: int) -> tuple[str, list[int]]:
        """A decision as an entry, with what it answers where it doesn't say by itself what was decided."""
        window = self.window
        before = window.replies[row]
        if before < 0 and row and window.chats[row - 1] == window.chats[row]:
            before = row - 1 if window.times[row] - window.times[row - 1] < 600 else -1
        # What was nodded to may be a nod itself.
        while before >= 0 and self.reader.words[before] <= cues.LONGEST_NOD and 0 <= window.replies[before] < before:
            before = window.replies[before]
        own = inline_quote(window.texts[row])
        if (
            self.reader.words[row] < _SELF_CONTAINED
            and before >= 0
            and self.reader.quotable[before]
            and self.reader.substantial[before]
        ):
            first = inline_quote(window.texts[before], limit=140)
            line = self._say("answered", first=first, quote=own, who=escape(self._who(row)), when=self._on(row))
            return line, [before, row]
        return self._say("said", quote=own, who=escape(self._who(row)), when=self._on(row)), [row]

    def _still_open(self, rows: list[int]) -> int:
        items = [
            (
                self._say(
                    "said", quote=inline_quote(self.window.texts[row]), who=escape(self._who(row)), when=self._on(row)
                ),
                [row],
            )
            for row in self._best(rows)
        ]
        self._list("heading.open", items)
        return len(items)

    def _best(self, rows: list[int]) -> list[int]:
        """The rows that say most, as many as a list holds, in order of time."""
        ranked = sorted(rows, key=lambda row: (-self.reader.worth[row], row))[:_MAX_ITEMS]
        return sorted(ranked, key=lambda row: (self.window.times[row], row))

    def _passing(self, talks: list[_Talk]) -> None:
        """What else there was: topics of conversations that aren't told, who came and who went."""
        topics: list[str] = []
        sources: list[int] = []
        seen = {block.markdown.partition(": ")[2] for block in self.blocks if block.markdown.startswith("## ")}
        for talk in sorted(talks, key=lambda talk: (-talk.score, talk.span.start)):
            if not talk.topics or len(talk.rows) < 3 or len(topics) == _MAX_PASSING:
                continue
            term = talk.topics[0][1]
            name = self._shown(term)
            if escape(name) in seen:
                continue
            seen.add(escape(name))
            topics.append(self._say("passing.topic", topic=name, when=self._on(talk.opener)))
            sources.append(next((row for row in term.rows if talk.span.start <= row < talk.span.end), talk.opener))
        if topics:
            self.blocks.append(Block(f"## {self._say('heading.passing')}"))
            text = self._say("passing", topics=self.words.join(topics))
            self.blocks.append(Block(escape(text), self._ids(sources)))

    def _links(self) -> None:
        items: list[tuple[str, list[int]]] = []
        seen: set[str] = set()
        for row in sorted(self.window.links, key=lambda row: (self.window.times[row], row)):
            if not self.reader.spoken[row]:
                continue
            for item in self.window.links[row]:
                target = safe_url(item.get("url") or "")
                if target is None or target in seen or len(items) == _MAX_ITEMS + 2:
                    continue
                seen.add(target)
                site = site_name(item) or target.split("/")[2]
                title = plain(item.get("title") or "") or site
                line = self._say(
                    "shared by",
                    link=link(title, target),
                    site="" if title == site else f" ({escape(site)})",
                    who=escape(self._who(row)),
                )
                if item.get("description"):
                    line += f": {escape(item['description'])}"
                items.append((line, [row]))
        self._list("heading.links", items)

    def _list(self, heading: str, items: Sequence[tuple[str, list[int]]]) -> None:
        if items:
            self.blocks.append(Block(f"## {self._say(heading)}"))
            sources = self._ids([row for _, rows in items for row in rows])
            self.blocks.append(Block("\n".join(f"- {line}" for line, _ in items), sources))

    def _took_part(self) -> list[str]:
        spoken = np.flatnonzero(self.whole.speaks)
        _, begins, numbers = np.unique(self.whole.people[spoken], return_index=True, return_counts=True)
        begun = self.whole.rows.select(["alias", "event_id"]).take(spoken[begins])
        counts: Counter[str] = Counter()
        first: dict[str, str] = {}
        for author, event, n in zip(*(column.to_pylist() for column in begun.columns), numbers.tolist(), strict=True):
            counts[_name(author)] += n
            first.setdefault(_name(author), event)
        people = sorted(counts, key=lambda name: (-counts[name], name))
        self.blocks.append(Block(f"## {self._say('heading.people')}"))
        total = self.words.number(len(spoken))
        if len(people) == 1:
            text = self._say("people.one", names=people[0], messages=total)
        else:
            most = self._say("people.most", who=people[0], n=counts[people[0]]) if len(people) > 2 else ""
            text = self._say("people", names=self.words.names(people, 8), messages=total, most=most)
        for key, names in self._moves(begun.column("alias").to_pylist()):
            text += " " + self._say(key, names=self.words.names(names, 5))
        self.blocks.append(Block(escape(text), tuple(first[name] for name in people[:8])))
        return people

    def _moves(self, aliases: Iterable[str]) -> list[tuple[str, list[str]]]:
        """Who came to the group and who left it, told by notices that begin with one of these aliases."""
        aliases = sorted(filter(None, aliases))
        moves: dict[str, list[str]] = {"joined group": [], "left group": []}
        for notice in self.whole.notices:
            text = plain(notice)
            for name in aliases:
                if text.startswith(name + " "):
                    after = text[len(name) + 1 :].lower()
                    if after.startswith(("joined", "entrou")):
                        moves["joined group"].append(name)
                    elif after.startswith(("left", "saiu")):
                        moves["left group"].append(name)
        return [(key, list(dict.fromkeys(names))) for key, names in moves.items() if names]

    # Head of the post

    def _titles(self, topics: list[Term], people: list[str]) -> tuple[str, ...]:
        names = [self._shown(term) for term in topics[:4]]
        if len(names) < 2:
            names += [
                self._shown(term)
                for term in self.reader.terms.ranked[:8]
                if all(set(term.words).isdisjoint(other.words) for other in topics)
            ][: 3 - len(names)]
        join = self.words.join
        options = []
        if len(names) > 1:
            options.append(join(names[:2]))
        if len(names) > 2:
            options += [join([names[0], names[2]]), join(names[:3]), join(names[1:3])]
        options += names[:2]
        options.append(self._say("title.people", names=self.words.names(people, 2), days=self._days()))
        return tuple(dict.fromkeys(_sentence(title) for title in options if len(title) <= 90)) or (
            _sentence(self._days()),
        )

    def _standfirst(self, topics: list[Term], people: list[str], decisions: int, questions: int) -> str:
        first, last = self._day_bounds()
        when = self._say("on.day" if first == last else "on.range", days=self._days())
        names = self.words.names(people, 3)
        subjects = [self._shown(term) for term in topics[:3]]
        if not subjects:
            total = self.words.number(int(self.whole.speaks.sum()))
            text = self._say("standfirst.no topic", when=when, names=names, messages=total)
        else:
            key = "standfirst" if len(people) > 1 else "standfirst.solo"
            text = self._say(
                key,
                when=when,
                when_lower=when[0].lower() + when[1:],
                names=names,
                topics=self.words.join(subjects),
            )
        decided = self.words.count("decided", decisions) if decisions else ""
        still = self.words.count("open", questions) if questions else ""
        if decided and still:
            outcome = self._say("outcome.both", decided=decided, open=still)
        else:
            outcome = f"{decided or still}." if decided or still else ""
        return plain(f"{text} {_sentence(outcome)}".strip())

    def _day_bounds(self) -> tuple[date, date]:
        """First and last day on which something was written."""
        times = self.whole.times
        low, high = times.index(min(times)), times.index(max(times))
        return self.whole.when(low).date(), self.whole.when(high).date()

    def _days(self) -> str:
        return self.words.days(*self._day_bounds())

    def _tags(self) -> tuple[str, ...]:
        tags: list[str] = []
        for term in self.reader.terms.ranked:
            tag = plain(term.shown.lower())
            if tag and tag not in tags:
                tags.append(tag)
            if len(tags) == 6:
                break
        return tuple(tags)

    def _language(self) -> str:
        counts = Counter(filter(None, compress(self.window.languages, self.reader.spoken)))
        return min(counts, key=lambda code: (-counts[code], code)) if counts else self.words.code

    def _signals(self, talks: list[_Talk], people: list[str], decisions: int) -> dict[str, int]:
        window, reader, whole = self.window, self.reader, self.whole
        short = sum(
            1
            for talk in talks
            for before, row in pairwise(talk.rows)
            if window.authors[before] != window.authors[row]
            and window.kinds[row] == "text"
            and reader.words[row] <= _SHORT
            and row not in reader.asking
        )
        return {
            "messages": int(whole.speaks.sum()),
            "people": len(people),
            "exchanges": int(whole.answers.sum()),
            "reactions": short,
            "decisions": decisions,
            "questions": len(reader.asking),
            "links": pc.sum(pc.list_value_length(whole.rows.column("links").filter(whole.speaks)), min_count=0).as_py(),
            "media": pc.sum(pc.equal(whole.rows.column("kind").filter(whole.speaks), "media"), min_count=0).as_py(),
        }

    # Small words

    def _say(self, key: str, **values: object) -> str:
        """A phrase; where it has variants, another one each time in this post, and not the same one first in each."""
        self.said[key] += 1
        return self.words.say(key, self.seed + self.said[key], **values)

    def _who(self, row: int) -> str:
        return self.reader.who[row]

    def _on(self, row: int) -> str:
        when = self.window.when(row)
        return self.words.day(when) if self.dated else self.words.weekday(when)

    def _ids(self, rows: Sequence[int]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.window.ids[row] for row in rows))


def _sentence(text: str) -> str:
    """The text with its first letter as a capital."""
    return text[:1].upper() + text[1:]
