"""The words of narration, in the languages that a site can have. What is quoted stays in its own language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

__all__ = ["Language", "language"]


@dataclass(frozen=True)
class Language:
    """One language's phrases.

    Attributes:
        code: ISO 639-1.
        months, weekdays: Names; weekdays from Monday.
        numbers: Words for 0 to 12.
        articles: Words that stand before nouns → the article that a topic takes when they mostly stand before it.
        parts: Format of "weekday and part of the day" for small hours, morning, afternoon, evening, night.
        phrases: Key → variants, each a format string.
        day_format: Day and month.
        range_same_month, range_other_month, range_other_year: Formats of two days `a`, `b` with `month`, `year`.
        others: Format of "and n others", for one and for more.
        possessive: Format of a thing of somebody's.
    """

    code: str
    conjunction: str
    months: tuple[str, ...]
    weekdays: tuple[str, ...]
    numbers: tuple[str, ...]
    articles: Mapping[str, str]
    parts: tuple[str, str, str, str, str]
    day_format: str
    day_year_format: str
    range_same_month: str
    range_other_month: str
    range_other_year: str
    others: tuple[str, str]
    phrases: Mapping[str, tuple[str, ...]]

    def say(self, key: str, variant: int = 0, **values: object) -> str:
        """One of a phrase's variants, told by a number, with its values."""
        variants = self.phrases[key]
        return variants[variant % len(variants)].format(**values)

    def count(self, key: str, n: int) -> str:
        """A phrase for one (`key.one`) or for another number (`key.many`, with `{n}` as a word up to twelve)."""
        return self.say(f"{key}.one" if n == 1 else f"{key}.many", n=self.number(n))

    def number(self, n: int) -> str:
        """A number as a word up to twelve, then in figures."""
        return self.numbers[n] if n < len(self.numbers) else f"{n:,}".replace(",", self.phrases["thousands"][0])

    def join(self, parts: Sequence[str]) -> str:
        """`a`, `a and b`, `a, b and c`."""
        return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {self.conjunction} {parts[-1]}"

    def names(self, people: Sequence[str], most: int = 3) -> str:
        """People by name, and how many more beyond `most`."""
        rest = len(people) - most
        if rest <= 0:
            return self.join(people)
        if rest == 1:
            return self.join(people[: most + 1])
        return self.join([*people[:most], self.others[1].format(n=self.number(rest))])

    def weekday(self, day: date) -> str:
        """Name of the day of the week."""
        return self.weekdays[day.weekday()]

    def day(self, day: date) -> str:
        """Day and month."""
        return self.day_format.format(day=day.day, month=self.months[day.month - 1])

    def day_and_year(self, day: date) -> str:
        """Day, month and year."""
        return self.day_year_format.format(day=day.day, month=self.months[day.month - 1], year=day.year)

    def days(self, first: date, last: date) -> str:
        """From one day to another, e.g. `4 to 10 March 2024`."""
        if first == last:
            return self.day_and_year(first)
        if (first.year, first.month) == (last.year, last.month):
            return self.range_same_month.format(
                a=first.day, b=last.day, month=self.months[first.month - 1], year=first.year
            )
        form = self.range_other_month if first.year == last.year else self.range_other_year
        return form.format(a=self.day(first), b=self.day_and_year(last), a_year=self.day_and_year(first))

    def moment(self, when: datetime, *, dated: bool) -> str:
        """Weekday and part of the day, with the date where the weekday alone would not tell."""
        part = 0 if when.hour < 5 else 1 if when.hour < 12 else 2 if when.hour < 18 else 3 if when.hour < 22 else 4
        weekday = self.weekday(when)
        if dated:
            weekday = f"{weekday} {self.day(when)}" if self.code == "en" else f"{weekday}, {self.day(when)},"
        text = self.parts[part].format(day=weekday)
        return text[0].upper() + text[1:]

    def duration(self, seconds: int) -> str:
        """A rough span of time."""
        minutes = seconds // 60
        if minutes < 20:
            return self.say("minutes")
        if minutes < 45:
            return self.say("half hour")
        if minutes < 90:
            return self.say("an hour")
        hours = round(minutes / 60)
        return self.say("hours", n=self.number(hours)) if hours < 36 else self.say("days", n=max(round(hours / 24), 2))


def _each(words: str, article: str) -> dict[str, str]:
    return dict.fromkeys(words.split(), article)


_EN: Final = Language(
    code="en",
    conjunction="and",
    months=(
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    weekdays=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    numbers=("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    articles={
        **_each("the my our your his her their this that these those", "the"),
        "a": "a",
        "an": "an",
    },
    parts=("{day}, small hours", "{day} morning", "{day} afternoon", "{day} evening", "{day} night"),
    day_format="{day} {month}",
    day_year_format="{day} {month} {year}",
    range_same_month="{a} to {b} {month} {year}",
    range_other_month="{a} to {b}",
    range_other_year="{a_year} to {b}",
    others=("one other", "{n} others"),
    phrases={
        "thousands": (",",),
        "minutes": ("a few minutes",),
        "half hour": ("half an hour",),
        "an hour": ("an hour",),
        "hours": ("{n} hours",),
        "days": ("{n} days",),
        "open.question": (
            "{opener} had a question, and {others} weighed in.",
            "It began with a question from {opener}; {others} took it up.",
            "{opener} asked, and it drew in {others}.",
        ),
        "open.question.alone": ("{opener} put a question to the group.", "{opener} had a question."),
        "open.picture": (
            "{opener} shared a picture, and {others} had something to say about it.",
            "A picture from {opener} started this one, with {others} joining in.",
        ),
        "open.picture.alone": ("{opener} shared a picture.",),
        "open.link": (
            "{opener} passed on a link, and {others} picked it up.",
            "A link from {opener} set this off; {others} joined in.",
        ),
        "open.link.alone": ("{opener} passed on a link.",),
        "open.poll": ("{opener} put it to a vote, with {others} in the discussion.",),
        "open.poll.alone": ("{opener} put it to a vote.",),
        "open.text": (
            "{opener} brought it up, and {others} joined in.",
            "{opener} started this one; {others} followed.",
            "First came {opener}, then {others}.",
            "{opener} set the ball rolling, and {others} kept it going.",
        ),
        "open.text.alone": ("{opener} had the floor to themselves.", "This one was {opener}, thinking aloud."),
        "joined.settled": (
            "By the end of it, something had been decided.",
            "They came away with a decision.",
        ),
        "joined.pair": ("Most of it went back and forth between {a} and {b}.", "{a} and {b} did most of the talking."),
        "joined.laugh": ("There was a good deal of laughter.", "Nobody kept a straight face for long."),
        "joined.length": (
            "It ran to {n} messages over {duration}.",
            "Over {duration}, it came to {n} messages.",
        ),
        "joined.open": ("Not everything got an answer.", "At least one question was left hanging."),
        "bridge.short": ("A little further on:", "And then:", "A few messages later:"),
        "bridge.gap": ("{duration_cap} later:", "It came up again {duration} later:"),
        "bridge.end": ("This is how it ended:", "And to finish:"),
        "again": ("more on {topic}", "{topic}, continued", "back to {topic}"),
        "topic.question": ("a question from {opener}",),
        "topic.picture": ("a picture from {opener}",),
        "topic.link": ("a link from {opener}",),
        "topic.poll": ("a vote",),
        "topic.text": ("{names}",),
        "poll": ("The vote on “{question}”: {result}.",),
        "poll.option": ("{option} ({n})",),
        "standfirst": (
            "{when}, {names} talked about {topics}.",
            "{names} on {topics}, {when_lower}.",
        ),
        "standfirst.no topic": ("{when}: {messages} messages from {names}.",),
        "standfirst.solo": ("{when}, {names} wrote about {topics}.",),
        "on.range": ("From {days}",),
        "on.day": ("On {days}",),
        "decided.one": ("One thing was decided",),
        "decided.many": ("{n} things were decided",),
        "open.one": ("one question is still open",),
        "open.many": ("{n} questions are still open",),
        "outcome.both": ("{decided}; {open}.",),
        "heading.decided": ("Decided",),
        "heading.open": ("Still open",),
        "heading.links": ("Links",),
        "heading.people": ("Who took part",),
        "said": ("{quote} — {who}, {when}",),
        "answered": ("{first} — {quote} ({who}, {when})",),
        "shared by": ("{link}{site}, shared by {who}",),
        "picture": ("Picture shared by {who} on {day}",),
        "heading.passing": ("In passing",),
        "passing": ("There was also talk of {topics}.", "Also mentioned: {topics}."),
        "passing.topic": ("{topic} ({when})",),
        "people": ("{names} wrote {messages} messages between them{most}.",),
        "people.one": ("{names} wrote all {messages} messages.",),
        "people.most": (", {who} the most ({n})",),
        "joined group": ("{names} joined the group.",),
        "left group": ("{names} left the group.",),
        "earlier": ("Earlier: {links}.",),
        "earlier.on": ("{link} ({topics})",),
        "title.people": ("{names}, {days}",),
        "title.dated": ("{title} ({day})",),
    },
)

_PT: Final = Language(
    code="pt",
    conjunction="e",
    months=(
        "janeiro",
        "fevereiro",
        "março",
        "abril",
        "maio",
        "junho",
        "julho",
        "agosto",
        "setembro",
        "outubro",
        "novembro",
        "dezembro",
    ),
    weekdays=("segunda", "terça", "quarta", "quinta", "sexta", "sábado", "domingo"),
    numbers=(
        "nenhuma",
        "uma",
        "duas",
        "três",
        "quatro",
        "cinco",
        "seis",
        "sete",
        "oito",
        "nove",
        "dez",
        "onze",
        "doze",
    ),
    articles={
        **_each("o do no ao pro pelo meu seu nosso esse este aquele", "o"),
        **_each("a da na à pela minha sua nossa essa esta aquela", "a"),
        **_each("os dos nos aos pelos meus seus nossos esses", "os"),
        **_each("as das nas às pelas minhas suas nossas essas", "as"),
        **dict.fromkeys(("um", "num"), "um"),
        **dict.fromkeys(("uma", "numa"), "uma"),
    },
    parts=("{day} de madrugada", "{day} de manhã", "{day} à tarde", "{day} à noite", "{day} à noite"),
    day_format="{day} de {month}",
    day_year_format="{day} de {month} de {year}",
    range_same_month="{a} a {b} de {month} de {year}",
    range_other_month="{a} a {b}",
    range_other_year="{a_year} a {b}",
    others=("mais uma pessoa", "mais {n} pessoas"),
    phrases={
        "thousands": (".",),
        "minutes": ("alguns minutos",),
        "half hour": ("meia hora",),
        "an hour": ("uma hora",),
        "hours": ("{n} horas",),
        "days": ("{n} dias",),
        "open.question": (
            "{opener} fez uma pergunta, e a resposta veio com {others}.",
            "Começou com uma pergunta de {opener}; depois, {others}.",
            "A pergunta foi de {opener}, e puxou {others} para a conversa.",
        ),
        "open.question.alone": ("{opener} deixou uma pergunta para o grupo.", "Uma pergunta de {opener}."),
        "open.picture": (
            "{opener} mandou uma foto, e a conversa seguiu com {others}.",
            "Tudo começou com uma foto de {opener}; depois, {others}.",
        ),
        "open.picture.alone": ("{opener} mandou uma foto.",),
        "open.link": (
            "{opener} mandou um link, e daí a conversa seguiu com {others}.",
            "Um link de {opener} puxou a conversa com {others}.",
        ),
        "open.link.alone": ("{opener} mandou um link.",),
        "open.poll": ("{opener} abriu uma votação; na conversa, {others}.",),
        "open.poll.alone": ("{opener} abriu uma votação.",),
        "open.text": (
            "{opener} puxou o assunto, e a conversa seguiu com {others}.",
            "Quem começou foi {opener}; depois, {others}.",
            "Primeiro {opener}, depois {others}.",
        ),
        "open.text.alone": ("Aqui, só {opener} falou.", "{opener} ficou com a palavra."),
        "joined.settled": ("No fim, ficou decidido.", "A conversa terminou em decisão."),
        "joined.pair": ("A maior parte foi entre {a} e {b}.", "Quem mais falou: {a} e {b}."),
        "joined.laugh": ("Teve muita risada.", "Ninguém segurou o riso."),
        "joined.length": ("Foram {n} mensagens em {duration}.", "Ao todo, {n} mensagens em {duration}."),
        "joined.open": ("Nem tudo teve resposta.", "Ficou pergunta no ar."),
        "bridge.short": ("Um pouco depois:", "E então:", "Algumas mensagens depois:"),
        "bridge.gap": ("{duration_cap} depois:", "O assunto voltou {duration} depois:"),
        "bridge.end": ("E terminou assim:", "Para fechar:"),
        "again": ("mais sobre {topic}", "{topic}, continuação", "de novo {topic}"),
        "topic.question": ("uma pergunta de {opener}",),
        "topic.picture": ("uma foto de {opener}",),
        "topic.link": ("um link de {opener}",),
        "topic.poll": ("uma votação",),
        "topic.text": ("{names}",),
        "poll": ("A votação, “{question}”: {result}.",),
        "poll.option": ("{option} ({n})",),
        "standfirst": (
            "{when}, {names} falaram sobre {topics}.",
            "{when}, com {names}: {topics}.",
        ),
        "standfirst.no topic": ("{when}: {messages} mensagens de {names}.",),
        "standfirst.solo": ("{when}, com {names}: {topics}.",),
        "on.range": ("De {days}",),
        "on.day": ("Em {days}",),
        "decided.one": ("Uma decisão tomada",),
        "decided.many": ("{n} decisões tomadas",),
        "open.one": ("uma pergunta em aberto",),
        "open.many": ("{n} perguntas em aberto",),
        "outcome.both": ("{decided}, {open}.",),
        "heading.decided": ("Decidido",),
        "heading.open": ("Em aberto",),
        "heading.links": ("Links",),
        "heading.people": ("Quem participou",),
        "said": ("{quote} — {who}, {when}",),
        "answered": ("{first} — {quote} ({who}, {when})",),
        "shared by": ("{link}{site}, por {who}",),
        "picture": ("Foto enviada por {who} em {day}",),
        "heading.passing": ("De passagem",),
        "passing": ("Também se falou disto: {topics}.", "E mais: {topics}."),
        "passing.topic": ("{topic} ({when})",),
        "people": ("{names}: {messages} mensagens ao todo{most}.",),
        "people.one": ("{names}: todas as {messages} mensagens.",),
        "people.most": (", a maior parte de {who} ({n})",),
        "joined group": ("Chegou ao grupo: {names}.",),
        "left group": ("Saiu do grupo: {names}.",),
        "earlier": ("Antes: {links}.",),
        "earlier.on": ("{link} ({topics})",),
        "title.people": ("{names}, {days}",),
        "title.dated": ("{title} ({day})",),
    },
)
_ALL: Final = {"en": _EN, "pt": _PT}


def language(code: str) -> Language:
    """The phrases of a language (ISO 639-1, a region after it is ignored); English where there are none yet."""
    return _ALL.get(code.lower()[:2], _EN)
