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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import chain, pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Background", "Term", "Terms", "Tokens", "Vocabulary", "background", "terms_of", "tokenise"]

Numbers = npt.NDArray[Any]
"""An array of whole numbers: words by their number in a `Vocabulary`, places, rows or counts."""
Flags = npt.NDArray[np.bool_]

_SEPARATOR: Final = "\x00"
"""The token behind each message; number 0 of every vocabulary."""
_LINE: Final = "\x01"
"""The token between two lines of a message."""
_PIECE: Final = 10_000
"""Messages that are cut at once."""

# What stands between two spaces is cut on its own. Addresses, placeholders of the privacy stage, numbers and mentions'
# signs are no words: they leave the empty token.
_TOKEN = re.compile(
    r"https?://\S+|www\.\S+|\[[a-z][a-z_-]*\]|\d\S*|([^\W\d_][^\W_]*(?:['’-][^\W\d_]+)*|[^\w\s'’@#*_-]+)"
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
_GERMAN_ARTICLES: Final = frozenset(
    """
    der die das den dem des ein eine einen einem einer eines kein keine keinen keinem keiner mein meine meinen meinem
    meiner dein deine deinen deinem deiner sein seine seinen seinem seiner ihr ihre ihren ihrem ihrer unser unsere
    unseren unserem unserer euer eure euren eurem eurer dieser diese dieses diesen diesem welche welcher welches jede
    jeder jedes jeden jedem im am zum zur vom beim ins ans aufs viel viele mehr
    """.split()  # noqa: SIM905
)
_JOINING: Final = frozenset(["of", "de", "da", "do", "das", "dos"])
_STEPS: Final = ((0.0, 1.0), (0.06, 0.9), (0.15, 0.75), (0.35, 0.55), (0.6, 0.35))
_COMMONEST: Final = 0.2
_MANY_WINDOWS: Final = 12
_CANDIDATES: Final = 90
"""Terms of a window that are looked at closely; the rest can't win."""
_REMEMBERED: Final = 100_000
"""Texts whose tokens are remembered while text is read."""


@cache
def stop_words(languages: tuple[str, ...]) -> frozenset[str]:
    """Words that say nothing of a topic, in these languages (ISO 639-1), with those of chats."""
    import stopwordsiso

    return (frozenset(stopwordsiso.stopwords(languages)) - _KEPT) | _FILLERS


class Vocabulary:
    """Every token that was read, each with a number; it grows while text is read.

    Attributes:
        spelled: The tokens, by number.
        numbers: The number of each.
        lower: For each its lower-case form, a token as well.
    """

    def __init__(self) -> None:
        self.spelled: list[str] = []
        self.numbers: dict[str, int] = {}
        self.lower: list[int] = []
        self._cut: dict[str, tuple[int, ...]] = {}
        self.number(_SEPARATOR)

    def number(self, token: str) -> int:
        """The number of a token, a new one if it is new."""
        found = self.numbers.get(token)
        if found is None:
            found = self.numbers[token] = len(self.spelled)
            self.spelled.append(token)
            self.lower.append(found)
            lower = _normal(token)
            if lower != token:
                self.lower[found] = self.number(lower)
        return found

    def cut(self, text: str) -> tuple[int, ...]:
        """The tokens of a text without spaces. Chats repeat themselves, so each such text is cut once."""
        found = self._cut.get(text)
        if found is None:
            if len(self._cut) > _REMEMBERED:
                self._cut.clear()
            found = self._cut[text] = tuple(map(self.number, _TOKEN.findall(text)))
        return found


@dataclass(frozen=True)
class Tokens:
    """The tokens of messages in one array, by number, with the separator behind each message.

    Attributes:
        surface: As written.
        starts: Where each message begins, and after the last one the end.
        forms: The lower-case form of each token of the vocabulary.
    """

    surface: Numbers
    starts: Numbers
    forms: Numbers

    @cached_property
    def lower(self) -> Numbers:
        """In lower case, one kind of apostrophe."""
        return self.forms[self.surface]

    def part(self, start: int, end: int) -> Tokens:
        """The tokens of the messages from `start` to `end` (not included)."""
        first, last = self.starts[start], self.starts[end]
        return Tokens(self.surface[first:last], self.starts[start : end + 1] - first, self.forms)

    def take(self, rows: Numbers) -> Tokens:
        """The tokens of these messages."""
        starts, lengths = self.starts[rows], np.diff(self.starts)[rows]
        places = _ranges(starts, lengths)
        return Tokens(self.surface[places], np.concatenate(([0], np.cumsum(lengths))), self.forms)

    def per_row(self, flags: Flags) -> Numbers:
        """How many words of each message are flagged; `flags` are by number."""
        return np.add.reduceat(flags[self.lower], self.starts[:-1], dtype=np.int64)


def tokenise(texts: pa.ChunkedArray, vocabulary: Vocabulary) -> Tokens:
    """Cut the texts of messages, none of which is NULL, into tokens."""
    found = [
        _tokens(chunk.slice(start, _PIECE), vocabulary)
        for chunk in texts.chunks
        for start in range(0, len(chunk), _PIECE)
    ]
    surface = np.concatenate(found) if found else np.zeros(0, np.int32)
    starts = np.concatenate(([0], np.flatnonzero(surface == 0) + 1))
    return Tokens(surface, starts, np.array(vocabulary.lower, np.int32))


def _tokens(texts: pa.Array, vocabulary: Vocabulary) -> Numbers:
    """The tokens of messages: Arrow cuts at spaces, and only what differs is cut further, by `vocabulary`."""
    one_line = pc.replace_substring(pc.replace_substring(texts, _SEPARATOR, ""), "\n", f" {_LINE} ")
    ended = pc.binary_join_element_wise(one_line, _SEPARATOR, " ")
    parts = pc.ascii_split_whitespace(ended).flatten().dictionary_encode()
    cut = list(map(vocabulary.cut, parts.dictionary.to_pylist()))
    lengths = np.fromiter(map(len, cut), np.int64, len(cut))
    tokens = np.fromiter(chain.from_iterable(cut), np.int32, int(lengths.sum()))
    which = parts.indices.to_numpy()
    return tokens[_ranges((np.cumsum(lengths) - lengths)[which], lengths[which])]


def _ranges(starts: Numbers, lengths: Numbers) -> Numbers:
    """The numbers of several ranges, one after the other."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)


@dataclass(frozen=True)
class Background:
    """What all windows together know of each token; every array is by its number.

    Attributes:
        vocabulary: The tokens.
        content: Lower-case words that may be topics.
        rarity: How much a word of content sets a window apart: from 1 (no other window has it) in coarse steps to
            almost nothing. Where there are few windows, to be in all of them means little.
        likeness: How much a word of content reads like the name of a thing, told by what stands before it, in three
            steps.
        threads: Nouns that a few windows have: to be said once is enough for them to be a topic.
        letters: Lower-case words.
        singular: A word of content without its `s`, if that is a token, else -1.
    """

    vocabulary: Vocabulary
    content: Flags
    rarity: npt.NDArray[np.float64]
    likeness: npt.NDArray[np.float64]
    threads: Flags
    letters: Flags
    singular: Numbers
    _where: dict[Callable[[str], bool], Flags] = field(default_factory=dict, init=False, repr=False)

    def where(self, test: Callable[[str], bool]) -> Flags:
        """The lower-case words that pass a test, which is asked once for each word."""
        if test not in self._where:
            spelled, flags = self.vocabulary.spelled, np.zeros(len(self.letters), bool)
            flags[[i for i in np.flatnonzero(self.letters).tolist() if test(spelled[i])]] = True
            self._where[test] = flags
        return self._where[test]


def background(
    tokens: Tokens, bounds: Sequence[int], vocabulary: Vocabulary, aliases: Iterable[str], languages: Sequence[str]
) -> Background:
    """Count words over all windows.

    Args:
        tokens: The tokens of all messages, window after window.
        bounds: The first message of each window, and after the last one the end.
        vocabulary: What they are numbers of.
        aliases: The aliases that occur; their words are never topics.
        languages: Languages (ISO 639-1) whose stop words are never topics.
    """
    spelled, size = vocabulary.spelled, len(vocabulary.spelled)
    windows = len(bounds) - 1
    frequencies, last = np.zeros(size, np.int64), np.zeros(size, np.int64)
    marks = [_flags(vocabulary, words) for words in (_BEFORE_NOUN, _BEFORE_VERB)]
    followers: tuple[list[Numbers], list[Numbers]] = ([], [])
    for start, end in pairwise(bounds):
        words = tokens.part(start, end).lower
        # Of each word's places only the one that was noted last is the same when read: so it is counted once.
        order = np.arange(len(words))
        last[words] = order
        frequencies[words[last[words] == order]] += 1
        for found, marked in zip(followers, marks, strict=True):
            found.append(words[1:][marked[words[:-1]]])
    nouns, verbs = (np.bincount(np.concatenate(found), minlength=size) for found in followers)
    left_out = stop_words(tuple(languages)) | {
        word for alias in aliases for word in _TOKEN.findall(_normal(alias)) if word
    }
    lower = np.array(vocabulary.lower, np.int32)
    letters = np.fromiter((token[:1].isalpha() for token in spelled), bool, size) & (lower == np.arange(size))
    content = np.fromiter(
        (len(word) > 2 and word not in left_out and not word.endswith("'s") for word in spelled), bool, size
    )
    upper = [token[:1].isupper() and vocabulary.lower[i] != i for i, token in enumerate(spelled)]
    titled = np.array([up and not token.isupper() for up, token in zip(upper, spelled, strict=True)])
    content &= letters & (frequencies > 0) & ~_proper(tokens, titled, letters, vocabulary, german="de" in languages)
    power = min(1.0, windows / _MANY_WINDOWS)
    shares = [max(n - 1, 0) / (windows + 1) for n in range(windows + 1)]
    steps = [next((value for limit, value in _STEPS if share <= limit), _COMMONEST) ** power for share in shares]
    verbal = np.fromiter((len(word) > 5 and word.endswith(("ing", "ed")) for word in spelled), bool, size)
    likeness = np.where(verbal | (verbs > nouns), 0.2, np.where(nouns > 1.5 * verbs, 1.0, 0.6))
    singular = [vocabulary.numbers.get(word[:-1], -1) if word[-1:] == "s" else -1 for word in spelled]
    return Background(
        vocabulary,
        content=content,
        rarity=np.array(steps)[frequencies],
        likeness=likeness,
        threads=content & (frequencies > 1) & (frequencies <= 1 + 0.15 * windows) & (likeness == 1.0),
        letters=letters,
        singular=np.array(singular),
    )


def _proper(tokens: Tokens, titled: Flags, letters: Flags, vocabulary: Vocabulary, *, german: bool) -> Flags:
    """Lower-case words that the chat mostly writes with a capital inside sentences, or only at their beginning: names.

    Also of people who are only talked about, whom nothing else tells apart: none becomes a title or a tag. Places and
    products go with them. German gives every noun a capital; there a name is what never follows an article.
    """
    size = len(titled)
    lower = np.array(vocabulary.lower, np.int32)
    places = np.flatnonzero(titled[tokens.surface])
    # Before the first token stands the last one, which is no word, as behind every message.
    inside = letters[tokens.lower[places - 1]]
    words = lower[tokens.surface[places]]
    within, first = (np.bincount(words[which], minlength=size) for which in (inside, ~inside))
    others = np.bincount(tokens.lower, minlength=size) - first
    proper: Flags = (within + first > 0) & (2 * within >= others)
    if german:
        proper[tokens.lower[1:][_flags(vocabulary, _GERMAN_ARTICLES)[tokens.lower[:-1]]]] = False
    return proper


def _flags(vocabulary: Vocabulary, words: Iterable[str]) -> Flags:
    """Flags of these words."""
    flags = np.zeros(len(vocabulary.spelled), bool)
    flags[[vocabulary.numbers[word] for word in words if word in vocabulary.numbers]] = True
    return flags


def _normal(text: str) -> str:
    return text.lower().replace("’", "'")


@dataclass(eq=False)
class Term:
    """A word or a short phrase that sets a window apart.

    Attributes:
        words: Lower-case words of it.
        weight: How much it does so, in the window's own scale.
        rows: Messages in which it occurs, ascending, each once.
        places: Where in the tokens it begins, or its plural or singular does.
        tokens, known: What it was found in.
    """

    words: tuple[str, ...]
    weight: float
    rows: list[int]
    places: Numbers
    tokens: Tokens
    known: Background

    @property
    def key(self) -> str:
        """The term in lower case."""
        return " ".join(self.words)

    @cached_property
    def shown(self) -> str:
        """As the chat mostly writes it."""
        surface, spelled = self.tokens.surface, self.known.vocabulary.spelled
        first = self.tokens.lower[self.places] == self.known.vocabulary.numbers[self.words[0]]
        places = self.places[first]
        inside = self.known.letters[self.tokens.lower[places - 1]].tolist()
        written = zip(*(surface[places + i].tolist() for i in range(len(self.words))), strict=True)
        forms: Counter[str] = Counter()
        for (within, numbers), n in Counter(zip(inside, written, strict=True)).items():
            form = " ".join(spelled[number] for number in numbers)
            # A capital at the start of a sentence says nothing of the word: such a form counts last.
            if not within and not spelled[numbers[0]].isupper():
                form = form[0].lower() + form[1:]
            forms[form] += 100 * n if within else n
        # Shouting is no spelling, unless it is the only one and short, as `NASA` is.
        return min(
            (form for form in forms if not (form.isupper() and len(form) > 5)),
            key=lambda form: (form.isupper() and len(forms) > 1, -forms[form], form),
            default=self.key,
        )

    @cached_property
    def before(self) -> Counter[str]:
        """The words before it, in lower case, and how often, where no further word of content follows."""
        lower = self.tokens.lower
        # "A sole trader" says nothing of a sole.
        free = self.places[~self.known.content[lower[self.places + len(self.words)]]]
        spelled = self.known.vocabulary.spelled
        return Counter({spelled[number]: n for number, n in Counter(lower[free - 1].tolist()).items()})


@dataclass(frozen=True, slots=True)
class Terms:
    """A window's terms, heaviest first, and the weight of each word of theirs, by number, from 0 to 1."""

    ranked: list[Term]
    weights: dict[int, float]


def terms_of(tokens: Tokens, people: Numbers, known: Background) -> Terms:
    """The terms that set a window apart: words, pairs of words, and pairs joined by `of` or `de`.

    `people` has the author of each message by number, -1 if it has none.

    A term should read as the name of a thing. There is no grammar at hand, so a word is taken for a noun by what
    mostly stands before it (`the`, `of`, `com`), and for a verb likewise (`to`, `we'll`, `vamos`).
    """
    lower, size, spelled = tokens.lower, len(known.content), known.vocabulary.spelled
    every = np.bincount(lower, minlength=size)
    topical = known.content & ((every > 1) | (known.threads & (every > 0)))
    content = np.flatnonzero(topical)
    keys = content.tolist()
    counts = dict(zip(keys, every[content].tolist(), strict=True))
    rarity = dict(zip(keys, known.rarity[content].tolist(), strict=True))
    likeness = dict(zip(keys, known.likeness[content].tolist(), strict=True))
    plurals = content[(known.singular[content] >= 0) & topical[known.singular[content]]]
    other = dict(zip(plurals.tolist(), known.singular[plurals].tolist(), strict=True))
    merged = list(other.items())
    other.update((one, many) for many, one in merged if one not in other)

    scored: list[tuple[float, tuple[int, ...]]] = []
    for word in keys:
        # Of a word's two numbers the more frequent one stands for both.
        twin = other.get(word)
        total = counts[word]
        if twin is not None:
            if (counts[twin], spelled[twin]) > (total, spelled[word]):
                continue
            total += counts[twin]
        scored.append((total**0.8 * rarity[word] * likeness[word], (word,)))

    places = np.flatnonzero(topical[lower])
    words = lower[places].astype(np.int64)
    apart = np.diff(places)
    first = np.flatnonzero(apart == 1)
    pair_places, pair_keys = places[first], words[first] * size + words[first + 1]
    pairs, numbers = np.unique(pair_keys, return_counts=True)
    told = numbers > 1
    phrases: list[tuple[tuple[int, ...], int]] = [
        (divmod(pair, size), n)
        for pair, n in zip(pairs[told].tolist(), numbers[told].tolist(), strict=True)
        if pair // size != pair % size
    ]
    first = np.flatnonzero(apart == 2)
    first = first[known.where(_JOINING.__contains__)[lower[places[first] + 1]]]
    triple_places = places[first].tolist()
    triples = list(zip(*(lower[places[first] + i].tolist() for i in range(3)), strict=True))
    phrases.extend((triple, n) for triple, n in Counter(triples).items() if n > 1 and triple[0] != triple[2])
    for phrase, n in phrases:
        one, two = phrase[0], phrase[-1]
        low, high = sorted((rarity[one], rarity[two]))
        cohesion = n / min(counts[one], counts[two])
        well = (likeness[one] * likeness[two]) ** 0.5
        scored.append((n**0.8 * (0.4 * low + 0.6 * high) * well * (0.6 + 1.1 * cohesion), phrase))
    if len(scored) > _CANDIDATES:
        least = sorted((score for score, _ in scored), reverse=True)[_CANDIDATES - 1]
        scored = [item for item in scored if item[0] >= least]
    candidates = [(weight, tuple(spelled[word] for word in phrase), phrase) for weight, phrase in scored]
    candidates.sort(key=lambda item: (-item[0], item[1]))
    del candidates[_CANDIDATES:]

    found = _locate(candidates, merged, places, words, pair_places, pair_keys, triples, triple_places, size)
    return _weighed(candidates, merged, *found, tokens, people, known)


def _locate(
    candidates: Sequence[tuple[float, tuple[str, ...], tuple[int, ...]]],
    merged: Iterable[tuple[int, int]],
    places: Numbers,
    words: Numbers,
    pair_places: Numbers,
    pair_keys: Numbers,
    triples: Sequence[tuple[int, ...]],
    triple_places: Sequence[int],
    size: int,
) -> tuple[Numbers, Numbers]:
    """Where the candidates occur: their indices, ascending, and for each a place; the same place can have several."""
    of = {phrase: i for i, (_, _, phrase) in enumerate(candidates)}
    of_word = {phrase[0]: i for phrase, i in of.items() if len(phrase) == 1}
    for pair in merged:
        for one, two in (pair, pair[::-1]):
            if (one,) in of and (two,) not in of:
                of_word[two] = of[(one,)]
    of_pair = {phrase[0] * size + phrase[1]: i for phrase, i in of.items() if len(phrase) == 2}
    which, where = [], []
    for keys, at, wanted in ((words, places, of_word), (pair_keys, pair_places, of_pair)):
        if wanted:
            known = np.array(sorted(wanted))
            spot = np.searchsorted(known[:-1], keys)
            hit = known[spot] == keys
            which.append(np.array([wanted[key] for key in known.tolist()])[spot[hit]])
            where.append(at[hit])
    further = [(of[triple], place) for triple, place in zip(triples, triple_places, strict=True) if triple in of]
    which.append(np.array([i for i, _ in further], np.int64))
    where.append(np.array([place for _, place in further], np.int64))
    indices, found = np.concatenate(which), np.concatenate(where)
    order = np.lexsort((found, indices))
    return indices[order], found[order]


def _weighed(
    candidates: Sequence[tuple[float, tuple[str, ...], tuple[int, ...]]],
    merged: Iterable[tuple[int, int]],
    indices: Numbers,
    places: Numbers,
    tokens: Tokens,
    people: Numbers,
    known: Background,
) -> Terms:
    """The candidates as terms, weighed by who says them and by what follows them."""
    many = len(candidates)
    rows = np.searchsorted(tokens.starts, places, side="right") - 1
    once = np.ones(len(rows), bool)
    once[1:] = (indices[1:] != indices[:-1]) | (rows[1:] != rows[:-1])
    company = int(people.max()) + 2
    said_by = np.unique(indices * company + people[rows] + 1) // company
    people_of = np.bincount(said_by, minlength=many).tolist()
    lengths = np.array([len(words) for _, words, _ in candidates], np.int64)
    alone = ~known.content[tokens.lower[places + lengths[indices]]]
    alone_of = np.bincount(indices[alone], minlength=many).tolist()
    bounds = np.searchsorted(indices, np.arange(many + 1)).tolist()
    row_list, row_bounds = rows[once].tolist(), np.searchsorted(indices[once], np.arange(many + 1)).tolist()
    ranked = []
    for i, (weight, words, _) in enumerate(candidates):
        mine = row_list[row_bounds[i] : row_bounds[i + 1]]
        # What one person repeats is a habit; what several say is a topic.
        weight *= {0: 0.0, 1: 0.6, 2: 1.0}.get(people_of[i], 1.15)
        if 2 * alone_of[i] < len(mine):
            weight *= 0.6  # it mostly describes another word
        ranked.append(Term(words, weight, mine, places[bounds[i] : bounds[i + 1]], tokens, known))
    ranked.sort(key=lambda term: (-term.weight, term.words))
    ranked = _without_parts(ranked)
    top = ranked[0].weight if ranked else 1.0
    weights: dict[int, float] = {}
    for term in ranked:
        for word in (term.words[0], term.words[-1]):
            number = known.vocabulary.numbers[word]
            weights[number] = max(weights.get(number, 0.0), term.weight / top)
    for one, two in merged:
        best = max(weights.get(one, 0.0), weights.get(two, 0.0))
        if best:
            weights[one] = weights[two] = best
    return Terms(ranked, weights)


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
