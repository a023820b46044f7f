"""What a window's words say: its tokens, and the terms that set it apart from the other windows.

Keyness compares a window with all the others by document frequencies: in how many windows a word occurs. That is what
makes titles distinctive, and it also means that a post rests, a little, on text outside its own window. To keep posts
(and their addresses) stable, what comes from other windows is taken in a few coarse steps: the share of windows that
know a word, and whether the chat uses it as a noun. One more week moves few words over a step, and in a long chat
hardly any. Frequencies of what came before alone would be steadier still when a chat grows, but leave the first weeks
without any background and let a change in one of them reach every later post.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import compress, count, pairwise
from operator import ne
from typing import Final

__all__ = ["SEPARATOR", "Background", "Term", "Terms", "Tokens", "background", "terms_of", "tokenise"]


SEPARATOR: Final = "\x00"
"""Stands between two messages in joined text, and is a token of its own."""

# Addresses, placeholders of the privacy stage, numbers and mentions' signs are no words: they leave the empty token.
_TOKEN = re.compile(
    r"https?://[^\s\x00]+|www\.[^\s\x00]+|\[[a-z][a-z _-]*\]|\d[^\s\x00]*"
    r"|([^\W\d_][^\W_]*(?:['’-][^\W\d_]+)*|\x00|\n|[^\w\s\x00'’@#*_-]+)"
)

# Words of chat that lists of stop words lack, English and Portuguese.
_FILLERS: Final = frozenset(
    """
    lol lmao haha hahaha hahahaha hehe hehehe omg wow yay yeah yep yup nope nah okay okey hey hiya guys folks
    everyone everybody anyone anybody someone somebody nobody thanks thank thx cheers sorry please pls plz cool nice
    great good bad awesome amazing perfect lovely sure fine really actually maybe probably definitely exactly
    totally literally gonna wanna gotta kinda sorta dunno btw fyi imo tbh idk just like love loved need needs want
    wants think thought know knows knew guess hope mean means said says say tell told ask asked asking going gone
    coming went come came bring brings brought take takes took taking get gets got getting make makes made making
    put puts give gave given look looks looking looked see seen saw watch find found try tried trying use used keep
    kept let lets start started stop stopped wait waiting happen happened happens happy glad welcome feel feels felt
    work works worked time times day days today tomorrow yesterday tonight morning afternoon evening night week
    weeks weekend month months year years hour hours minute minutes monday tuesday wednesday thursday friday
    saturday sunday january february march april may june july august september october november december thing
    things stuff way lot lots bit one two three four five six seven eight nine ten first second third last next new
    old big small little long short whole half right left back away early late later soon already still ever never
    always sometimes often again enough people person man guy yes no not why how what who where when well too also
    even much many more most less least better best worse worst idea question answer point sounds pretty quite super
    very bye hello hi congrats ok oh ah uh um hmm ugh eh isn aren wasn don doesn didn won wouldn couldn shouldn ve
    ll re im ive ill dont cant thats its whats theres call called send sent buy bought pay paid eat ate drink play
    played talk talked leave leaving arrive arrived believe remember forget forgot changed change check checked turn
    turned live lives run runs ran open opened serious seriously honest honestly basically apparently obviously fair
    true wrong crazy weird funny fun link photo picture pic pics photos pictures video videos audio message messages
    group chat kkk kkkk kkkkk rsrs tipo né aí pra pro pras pros tá tô cê vc vcs tb tbm blz vlw valeu obrigado
    obrigada gente galera pessoal cara mano gosto adoro quero quer queria acho achei sei sabe sabia vou vai vamos
    vem bora ir fui foi fazer faz fez feito ter tem tinha ver viu vi dar deu dá dizer disse falar falou falo ficar
    fica ficou levar leva levo trazer traz trago pegar pega comprar comprei hoje amanhã ontem manhã tarde noite dia
    dias semana semanas mês meses ano anos hora horas minuto minutos segunda terça quarta quinta sexta sábado
    domingo janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro coisa coisas
    jeito vez vezes bem mal bom boa bons boas ótimo ótima legal massa lindo linda demais muito muita pouco mesmo
    mesma também ainda agora depois antes sempre nunca cedo sim não claro certo certeza verdade alguém ninguém todo
    toda todos todas tudo nada mundo pouquinho beleza oi olá tchau beijo beijos abraço abraços opa eita nossa então
    porque melhor pior minha min mins decided agreed booked settled sorted confirmed fechado combinado marcado
    confirmado worth straight write wrote writing written proper properly moving closing clear quick slow pq qual
    quais quem onde quando como quanto
    """.split()  # noqa: SIM905
)
# Words that lists of stop words hold and that chats are nevertheless about.
_KEPT: Final = frozenset(
    """
    home fire bill bills computer keys key mug room rooms page system member members interest face order kitchen
    valor ponto lugar
    """.split()  # noqa: SIM905
)
_BEFORE_NOUN: Final = frozenset(
    """
    the a an my our your his her their this that these those no some any of for with in at on from about without per
    o a os as um uma uns umas meu minha meus minhas seu sua nosso nossa do da dos das no na nos nas ao à num numa
    com sem de para pra pro sobre esse essa este esta aquele aquela
    """.split()  # noqa: SIM905
)
_BEFORE_VERB: Final = frozenset(
    """
    to i we you they he she it can can't will won't i'll we'll you'll they'll i'd we'd let's lets don't didn't
    doesn't should could would might must not please who and eu nós você vocês ele ela eles vou vai vamos posso pode
    podemos quer quero não que se
    """.split()  # noqa: SIM905
)
_JOINING: Final = frozenset(["of", "de", "da", "do", "das", "dos"])
_STEPS: Final = ((0.0, 1.0), (0.06, 0.9), (0.15, 0.75), (0.35, 0.55), (0.6, 0.35))
_COMMONEST: Final = 0.2
_MANY_WINDOWS: Final = 12
_CANDIDATES: Final = 90
"""Terms of a window that are looked at closely; the rest can't win."""


@cache
def stop_words(languages: tuple[str, ...]) -> frozenset[str]:
    """Words that say nothing of a topic, in these languages (ISO 639-1), with those of chats."""
    import stopwordsiso

    return (frozenset(stopwordsiso.stopwords(languages)) - _KEPT) | _FILLERS


@dataclass(frozen=True)
class Background:
    """What all windows together know.

    Attributes:
        windows: How many there are.
        frequencies: In how many of them each word occurs.
        nouns, verbs: How often each word follows one that mostly stands before nouns, or before verbs.
        aliases: Every alias, lower-case words of it, which are never topics.
        stop: Words that are never topics.
    """

    windows: int
    frequencies: Counter[str]
    nouns: Counter[str]
    verbs: Counter[str]
    aliases: frozenset[str]
    stop: frozenset[str]

    @cached_property
    def content(self) -> frozenset[str]:
        """The lower-case words of all windows that may be topics."""
        left_out = self.stop | self.aliases
        return frozenset(
            word
            for word in self.frequencies
            if len(word) > 2 and word[0].isalpha() and word not in left_out and not word.endswith("'s")
        )

    @cached_property
    def rarity(self) -> dict[str, float]:
        """How much a word sets a window apart: from 1 (no other window has it) in coarse steps to almost nothing.

        Where there are few windows, to be in all of them means little.
        """
        power = min(1.0, self.windows / _MANY_WINDOWS)
        shares = [max(n - 1, 0) / (self.windows + 1) for n in range(self.windows + 1)]
        steps = [next((value for limit, value in _STEPS if share <= limit), _COMMONEST) ** power for share in shares]
        return {word: steps[self.frequencies[word]] for word in self.content}

    @cached_property
    def threads(self) -> frozenset[str]:
        """Nouns that a few windows have: to be said once is enough for them to be a topic."""
        few = {word for word, n in self.frequencies.items() if 1 < n <= 1 + 0.15 * self.windows}
        return frozenset(word for word in few & self.content if self.likeness[word] == 1.0)

    @cached_property
    def likeness(self) -> dict[str, float]:
        """How much a word reads like the name of a thing, told by what stands before it, in three steps."""
        nouns, verbs = self.nouns, self.verbs
        return {
            word: 0.2
            if verbs[word] > nouns[word] or (word.endswith(("ing", "ed")) and len(word) > 5)
            else 1.0
            if nouns[word] > 1.5 * verbs[word]
            else 0.6
            for word in self.content
        }


def background(texts: Iterable[tuple[int, str]], aliases: Iterable[str], languages: Sequence[str]) -> Background:
    """Count words over all windows.

    Args:
        texts: (window, text) pairs, all texts of a window in a row, in pieces of any size.
        aliases: The aliases that occur.
        languages: Languages (ISO 639-1) whose stop words are left out.
    """
    frequencies: Counter[str] = Counter()
    nouns: Counter[str] = Counter()
    verbs: Counter[str] = Counter()
    known: set[str] = set()
    windows, current = 0, None
    for window, text in texts:
        if window != current:
            frequencies.update(known)
            known, current = set(), window
            windows += 1
        found = _TOKEN.findall(_normal(text))
        known.update(found)
        nouns.update(compress(found[1:], map(_BEFORE_NOUN.__contains__, found)))
        verbs.update(compress(found[1:], map(_BEFORE_VERB.__contains__, found)))
    frequencies.update(known)
    words = {word for alias in aliases for word in _TOKEN.findall(_normal(alias))}
    return Background(windows, frequencies, nouns, verbs, frozenset(words), stop_words(tuple(languages)))


def _normal(text: str) -> str:
    return text.lower().replace("’", "'")


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a window in one list, punctuation and `SEPARATOR` among them.

    Attributes:
        surface: As written.
        lower: In lower case, one kind of apostrophe.
        starts: Where each message begins, and after the last one the end.
        letters: The lower-case tokens that are words.
    """

    surface: list[str]
    lower: list[str]
    starts: list[int]
    letters: frozenset[str]

    def words(self, row: int) -> list[str]:
        """Lower-case words of one message."""
        return list(filter(self.letters.__contains__, self.lower[self.starts[row] : self.starts[row + 1]]))


def tokenise(texts: Sequence[str]) -> Tokens:
    """Cut texts into tokens, all at once."""
    surface = _TOKEN.findall(SEPARATOR.join(text.replace(SEPARATOR, "") for text in texts) + SEPARATOR)
    lower = _normal("\x01".join(surface)).split("\x01") if surface else []
    if len(lower) != len(surface):  # U+0001 in a text; it stands for nothing
        surface = [token.replace("\x01", "") for token in surface]
        lower = [_normal(token) for token in surface]
    starts = [0]
    starts.extend(compress(count(1), map(SEPARATOR.__eq__, lower)))
    return Tokens(surface, lower, starts, frozenset(token for token in set(lower) if token[:1].isalpha()))


@dataclass(slots=True)
class Term:
    """A word or a short phrase that sets a window apart.

    Attributes:
        words: Lower-case words of it.
        weight: How much it does so, in the window's own scale.
        rows: Messages in which it occurs, ascending, each once.
        shown: As the chat mostly writes it.
        before: The words that stand before it, in lower case, and how often, where no further word of content follows.
    """

    words: tuple[str, ...]
    weight: float
    rows: list[int] = field(default_factory=list)
    shown: str = ""
    before: Counter[str] = field(default_factory=Counter)

    @property
    def key(self) -> str:
        """The term in lower case."""
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Terms:
    """A window's terms, heaviest first, and the weight of each word of theirs, from 0 to 1."""

    ranked: list[Term]
    weights: dict[str, float]


def terms_of(tokens: Tokens, authors: Sequence[str | None], known: Background) -> Terms:
    """The terms that set a window apart: words, pairs of words, and pairs joined by `of` or `de`.

    A term should read as the name of a thing. There is no grammar at hand, so a word is taken for a noun by what
    mostly stands before it (`the`, `of`, `com`), for a verb likewise (`to`, `we'll`, `vamos`), and for a name by its
    capital inside a sentence.
    """
    lower = tokens.lower
    counts = Counter(lower)
    names, pairs_of_names = _names(tokens, counts, known)
    content = {word for word, n in counts.items() if (n > 1 or word in known.threads) and word in known.content} | names
    merged = {word: word[:-1] for word in content if word[-1] == "s" and word[:-1] in content}

    rarity = known.rarity
    likeness = {word: 1.1 if word in names else known.likeness[word] for word in content}

    scored: list[tuple[float, tuple[str, ...]]] = []
    for word in content:
        # Of a word's two numbers the more frequent one stands for both.
        other = merged.get(word) or (word + "s" if merged.get(word + "s") == word else None)
        if other and (counts[other], other) > (counts[word], word):
            continue
        total = counts[word] + (counts[other] if other else 0)
        scored.append((total**0.8 * rarity[word] * likeness[word], (word,)))
    places = list(compress(count(), map(content.__contains__, lower)))
    pairs = Counter((lower[i], lower[j]) for i, j in pairwise(places) if j == i + 1)
    phrases: list[tuple[tuple[str, ...], int]] = [
        (pair, n) for pair, n in pairs.items() if (n > 1 or pair in pairs_of_names) and pair[0] != pair[1]
    ]
    joined: Counter[tuple[str, ...]] = Counter(
        (lower[i], lower[i + 1], lower[j]) for i, j in pairwise(places) if j == i + 2 and lower[i + 1] in _JOINING
    )
    phrases.extend((words, n) for words, n in joined.items() if n > 1 and words[0] != words[2])
    for words, n in phrases:
        ends = (words[0], words[-1])
        rarities = sorted((rarity[ends[0]], rarity[ends[1]]))
        cohesion = n / min(counts[ends[0]], counts[ends[1]])
        well = (likeness[ends[0]] * likeness[ends[1]]) ** 0.5
        scored.append((n**0.8 * (0.4 * rarities[0] + 0.6 * rarities[1]) * well * (0.6 + 1.1 * cohesion), words))
    scored.sort(key=lambda item: (-item[0], item[1]))
    candidates = {words: Term(words, weight) for weight, words in scored[:_CANDIDATES]}
    _locate(candidates, tokens, merged, known.content)
    ranked = []
    for term in candidates.values():
        people = {authors[row] for row in term.rows}
        # What one person repeats is a habit; what several say is a topic.
        term.weight *= {0: 0.0, 1: 0.6, 2: 1.0}.get(len(people), 1.15)
        if 2 * sum(term.before.values()) < len(term.rows):
            term.weight *= 0.6  # it mostly describes another word
        ranked.append(term)
    ranked.sort(key=lambda term: (-term.weight, term.words))
    ranked = _without_parts(ranked)
    top = ranked[0].weight if ranked else 1.0
    weights: dict[str, float] = {}
    for term in ranked:
        for word in (term.words[0], term.words[-1]):
            weights[word] = max(weights.get(word, 0.0), term.weight / top)
    for one, two in merged.items():
        best = max(weights.get(one, 0.0), weights.get(two, 0.0))
        if best:
            weights[one] = weights[two] = best
    return Terms(ranked, weights)


def _names(tokens: Tokens, counts: Counter[str], known: Background) -> tuple[set[str], set[tuple[str, str]]]:
    """Words that are written with a capital inside sentences, and pairs of such words next to each other."""
    surface, lower = tokens.surface, tokens.lower
    inside: Counter[str] = Counter()
    first: Counter[str] = Counter()
    pairs: set[tuple[str, str]] = set()
    for i in compress(count(), map(ne, surface, lower)):
        written, word = surface[i], lower[i]
        if not written[0].isupper() or (len(written) > 1 and written.isupper()):
            continue
        if i and lower[i - 1][:1].isalpha():
            inside[word] += 1
            if surface[i - 1][0].isupper() and not surface[i - 1].isupper():
                pairs.add((lower[i - 1], word))
        else:
            first[word] += 1
    names = {word for word, n in inside.items() if 2 * n >= counts[word] - first[word] and word in known.content}
    return names, {pair for pair in pairs if pair[0] in names and pair[1] in names}


def _locate(
    candidates: dict[tuple[str, ...], Term], tokens: Tokens, merged: dict[str, str], content: frozenset[str]
) -> None:
    """Fill in where the terms occur, how they are written and what stands before them."""
    lower, surface = tokens.lower, tokens.surface
    by_first: dict[str, list[Term]] = {}
    for term in candidates.values():
        by_first.setdefault(term.words[0], []).append(term)
    for plural, singular in merged.items():
        for one, two in ((plural, singular), (singular, plural)):
            if (one,) in candidates and (two,) not in candidates:
                by_first.setdefault(two, []).append(candidates[(one,)])
    shown: dict[tuple[str, ...], Counter[str]] = {words: Counter() for words in candidates}
    row, end = 0, tokens.starts[1]
    for i in compress(count(), map(by_first.__contains__, lower)):
        while i >= end:
            row += 1
            end = tokens.starts[row + 1]
        token = lower[i]
        for term in by_first[token]:
            words = term.words
            if len(words) > 1 and tuple(lower[i : i + len(words)]) != words:
                continue
            if len(words) > 1 or token == words[0]:
                # A capital at the start of a sentence says nothing of the word: such a form counts last.
                inside = i and lower[i - 1][:1].isalpha()
                written = " ".join(surface[i : i + len(words)])
                if not inside and not surface[i].isupper():
                    written = written[0].lower() + written[1:]
                shown[words][written] += 100 if inside else 1
            # "A sole trader" says nothing of a sole.
            if lower[i + len(words)] not in content:
                term.before[lower[i - 1] if i else ""] += 1
            if not term.rows or term.rows[-1] != row:
                term.rows.append(row)
    for words, term in candidates.items():
        forms = shown[words]
        # Shouting is no spelling, unless it is the only one and short, as `NASA` is.
        term.shown = min(
            (form for form in forms if not (form.isupper() and len(form) > 5)),
            key=lambda form: (form.isupper() and len(forms) > 1, -forms[form], form),
            default=term.key,
        )


def _without_parts(ranked: list[Term]) -> list[Term]:
    """Terms without those that are a part of a heavier one, or a whole of one, that says it already."""
    kept: list[Term] = []
    by_word: dict[str, list[Term]] = {}
    for term in ranked:
        mine = set(term.words)
        near = [other for word in (term.words[0], term.words[-1]) for other in by_word.get(word, ())]
        if any(
            (mine.issubset(other.words) and len(term.rows) < 2.5 * len(other.rows))
            or (mine.issuperset(other.words) and len(term.rows) < 0.34 * len(other.rows))
            for other in near
        ):
            continue
        kept.append(term)
        for word in mine:
            by_word.setdefault(word, []).append(term)
    return kept
