"""The extractive writer: what it quotes, what it says around it, and that nothing of a chat becomes markup."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from enriched_rows import chat_rows, picture, row, table_of
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from egregora.config import Config
from egregora.pipeline.stage import StageContext
from egregora.stages.write import STAGE, write
from egregora.stages.writers import cues
from egregora.stages.writers.conversations import stretches
from egregora.stages.writers.draft import Window
from egregora.stages.writers.markdown import clean, escape, plain, quote, safe_url, shorten
from egregora.stages.writers.words import Background, Vocabulary, background, stop_words, terms_of, tokenise

QUOTE = re.compile(r"> \*\*(?P<alias>.*?)\*\* — (?P<text>.*)", re.DOTALL)
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def posts_of(rows: list[dict[str, Any]], **sections: Any) -> list[dict[str, Any]]:
    """The posts of a chat, as dictionaries."""
    result = STAGE.func(table_of(rows), Config(**sections), run_id="r", context=StageContext(Path("unused")))
    return result.to_pylist()  # type: ignore[no-any-return]


def chat(*lines: tuple[str, str]) -> list[dict[str, Any]]:
    """A chat of a message a minute on Monday, 4 March 2024, and enough talk beside it to make a post."""
    start = datetime(2024, 3, 4, 19)
    talk = [("Wren", f"We could paint the fence on side number {n}") for n in range(8)]
    return [row(i, start + timedelta(minutes=i), alias, text) for i, (alias, text) in enumerate([*lines, *talk])]


def rendered(markdown: str) -> str:
    """HTML of a post's body, as a strict renderer makes it."""
    return MarkdownIt("commonmark", {"html": False}).render(markdown)


def text_of(markup: str) -> str:
    """What a reader sees of HTML."""
    return html.unescape(re.sub(r"<[^>]*>", " ", markup))


@pytest.fixture(scope="module")
def posts() -> list[dict[str, Any]]:
    """The posts of the chat in `write_chat.txt`."""
    return posts_of(chat_rows())


def test_titles_name_what_was_distinctive(posts: list[dict[str, Any]]) -> None:
    """The chat's three weeks were about these."""
    assert [post["title"] for post in posts] == [
        "The lake house and a goat",
        "Lentils and the walk",
        "The bunk room and the boiler",
    ]


def test_every_block_has_its_sources(posts: list[dict[str, Any]]) -> None:
    """One list for each block; headings rest on nothing, everything that is told or quoted rests on messages."""
    known = {item["event_id"] for item in chat_rows()}
    for post in posts:
        blocks = post["body"].split("\n\n")
        assert len(blocks) == len(post["sources"])
        for block, sources in zip(blocks, post["sources"], strict=True):
            assert known.issuperset(sources)
            assert bool(sources) != block.startswith(("## ", "Earlier: "))


def test_every_quotation_stands_in_its_source(posts: list[dict[str, Any]]) -> None:
    """Quoted text is the message's own, under its author's alias."""
    by_id = {item["event_id"]: item for item in chat_rows()}
    quotations = 0
    for post in posts:
        for block, sources in zip(post["body"].split("\n\n"), post["sources"], strict=True):
            found = QUOTE.fullmatch(block)
            if not found:
                continue
            quotations += 1
            (source,) = sources
            assert found["alias"] == by_id[source]["alias"]
            shown = " ".join(text_of(rendered(found["text"])).split())
            # An address is shown as its site.
            whole = re.sub(r"https?://(?:www\.)?([^/\s]+)\S*", r"\1", by_id[source]["text"])
            assert shown == whole
    assert quotations >= 40


def test_quotations_stand_in_the_order_of_the_chat(posts: list[dict[str, Any]]) -> None:
    """A post is read from the first to the last day of its window."""
    order = {item["event_id"]: item["seq"] for item in chat_rows()}
    for post in posts:
        quoted = [
            order[sources[0]]
            for block, sources in zip(post["body"].split("\n\n"), post["sources"], strict=True)
            if block.startswith("> ")
        ]
        assert sorted(quoted) == quoted


def test_a_post_quotes_no_more_than_it_may() -> None:
    """`write.max_quotes` bounds the quotations, give or take what keeps a conversation together."""
    for most in (1, 6, 24):
        for post in posts_of(chat_rows(), write={"max_quotes": most}):
            assert sum(block.startswith("> ") for block in post["body"].split("\n\n")) <= most + 3


def test_decisions_and_open_questions_are_listed(posts: list[dict[str, Any]]) -> None:
    """What was settled, with what it answered where it doesn't say so itself, and what nobody answered."""
    body = posts[0]["body"]
    assert (
        "## Decided\n\n"
        "- “Booked! Lake house, Friday 3 to Monday 6 May. The owner says the heating has been fixed” — Wren, Monday\n"
        "- “80 cada um. É no galpão, começa às 21h” — “Fechado! Te pago amanhã” (Juniper, Thursday)\n\n"
        "## Still open\n\n- “Who still has my big tent?” — Tamsin, Friday\n\n"
    ) in body
    assert posts[0]["standfirst"].endswith("Two things were decided; one question is still open.")


def test_polls_pictures_links_and_arrivals_are_told(posts: list[dict[str, Any]]) -> None:
    """Each as a fact, with who it was."""
    assert (
        "The vote on “What do we do on the rainy evening?”: Cards (4) and Film on the projector (2)."
        in posts[1]["body"]
    )
    assert re.search(r"!\[Picture shared by Marlow on 5 March\]\(blob:[0-9a-f]{64}-t\.jpg\)", posts[0]["body"])
    assert (
        "- [lake circuit trail](https://www.walks.example/lake-circuit-trail) (walks.example), shared by Wren"
        in (posts[1]["body"])
    )
    assert "Rowan joined the group." in posts[2]["body"]


def test_people_language_and_signals_are_counted(posts: list[dict[str, Any]]) -> None:
    """By messages that people sent: no notices, no deleted ones."""
    rows = [item for item in chat_rows() if item["ts"] < datetime(2024, 3, 11) and item["alias"]]
    assert len(rows) == posts[0]["signals"]["messages"]
    assert {item["alias"] for item in rows} == set(posts[0]["people"])
    assert posts[0]["language"] == "en"
    assert tuple(posts[0]["signals"][name] for name in ("decisions", "links", "media")) == (2, 2, 1)


def test_tags_are_few_distinct_and_lower_case(posts: list[dict[str, Any]]) -> None:
    """Three to six of them."""
    for post in posts:
        assert 3 <= len(post["tags"]) <= 6
        assert post["tags"] == list(dict.fromkeys(tag.lower() for tag in post["tags"]))


def test_the_site_s_language_is_that_of_the_narration() -> None:
    """The words around the quotations change; the quotations don't."""
    english, portuguese = posts_of(chat_rows()), posts_of(chat_rows(), site={"language": "pt"})
    assert "## Segunda de manhã: lake house" in portuguese[0]["body"]
    assert "De 4 a 9 de março de 2024" in portuguese[0]["standfirst"]
    assert "## Decidido" in portuguese[0]["body"]
    pairs = [[b for b in post["body"].split("\n\n") if b.startswith("> ")] for post in (english[0], portuguese[0])]
    assert pairs[0] == pairs[1]


def test_the_same_messages_make_the_same_posts() -> None:
    """Nothing depends on chance, on the process, or on the order of sets."""
    program = "from test_extractive import *; print(json.dumps(posts_of(chat_rows()), default=str))"
    results = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert results[0] == results[1]
    assert json.loads(results[0]) == json.loads(json.dumps(posts_of(chat_rows()), default=str))


def test_what_says_nothing_is_not_quoted() -> None:
    """Bare addresses, placeholders, notices and deleted messages."""
    rows = chat(("Heron", "[phone]"), ("Heron", "https://a.example/x"), ("Heron", "[phone] [email]"))
    rows.append(row(90, datetime(2024, 3, 4, 19, 30), None, "Heron changed this group's icon"))
    rows.append(row(91, datetime(2024, 3, 4, 19, 31), "Heron", "This message was deleted", kind="deleted"))
    (post,) = posts_of(rows)
    assert [block for block in post["body"].split("\n\n") if block.startswith("> **Heron**")] == []
    assert "deleted" not in post["body"]
    assert "icon" not in post["body"]


def test_placeholders_stay_readable() -> None:
    """They are text like any other."""
    assert quote("Wren", "call [phone] now") == r"> **Wren** — call \[phone\] now"
    assert rendered(escape("call [phone] now")).strip() == "<p>call [phone] now</p>"


def test_long_messages_end_with_a_sentence() -> None:
    """Or with a word, where no sentence ends in time."""
    assert shorten("One. Two! Three goes on and on", 16) == "One. Two! …"
    assert shorten("one two three", 10) == "one two …"
    assert shorten("short", 10) == "short"
    assert shorten("a" * 30, 10) == "a" * 10 + " …"


def test_lines_of_a_message_stay_lines() -> None:
    """No line of it begins a list, a heading or a quotation of its own."""
    markdown = quote("Wren", "first\n\n# second\n1. third\n> fourth\n- fifth\n=====\n    sixth")
    assert (
        markdown.replace("\n", " ")
    ) == r"> **Wren** — first\ > \# second\ > 1\. third\ > \> fourth\ > \- fifth\ > \=====\ > sixth"
    assert rendered(markdown).count("<br />") == 6
    assert rendered(markdown).count("<blockquote>") == 1


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://a.example/x", "https://a.example/x"),
        ("http://a.example/(x)", "http://a.example/%28x%29"),
        ("https://a.example/?a=1&copy;=2", "https://a.example/?a=1&amp;copy;=2"),
        ("https://a.example/a b<c>", "https://a.example/a%20b%3Cc%3E"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("https://", None),
        ("\u202ehttps://a.example", "https://a.example"),
    ],
)
def test_only_addresses_of_the_web_become_links(url: str, target: str | None) -> None:
    """Everything else stays text."""
    assert target == safe_url(url)


HOSTILE = (
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "![x](https://evil.example/x.png)",
    "`code` and ``` fence",
    "](https://evil.example)",
    "<https://evil.example>",
    "[ref]: https://evil.example",
    "**bold** _it_ ~~gone~~ | a | b |",
    "&lt;b&gt; &copy; &#60;",
    "\u202egnp.exe\x1b[31m red",
    "1. one\n2. two\n\n# head\n---\n> quote",
    "a\\",
    "\\[x](y)",
    "</blockquote></div>",
    "text https://ok.example/a_b_c*d*?x=[1](2) text",
)
TAGS = {"h2", "p", "blockquote", "strong", "br", "ul", "li", "a", "img", "em"}


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60)), min_size=1, max_size=12), st.text(max_size=20)
)
def test_hostile_text_stays_text(texts: list[str], name: str) -> None:
    """Whatever is written, and whoever it is called, a renderer makes nothing of it but text and our own links."""
    texts = [re.sub("[\ud800-\udfff\x00]", "", text) for text in texts]
    alias = re.sub("[\ud800-\udfff\x00]", "", name) + "<b>*x*"
    rows = chat(*[(alias, f"{text} what about the shed?") for text in texts])
    for post in posts_of(rows):
        markup = rendered(post["body"])
        assert TAGS.issuperset(re.findall(r"<([a-z0-9]+)", markup))
        assert all(target.startswith(("http:", "https:")) for target in re.findall(r'href="([^"]*)"', markup))
        assert "<img" not in markup
        assert len(post["sources"]) == len(post["body"].split("\n\n"))
        for value in (post["title"], post["standfirst"], *post["tags"], *post["people"]):
            assert not UNSEEN.search(value)


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=80))
def test_escaped_text_reads_as_it_was(text: str) -> None:
    """What a reader sees of escaped text is the text itself, in one line and without what can't be seen."""
    assert plain(text) == " ".join(text_of(rendered("x " + escape(text))).split()).removeprefix("x").strip()
    assert "\n" not in plain(text)
    assert not UNSEEN.search(clean(text).replace("\n", "").replace("\t", ""))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Saturday it is", True),
        ("So it's settled: we leave at nine", True),
        ("We've booked the boat", True),
        ("Fechado!", True),
        ("Combinado, até sábado", True),
        ("ficou marcado para as 20h", True),
        ("Have we decided?", False),
        ("we haven't decided yet", False),
        ("nothing is booked", False),
        ("ainda não está decidido", False),
        ("I like Saturdays", False),
    ],
)
def test_decisions_are_told_by_their_words(text: str, expected: bool) -> None:
    """English and Portuguese; no questions, nothing denied."""
    assert expected == cues.decides(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Who has the key?", True),
        ("Alguém sabe onde fica?", True),
        ("Really?", False),
        ("see https://a.example/?who=what", False),
        ("What?!", False),
        ("nobody asked", False),
    ],
)
def test_questions_are_told_by_their_words(text: str, expected: bool) -> None:
    """What could be answered, not what is only exclaimed, nor an address with the mark in it."""
    assert expected == cues.is_question(text)


@pytest.mark.parametrize("text", ["haha", "kkkkkk", "rsrsrs", "😂😂", "LOL", "hahaha 😂!"])
def test_laughter_is_told(text: str) -> None:
    """In both languages."""
    assert cues.laughs(text)


def test_a_proposal_settles_something_only_with_others() -> None:
    """Two who agree, each in answer to it."""
    rows = chat(("Heron", "Let's take the early ferry on Sunday"), ("Fern", "yes"), ("Moss", "sounds good"))
    assert "## Decided" not in posts_of(rows)[0]["body"]
    for later in rows[1:3]:
        later["reply_to"] = rows[0]["event_id"]
    assert "- “Let's take the early ferry on Sunday” — Heron, Monday" in posts_of(rows)[0]["body"]


def test_an_answered_question_is_not_open() -> None:
    """Somebody else's words soon after it are taken for an answer; better too few than wrong ones."""
    asked = ("Heron", "Where did we put the long ladder?")
    assert "## Still open" not in posts_of(chat(asked))[0]["body"]
    rows = chat()
    rows.append(row(99, datetime(2024, 3, 4, 22), *asked))
    assert "“Where did we put the long ladder?” — Heron, Monday" in posts_of(rows)[0]["body"]


def test_a_silence_ends_a_conversation() -> None:
    """Morning and evening are told apart."""
    start = datetime(2024, 3, 4, 8)
    rows = [row(i, start + timedelta(minutes=i), "Wren", f"the kettle again {i}") for i in range(8)]
    evening = start + timedelta(hours=11)
    rows += [row(20 + i, evening + timedelta(minutes=i), "Heron", f"my violin once more {i}") for i in range(8)]
    headings = re.findall(r"^## (Monday .*)$", posts_of(rows)[0]["body"], re.MULTILINE)
    assert headings == ["Monday morning: the kettle", "Monday evening: the violin"]


def test_a_change_of_words_ends_a_conversation() -> None:
    """A short pause is enough where nothing is shared but the room."""
    start = datetime(2024, 3, 4, 8)
    kettle = [f"the kettle boils water {'slowly' if i % 2 else 'loudly'}" for i in range(20)]
    violin = [f"my violin needs strings {'badly' if i % 2 else 'urgently'}" for i in range(20)]
    rows = [row(i, start + timedelta(seconds=40 * i), "Wren", text) for i, text in enumerate(kettle)]
    later = start + timedelta(minutes=20)
    rows += [row(50 + i, later + timedelta(seconds=40 * i), "Heron", text) for i, text in enumerate(violin)]
    headings = re.findall(r"^## Monday morning: (.*)$", posts_of(rows)[0]["body"], re.MULTILINE)
    assert len(headings) == 2


def test_a_long_window_is_read_where_most_happens_and_counted_as_a_whole() -> None:
    """What is settled in one busy hour is told; the small talk of the other days is at least counted."""
    start = datetime(2024, 3, 4, 8)
    rows = [
        row(
            i,
            start + timedelta(minutes=4 * i),
            ("Wren", "Fern", "Moss")[i % 3],
            f"the weather is grey {i}" if i % 2 else "ok",
        )
        for i in range(900)
    ]
    rows[100]["alias"] = "Heron"
    busy = start + timedelta(days=4)
    talk = ["We've booked the harbour cabin", "the harbour cabin has a stove", "who has the harbour cabin keys?"]
    rows += [
        row(900 + i, busy + timedelta(minutes=i), ("Wren", "Fern")[i % 2], f"{talk[i % 3]} ({i})") for i in range(45)
    ]
    (post,) = posts_of(rows)
    assert "harbour cabin" in post["title"]
    assert "We've booked the harbour cabin" in post["body"].split("## Decided")[1]
    assert post["signals"]["messages"] == len(rows)
    assert sorted(post["people"]) == ["Fern", "Heron", "Moss", "Wren"]
    known = {item["event_id"] for item in rows}
    assert all(known.issuperset(sources) for sources in post["sources"])


def test_what_is_long_is_cut_at_its_longest_pauses() -> None:
    """Stretches hold every row once, in order, and none is too long; they end where it was quiet."""
    start = datetime(2024, 3, 4, 8)
    rows = [row(i, start + timedelta(seconds=30 * i + 300 * (i // 40)), "Wren", f"word {i}") for i in range(400)]
    windows: list[Window] = []

    def listen(window: Window, known: Background, config: Any, context: StageContext) -> None:
        windows.append(window)

    write(table_of(rows), Config(), run_id="r", context=StageContext(Path("unused")), write_post=listen)
    found = stretches(windows[0], 75)
    assert [span.end for span in found[:-1]] == [span.start for span in found[1:]]
    assert (found[0].start, found[-1].end) == (0, 400)
    assert all(span.end - span.start <= 75 and span.start % 40 == 0 for span in found)


def test_chats_side_by_side_are_told_apart() -> None:
    """Messages of two chats at the same time never stand in one conversation."""
    rows = chat()
    other = [item | {"event_id": f"o{i}", "thread_id": "u" * 32, "alias": "Moss"} for i, item in enumerate(rows)]
    (post,) = posts_of(rows + other)
    aliases = [QUOTE.fullmatch(b)["alias"] for b in post["body"].split("\n\n") if b.startswith("> ")]  # type: ignore[index]
    assert sorted(aliases, reverse=True) == aliases or sorted(aliases) == aliases


def test_a_post_of_pictures_alone_has_no_quotations() -> None:
    """Who shared them is all that is known."""
    rows = [
        row(i, datetime(2024, 3, 4, 9, i), "Wren", "", kind="media", media_type="image", media=picture(f"{i:064}"))
        for i in range(8)
    ]
    (post,) = posts_of(rows)
    assert "> " not in post["body"]
    assert post["body"].count("![Picture shared by Wren on 4 March]") == 6
    assert post["title"] == "Wren, 4 March 2024"


def test_a_poll_without_options_is_not_told() -> None:
    """And a damaged one doesn't stop the post."""
    rows = chat(("Heron", "Which one?"))
    rows[0] |= {"kind": "poll", "attrs": json.dumps({"options": []})}
    assert "The vote" not in posts_of(rows)[0]["body"]


def test_terms_read_like_names_of_things() -> None:
    """Nouns before verbs; no alias, address or placeholder, and nobody's name, also if they are only talked about."""
    texts = [
        "We should bring the canoe and Celestina to the lagoon",
        "The canoe needs a paddle, ask [name] or celestina or see https://canoe.example/paddle",
        "I will bring Heron to the lagoon with the canoe. Celestina Moreira, too: Celestina knows boats. Barnaby!",
        "Barnaby said so. Barnaby? Lagoon it is.",
    ]
    vocabulary = Vocabulary()
    tokens = tokenise(pa.chunked_array([[*texts, "Nothing here"]]), vocabulary)
    known = background(tokens, [0, 4, 5], vocabulary, ["Heron"], ["en"])
    terms = terms_of(tokens.part(0, 4), np.array([0, 1, 2, 1]), known)
    assert [term.shown for term in terms.ranked if len(term.rows) > 1][:2] == ["canoe", "lagoon"]
    found = {word for term in terms.ranked for word in term.words}
    assert not {"heron", "bring", "name", "https", "celestina", "moreira", "barnaby"} & found


def test_german_nouns_are_no_names() -> None:
    """Although they have a capital: an article stands before them, but not before names."""
    texts = [
        "Wir nehmen das Kanu zum Weiher, sagt Adelheid",
        "Das Kanu liegt am Weiher. Adelheid hat einen Kajak",
        "Dann fragen wir Adelheid, ob der Kajak besser als das Kanu ist",
    ]
    vocabulary = Vocabulary()
    tokens = tokenise(pa.chunked_array([[*texts, "Nichts"]]), vocabulary)
    known = background(tokens, [0, 3, 4], vocabulary, [], ["de", "en"])
    found = {word for term in terms_of(tokens.part(0, 3), np.array([0, 1, 2]), known).ranked for word in term.words}
    assert {"kanu", "weiher", "kajak"} <= found
    assert "adelheid" not in found


def test_stop_words_are_those_of_the_languages_and_of_chats() -> None:
    """Only the languages asked for, and filler that no list has."""
    assert {"the", "lol", "kkk"} <= stop_words(("en",))
    assert "und" not in stop_words(("en", "pt"))
    assert "und" in stop_words(("de",))
