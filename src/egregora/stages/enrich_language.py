"""Which language a message is in, told by its small words, its endings and its letters.

A statistical identifier needs a second to load and tens of microseconds per message, and is unsure of three words,
which is what most messages are. Here each distinct word is looked at once and gives points to the languages that it
speaks for; points are summed for all messages at once, and what the chat has spoken so far decides where a few words
fit two languages.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import reduce
from operator import or_

import pyarrow as pa
import pyarrow.compute as pc

from egregora.stages.enrich_words import Words

__all__ = ["WORDS_READ", "Evidence", "Tongues"]

WORDS_READ = 60
"""How many words of a message are looked at: more don't change what language it is in."""

_SMALL_WORDS = {
    "en": """
        the and is are was were be been am i'm i you he she it's we they them this that these those there here what
        which who when where why how not don't doesn't didn't can't won't isn't wasn't i'll you're we're they're
        that's what's let's i've we've it its my your his her our their have has had having will would could should
        can may might must shall do does did doing done of to in on at by for with from about into over after before
        under between if then than because so but or yes yeah yep yup nope ok okay please thanks thank sorry sure
        maybe just also too very really much many more most some any all every each both other another same only still
        already yet again now today tomorrow tonight yesterday morning evening afternoon night week weekend month year
        day time monday tuesday wednesday thursday friday saturday sunday going gonna wanna gotta got get getting go
        went gone come coming came make made making take took taken see saw seen know knew think thought want need
        like love look looks looking say said tell told ask give gave let put keep good great nice bad better best new
        old big little long first last next right wrong happy birthday guys everyone someone anyone nobody everything
        something anything nothing people man friend friends house home work out up down off back away well even ever
        never always often sometimes soon later early late ago while until since though although without instead u ur
        im dont thats whats btw omg lmao idk tbh awesome cool wow hey hi hello bye anyway actually probably definitely
        exactly agreed almost enough two three four five six seven eight nine ten hundred way true perfect enjoy joke
        bring book wait waiting leave left play
    """,
    "pt": """
        o a os as um uma uns umas de do da dos das em no na nos nas por pelo pela pelos pelas para pra pro pras pros
        com sem sob sobre entre até desde e ou mas porém que quem qual quais quando onde como porque porquê pq quanto
        quantos quantas eu tu você vc vcs vocês ele ela eles elas nós gente me te se lhe lhes meu minha meus minhas
        teu tua teus tuas seu sua seus suas nosso nossa nossos nossas dele dela deles delas este esta estes estas esse
        essa esses essas isto isso aquilo aquele aquela aqueles aquelas aqui aí ali lá cá não nao sim n ñ s tb tbm
        também já ja ainda sempre nunca só so muito muita muitos muitas mt mto pouco mais menos bem mal hoje amanhã
        amanha ontem agora depois antes logo cedo tarde noite manhã dia semana mês ano fim segunda terça quarta quinta
        sexta sábado domingo é és são sou somos era eram foi foram fui ser sendo sido está estão estou tá ta tô to tão
        estamos estava estavam estive estar tem têm tenho temos tinha tinham teve tive ter há havia vai vou vamos vão
        ia iam indo ir vem venho vêm vir fazer faz faço fez fiz feito fazendo pode podem posso podemos podia poder
        quer quero querem queria quis deve devo devem devia dá dar deu dei sei sabe sabem saber acho acha acham achei
        ver vi viu vejo vê dizer diz disse digo ficar fica ficou fico preciso precisa precisam gosto gosta gostei leva
        levar levo trazer traz trago mando manda mandar comprar comprei chegar chego cheguei chega cheguem obrigado
        obrigada obg valeu vlw beleza blz bom boa bons boas oi olá ola tchau beijo beijos bjs abraço abraços abs
        pessoal galera cara mano né ne tipo então entao aliás enfim talvez claro certo verdade mesmo mesma outro outra
        outros outras todo toda todos todas tudo nada algo alguém alguem ninguém ninguem algum alguma alguns algumas
        nenhum nenhuma cada qualquer casa coisa coisas parabéns feliz aniversário lindo linda saudade saudades kkk rs
        rsrs hein ué eita poxa putz opa legal massa fixe giro bora dois duas três quatro cinco seis sete oito nove dez
        cem mil estrada dinheiro hora horas nem deixa deixar parece perfeito voce voces ate sera jogo adorei espera
        esperar falar falou fala ajuda ajudar caro barato junto juntos vamo tava tavam pera calma demais
    """,
    "es": """
        el la los las un una unos unas de del al en por para con sin sobre entre hasta desde y e o u pero sino que
        quien quién cual cuál cuando cuándo donde dónde como cómo porque qué cuánto cuanto yo tú vos usted ustedes él
        ella ellos ellas nosotros nosotras vosotros me te se le les lo nos os mi mis tu tus su sus nuestro nuestra
        este esta estos estas ese esa esos esas esto eso aquello aquel aquí ahí allí allá no sí si también ya aún
        todavía siempre nunca solo sólo muy mucho mucha muchos muchas poco más menos bien mal hoy mañana ayer ahora
        después antes luego tarde noche día semana mes año lunes martes miércoles jueves viernes sábado domingo es
        eres son soy somos era eran fue fueron ser está están estoy estaba estar estamos tiene tienen tengo tenemos
        tenía tener hay había voy va vamos van ir iba viene vengo hacer hace hago hizo puede pueden puedo podemos
        quiere quiero quieren debe dar da doy sé sabe saber creo cree ver veo decir dice dijo gracias bueno buena
        buenos buenas hola adiós chau vale claro verdad mismo otra otro otros otras todo toda todos todas nada algo
        alguien nadie alguno cada cualquier casa cosa cosas jaja jajaja jeje dos tres cuatro cinco seis siete ocho
        nueve diez entonces pues tampoco quizás
    """,
    "fr": """
        le la les un une des du de d'un d'une au aux en dans par pour avec sans sur sous entre et ou mais donc que qui
        quoi quel quelle quand où comment pourquoi parce je tu il elle on nous vous ils elles me te se lui leur mon ma
        mes ton ta tes son sa ses notre nos votre vos ce cet cette ces ça cela c'est j'ai j'étais qu'il qu'on n'est
        n'ai ne pas non oui si aussi déjà encore toujours jamais très trop beaucoup peu plus moins bien mal
        aujourd'hui demain hier maintenant après avant soir matin jour semaine mois est es sont suis sommes êtes était
        étaient être ai as a avons avez ont avait avoir vais va vas allons allez vont aller fait faire fais peut peux
        pouvez veux veut voir sais sait dit dire merci bonjour salut bonne bon d'accord alors tout tous toute toutes
        rien quelque quelqu'un personne chaque chez deux trois quatre cinq sept huit neuf dix mdr ptdr
    """,
    "de": """
        der die das den dem des ein eine einen einem einer und oder aber doch dass daß weil wenn als wie was wer wo
        wann warum ich du er sie es wir ihr mich dich sich uns euch mir dir ihm ihn ihnen mein meine dein deine sein
        seine unser unsere dieser diese dieses nicht kein keine ja nein auch schon noch immer nie sehr viel mehr
        weniger gut heute morgen gestern jetzt dann danach vorher abend nacht tag woche monat jahr ist sind bin bist
        war waren wird werden wurde hat habe haben hast hatte kann können könnte muss müssen soll sollen will wollen
        möchte mag machen macht gemacht geht gehen kommt kommen weiß wissen danke bitte hallo tschüss genau vielleicht
        alle alles nichts etwas jemand niemand zu zum zur mit von vom bei nach aus auf für über unter zwischen ohne
        gegen um bis seit im am ins zwei drei vier fünf sechs sieben acht neun zehn
    """,
    "it": """
        il lo la i gli le un uno una di del della dei delle dello degli da dal dalla in nel nella con su sul sulla per
        tra fra e o ma però che chi cosa quale quando dove come perché io tu lui lei noi voi loro mi ti si ci vi mio
        mia tuo tua suo sua nostro nostra questo questa questi queste quello quella non sì anche già ancora sempre mai
        molto poco più meno bene male oggi domani ieri adesso ora dopo prima sera notte giorno settimana mese anno è
        sei sono siamo siete era erano essere ho hai ha abbiamo avete hanno avere va vado andiamo vanno andare fa fare
        faccio fatto può posso possiamo vuole voglio deve devo so sa vedere dire detto grazie ciao buongiorno buona
        buono allora tutto tutti niente qualcosa qualcuno nessuno ogni c'è due tre quattro cinque sette otto nove
        dieci
    """,
    "nl": """
        de het een en of maar dat die dit deze wat wie waar wanneer waarom hoe ik jij je hij zij ze wij we jullie mij
        me jou hem haar ons hun mijn jouw zijn onze niet geen ja nee ook al nog altijd nooit heel veel meer minder
        goed vandaag morgen gisteren nu dan daarna avond nacht dag week maand jaar is ben bent was waren wordt worden
        heb hebt heeft hebben had kan kunnen moet moeten zal zullen wil willen mag doen doet gedaan gaat gaan komt
        komen weet dank bedankt alsjeblieft hallo doei misschien alle alles niets iets iemand niemand te met van bij
        naar uit op voor over onder tussen zonder tegen om tot sinds er hier daar lekker leuk gezellig twee drie vier
        vijf
    """,
}
_TEXT_ENDINGS = {
    "pt": """
        ção ções são sões inho inha inhos inhas ando endo indo aria eria iria lho lha lhos lhas mente nho nha agem dade
        aram eram iram asse esse isse amos emos imos ável ível kkk rsrs ês ém
    """,
    "es": "ción ciones sión siones dad illo illa illos illas iendo aron ieron jaja jeje jajaja miento",
    "en": """
        n't 's 're 'll 've 'd 'm thing king ting ning ding sing ling ring ping ving zing tion sion ight ould ough ly th
        sh ck ss ness ful less able eed ked ted ned ded sed led red ped ved
    """,
    "fr": "eux euse aux ment ées ée ette elle eur eurs",
    "de": "ung ungen lich liche lichen isch ische keit heit chen tzt cht ieren",
    "it": "zione zioni tà etti ella elli iamo",
    "nl": "lijk lijke heid tje tjes ijn ijk",
}
_ENDINGS = {ending: language for language, endings in _TEXT_ENDINGS.items() for ending in endings.split()}
"""How words of a language end, where hardly any of the others does."""
_LONGEST_ENDING = max(map(len, _ENDINGS))
_LETTERS = {
    letter: language
    for language, letters in {"pt": "ãõâêç", "es": "ñ", "fr": "œûîèàù", "de": "ßäöü", "it": "ìò", "nl": "ĳ"}.items()
    for letter in letters
}
_SCRIPTS = (
    ("uk", 4, r".*[іїєґ]"),
    ("ru", 4, r".*[ыэъё]"),
    ("ru", 2, r".*[а-я]"),
    ("el", 4, r".*[α-ωά-ώ]"),
    ("he", 4, r".*[א-ת]"),
    ("fa", 4, r".*[پچژگ]"),
    ("ar", 4, r".*[\u0621-\u064a]"),
    ("hi", 4, r".*[\u0904-\u0939]"),
    ("th", 4, r".*[\u0e01-\u0e2e]"),
    ("ko", 4, r".*[\uac00-\ud7a3]"),
    ("ja", 4, r".*[\u3041-\u30fa]"),
    ("zh", 3, r".*[\u4e00-\u9fff]"),
)
_LANGUAGES = tuple(dict.fromkeys([*_SMALL_WORDS, *(language for language, _, _ in _SCRIPTS)]))
_BITS = 9
_PER_LANE = 7
_MOST_POINTS = 8
"""What one word can give to a language: times `WORDS_READ`, that fits into `_BITS`."""
_FIELD = {language: 64 * (n // _PER_LANE) + _BITS * (n % _PER_LANE) for n, language in enumerate(_LANGUAGES)}
_MASK = (1 << _BITS) - 1
_LANE = (1 << 64) - 1
_MOST_WORDS = 200_000


class Evidence(dict[str, int]):
    """Word → its points for each language, packed into one number: seven languages to each 64 bits of it.

    A word not seen before is judged by its letters when it is asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        speakers: dict[str, list[str]] = {}
        for language, words in _SMALL_WORDS.items():
            for word in dict.fromkeys(words.split()):
                speakers.setdefault(word, []).append(language)
        for word, languages in speakers.items():
            # A word of one language alone proves more than one of two; one of three or more proves little.
            points = {1: 4, 2: 2}.get(len(languages), 1)
            self[word] = _packed(dict.fromkeys(languages, points))
        self._scripts = [(language, points, re.compile(shape)) for language, points, shape in _SCRIPTS]

    def __missing__(self, word: str) -> int:
        points: Counter[str] = Counter()
        for size in range(min(_LONGEST_ENDING, len(word) - 1), 1, -1):
            language = _ENDINGS.get(word[-size:])
            if language:
                points[language] = 2
                break
        if not word.isascii():
            script = next(((language, n) for language, n, shape in self._scripts if shape.match(word)), None)
            if script:
                points = Counter(dict([script]))
            else:
                for letter in {*word} & _LETTERS.keys():
                    points[_LETTERS[letter]] += 2
        total = _packed(points)
        if len(self) < _MOST_WORDS:
            self[word] = total
        return total

    def of(self, words: Words) -> dict[str, pa.Array]:
        """For each language that anything speaks for, its points for each message: of its first `WORDS_READ` words."""
        packed = [self[word] for word in words.distinct]
        spoken = reduce(or_, packed, 0)
        found = {}
        for lane in range(0, len(_LANGUAGES), _PER_LANE):
            bits = 64 * lane // _PER_LANE
            if not spoken >> bits & _LANE:
                continue
            points = pa.array([word >> bits & _LANE for word in packed], pa.uint64())
            total = words.sums(points, WORDS_READ)
            for field, language in enumerate(_LANGUAGES[lane : lane + _PER_LANE]):
                if spoken >> _FIELD[language] & _MASK:
                    moved = pc.shift_right(total, pa.scalar(field * _BITS, pa.uint64()))
                    found[language] = pc.bit_wise_and(moved, pa.scalar(_MASK, pa.uint64())).cast(pa.float64())
        return found


def _packed(points: dict[str, int]) -> int:
    return sum(min(n, _MOST_POINTS) << _FIELD[language] for language, n in points.items())


class Tongues:
    """Decides on languages from points, knowing what a chat has spoken so far."""

    def __init__(self) -> None:
        self._spoken: Counter[str] = Counter()

    def decide(self, points: dict[str, pa.Array], said: pa.Array) -> pa.Array:
        """The language of each message of one chat that somebody `said`, in the chat's order, from `Evidence.of`.

        Messages that are clear by themselves are counted first; then each message is decided with the shares of
        languages that the chat has had up to here. NULL where nothing in it tells.
        """
        winner, names = _winners(points, said, least=6.0, lead=2.0)
        for place, times in zip(*pc.value_counts(winner.drop_null()).flatten(), strict=True):
            self._spoken[names[place.as_py()]] += times.as_py()
        spoken = self._spoken.total()
        # A language that was never spoken here needs four times the evidence of the only one that was.
        weighted = {
            language: pc.multiply(n, 1 + 3 * (self._spoken[language] + 1) / (spoken + len(_SMALL_WORDS)))
            for language, n in points.items()
        }
        winner, names = _winners(weighted, said, least=3.0, lead=1.25)
        return pa.array(names, pa.string()).take(winner)


def _winners(points: dict[str, pa.Array], said: pa.Array, *, least: float, lead: float) -> tuple[pa.Array, list[str]]:
    """For each message that somebody `said` the language with most points, as a place in the list that comes with it.

    NULL where it has less than `least`, or less than `lead` times those of the next.
    """
    # Comparing and choosing is a third of the price of Arrow's own maximum.
    best = second = pc.if_else(said, 0.0, 0.0)
    winner = pc.if_else(said, pa.scalar(0, pa.int32()), pa.scalar(0, pa.int32()))
    for place, n in enumerate(points.values()):
        higher = pc.greater(n, best)
        second = pc.if_else(higher, best, pc.if_else(pc.greater(n, second), n, second))
        best = pc.if_else(higher, n, best)
        winner = pc.if_else(higher, pa.scalar(place, pa.int32()), winner)
    clear = pc.and_(pc.greater_equal(best, least), pc.greater_equal(best, pc.multiply(second, lead)))
    return pc.if_else(pc.and_(clear, said), winner, None), list(points)
