"""The site's own words and dates, in each language that it speaks."""

from __future__ import annotations

from datetime import date

__all__ = ["WORDS", "date_range", "day", "month", "plural", "words_for"]

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "about": "About",
        "about_text": "Written from a group’s messages. Names are aliases; numbers and addresses are taken out.",
        "aliases": "The people here go by aliases.",
        "all_posts": "All posts",
        "archive": "Archive",
        "best": "Best of",
        "best_text": "The posts that had the most in them, each compared with others.",
        "by_tag": "Posts about",
        "feed": "Feed",
        "first_seen": "First message",
        "home": "Home",
        "in_posts": "Takes part in",
        "in_window": "Written from {messages} by {people}.",
        "in_window_by": "Written by {writer} from {messages} by {people}.",
        "last_seen": "Last message",
        "latest": "Latest",
        "main_menu": "Main menu",
        "messages": "{n} message|{n} messages",
        "minutes": "{n} minute’s read|{n} minutes’ read",
        "more_best": "All of the best",
        "newer": "Newer",
        "no_posts": "Nothing has been written yet.",
        "no_tags": "No post has a tag yet.",
        "no_people": "Nobody has written yet.",
        "not_found": "Not found",
        "not_found_text": "There is no page here. It may have moved when the site was last written.",
        "older": "Older",
        "people": "People",
        "people_count": "{n} person|{n} people",
        "portrait": "Portrait",
        "portrait_by": "Written by {model} from {messages}.",
        "post_menu": "Older and newer posts",
        "posts": "{n} post|{n} posts",
        "related": "It takes up",
        "search": "Search",
        "search_hint": "Words or their beginnings; accents and capitals don’t matter.",
        "search_label": "Search the posts",
        "search_none": "Nothing found for “{q}”.",
        "search_script": "Search needs JavaScript. Everything is listed in the archive.",
        "skip": "Skip to the content",
        "tags": "Tags",
        "with": "With",
        "years": "Years",
    },
    "pt": {
        "about": "Sobre",
        "about_text": "Escrito a partir das mensagens de um grupo. Os nomes são apelidos; números e endereços saíram.",
        "aliases": "As pessoas aqui aparecem com apelidos.",
        "all_posts": "Todos os textos",
        "archive": "Arquivo",
        "best": "Os melhores",
        "best_text": "Os textos que mais tinham dentro, cada um comparado com outros.",
        "by_tag": "Textos sobre",
        "feed": "Feed",
        "first_seen": "Primeira mensagem",
        "home": "Início",
        "in_posts": "Participa de",
        "in_window": "Escrito a partir de {messages} de {people}.",
        "in_window_by": "Escrito por {writer} a partir de {messages} de {people}.",
        "last_seen": "Última mensagem",
        "latest": "Mais recentes",
        "main_menu": "Menu principal",
        "messages": "{n} mensagem|{n} mensagens",
        "minutes": "{n} minuto de leitura|{n} minutos de leitura",
        "more_best": "Todos os melhores",
        "newer": "Mais novo",
        "no_posts": "Ainda não há nada escrito.",
        "no_tags": "Nenhum texto tem etiqueta ainda.",
        "no_people": "Ninguém escreveu ainda.",
        "not_found": "Não encontrado",
        "not_found_text": "Não há página aqui. Ela pode ter mudado de lugar na última vez que o site foi escrito.",
        "older": "Mais antigo",
        "people": "Pessoas",
        "people_count": "{n} pessoa|{n} pessoas",
        "portrait": "Retrato",
        "portrait_by": "Escrito por {model} a partir de {messages}.",
        "post_menu": "Textos mais antigos e mais novos",
        "posts": "{n} texto|{n} textos",
        "related": "Retoma",
        "search": "Busca",
        "search_hint": "Palavras ou seus começos; acentos e maiúsculas não importam.",
        "search_label": "Buscar nos textos",
        "search_none": "Nada encontrado para “{q}”.",
        "search_script": "A busca precisa de JavaScript. Tudo está listado no arquivo.",
        "skip": "Ir para o conteúdo",
        "tags": "Etiquetas",
        "with": "Com",
        "years": "Anos",
    },
}
"""Language → key → words. `one|many` where a number `{n}` stands in it."""


# Our own table, not the machine's locale: the same site everywhere.
_MONTHS = {
    "en": (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
    "pt": (
        *("janeiro", "fevereiro", "março", "abril", "maio", "junho"),
        *("julho", "agosto", "setembro", "outubro", "novembro", "dezembro"),
    ),
}


def words_for(language: str) -> dict[str, str]:
    """The site's own words in `language`, one of those that the configuration allows."""
    return WORDS[language]


def plural(template: str, n: int) -> str:
    """`one|many` with the number put in."""
    one, _, many = template.partition("|")
    return (one if n == 1 else many).format(n=f"{n:,}".replace(",", "\N{NARROW NO-BREAK SPACE}"))


def month(year: int, number: int, language: str) -> str:
    """`March 2024`, `março de 2024`; a line's beginning is capitalised in neither table but by whoever prints it."""
    name = _MONTHS[language][number - 1]
    return f"{name} de {year}" if language == "pt" else f"{name} {year}"


def day(when: date, language: str) -> str:
    """`4 March 2024`, `4 de março de 2024`."""
    return f"{when.day}{' de ' if language == 'pt' else ' '}{month(when.year, when.month, language)}"


def date_range(first: date, last: date, language: str) -> str:
    """The days from `first` to `last` in words, saying month and year once where they are the same."""
    if first == last:
        return day(first, language)
    of = " de " if language == "pt" else " "
    if first.year != last.year:
        start = day(first, language)
    elif first.month != last.month:
        start = f"{first.day}{of}{_MONTHS[language][first.month - 1]}"
    else:
        start = str(first.day)
    between = " a " if language == "pt" else "–" if start.isdecimal() else " – "
    return f"{start}{between}{day(last, language)}"
