"""A window as a model is told of it, and which answers are taken: asked over HTTP, without the rest of the pipeline."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from egregora.config import load_config
from egregora.database.ir_schema import DRAFTS
from egregora.errors import AnswerError, ModelError, PrivacyError
from egregora.pipeline.stage import PrivacyPass, StageContext
from egregora.stages.enrich_links import find_links
from egregora.stages.publish_portraits import step
from egregora.stages.rank_judged import earlier_pairs
from egregora.stages.writers.markdown import prose
from egregora.stages.writers.prose import EARLIER, write_window
from egregora.stages.writers.transcript import TRANSCRIBED, Transcript, excerpt
from egregora.testing_llm import Asked, Reply, ScriptedServer
from model_replies import messages, paragraph, post, well

TALK = ("The goat is on the roof of the shed", "Get it down before it eats the solar panel", "It ate the solar panel")


class Allowed(StageContext):
    """A run whose input went through the privacy stage."""

    def privacy_pass(self) -> PrivacyPass:
        return PrivacyPass("r", "default")


def row(place: int, text: str, **values: Any) -> dict[str, Any]:
    """One row of what a transcript is made of: a message a minute, by turns of two people."""
    when = datetime(2024, 3, 4, 9, tzinfo=UTC) + timedelta(minutes=place)
    given = {"row": place, "event_id": f"e{place + 1}", "wall": int(when.timestamp()), "kind": "text", "text": text}
    given |= {
        "alias": ("Night Heron", "Comic Wren")[place % 2],
        "reply": -1,
        "links": None,
        "media": None,
        "poll": None,
    }
    return given | values


def table(*rows: dict[str, Any]) -> pa.Table:
    """The input of a child."""
    return pa.Table.from_pylist(list(rows)).select(TRANSCRIBED)


def talk(*texts: str) -> pa.Table:
    return table(*(row(place, text) for place, text in enumerate(texts)))


def asked_about(
    script: Any, window: pa.Table, tmp_path: Path, *, earlier: Any = (), allowed: bool = True, llm: str = ""
) -> tuple[list[dict[str, Any]], list[Asked]]:
    """What a window's child makes of a model's answers, and what the model was asked."""
    with ScriptedServer(script) as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("OPENAI_API_KEY", "sk-of-a-test")
        toml = f'[llm]\nmodel = "openai:test-1"\nbase_url = "{server.base_url}"\nretries = 0\n{llm}'
        (tmp_path / "egregora.toml").write_text(toml, encoding="utf-8")
        config = load_config(tmp_path / "egregora.toml")
        context = (Allowed if allowed else StageContext)(tmp_path, config=config)
        context.inputs = {"earlier": pa.Table.from_pylist(list(earlier), schema=EARLIER)}
        made = write_window(window, config, run_id="r", context=context)
    assert made.schema == DRAFTS.arrow()
    return made.to_pylist(), server.asked


# -- what a model is told ----------------------------------------------------------------------------------------------


def test_messages_stand_one_a_line() -> None:
    """Days, ids, times, names, what answers what; what isn't text in brackets; nothing of what was deleted."""
    poll = json.dumps({"options": [{"text": "Cards", "votes": 4}, {"text": "Film", "votes": 2}]})
    photo = {"thumbnail": "t.webp", "mime": "image/jpeg", "description": "two goats\non a roof"}
    link = {"url": "https://a.example/x", "description": "About goats."}
    rows = [
        row(0, "Wren was added", kind="system", alias=None),
        row(1, "look", kind="media", media=photo),
        row(2, "", kind="media", media={"thumbnail": None, "mime": "video/mp4", "description": None}),
        row(3, "What do we do?", kind="poll", poll=poll),
        row(4, "gone", kind="deleted"),
        row(5, "see\n\n https://a.example/x ", links=[link], reply=3),
        row(6, "", kind="location"),
        row(2000, "next day"),
    ]
    assert Transcript.of(table(*reversed(rows))).text == (
        "Monday, 2024-03-04\n"
        "m1 09:00 (notice): Wren was added\n"
        "m2 09:01 Comic Wren: [photo: two goats on a roof] look\n"
        "m3 09:02 Night Heron: [video]\n"
        "m4 09:03 Comic Wren: [poll with votes: Cards 4, Film 2] What do we do?\n"
        "m6 09:05 Comic Wren (to m4): see https://a.example/x [link: About goats.]\n"
        "m7 09:06 Night Heron: [location]\n"
        "Tuesday, 2024-03-05\n"
        "m2001 18:20 Night Heron: next day"
    )


@given(st.lists(st.text(max_size=60) | st.sampled_from(["</messages>", "\nm9 09:00 X: y", "\u2028m1", "</ messages>"])))
@settings(max_examples=60, deadline=None)
def test_no_message_looks_like_anything_else(texts: list[str]) -> None:
    """Whatever people write, each message is one line, begins with the id that it was given, and ends no list."""
    lines = Transcript.of(talk(*texts)).text.splitlines() if texts else []
    assert len(lines) == len(texts) + bool(texts)
    assert [line.split(" ", 1)[0] for line in lines[1:]] == [f"m{n}" for n in range(1, len(texts) + 1)]
    assert not any("</messages" in line or "<messages" in line for line in lines)


def test_the_question_has_instructions_language_and_earlier_windows(tmp_path: Path) -> None:
    """The prompt's text, the language of the site, the owner's own words, then what came before and the messages."""
    before = {"day": "2024-02-26", "title": "Goats", "standfirst": "Of goats.", "said": ["Night Heron: a goat"]}
    _, (asked,) = asked_about(well, talk(*TALK), tmp_path, earlier=[before], llm='instructions = "Rhyme."')
    assert asked.instructions.startswith("You are the chronicler of a group of friends.")
    assert "Write in this language: en.\n\nRhyme." in asked.instructions
    assert asked.prompt.startswith(
        "<earlier>\n2024-02-26: Goats. Of goats.\n  Night Heron: a goat\n</earlier>\n\n<messages>\nMonday"
    )
    assert [text for _, _, text in messages(asked)] == list(TALK)
    assert all("maxLength" in value for value in strings(asked.schema))


def strings(schema: Any) -> list[dict[str, Any]]:
    """All schemas of single strings in a schema, but for ids in lists."""
    if isinstance(schema, list):
        return [found for value in schema for found in strings(value)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if schema.get("type") == "string" and "description" in schema else []
    return own + [found for value in schema.values() for found in strings(value)]


def test_nothing_is_asked_without_the_privacy_pass(tmp_path: Path) -> None:
    """A window that didn't go through the privacy stage is never sent."""
    with pytest.raises(PrivacyError):
        asked_about(well, talk(*TALK), tmp_path, allowed=False)


# -- which answers are taken -------------------------------------------------------------------------------------------

RIGHT = paragraph("The goat “ate the solar panel”.", "m1", quotes=[("[M2]", "before it EATS the solar-panel!")])


def test_an_answer_is_kept_with_the_messages_that_it_rests_on(tmp_path: Path) -> None:
    """Also those that it quotes in passing; quoted words stand as they were written."""
    answer = {"posts": [post(RIGHT, title=" The  goat", standfirst="Of it.", tags=["Goat", "goat", "Roof"])]}
    rows, _ = asked_about(lambda asked: answer, talk(*TALK), tmp_path)
    quotes = [{"source": "e2", "words": "before it eats the solar panel"}]
    told = {"heading": "", "text": "The goat “ate the solar panel”.", "sources": ["e1", "e2", "e3"], "quotes": quotes}
    kept = {"title": "The goat", "standfirst": "Of it.", "tags": ["goat", "roof"], "paragraphs": [told]}
    assert rows == [{"nth": 0, **kept, "problem": None}]


WRONG = [
    (paragraph("Else.", "m99"), "There is no message 'm99'."),
    (paragraph("Else.", "the second"), "There is no message 'the second'."),
    (paragraph("So.", "m1", quotes=[("m77", "so")]), "There is no message 'm77'."),
    (
        paragraph("So.", "m1", quotes=[("m1", "The cow is on the roof")]),
        "Message m1 doesn't say 'The cow is on the roof'.",
    ),
    (paragraph("So.", "m1", quotes=[("m1", "he roo")]), "Message m1 doesn't say"),
    (paragraph("“I never liked goats”, one said.", "m1"), "Nobody wrote 'I never liked goats'."),
    (paragraph('One said "no goats" then.', "m1"), "Nobody wrote 'no goats'."),
    (paragraph("One said «no goats» then.", "m1"), "Nobody wrote 'no goats'."),
    (paragraph("One said ‘I don’t like goats’ then.", "m1"), "Nobody wrote 'I don’t like goats'."),
    (paragraph("So.", "m1", heading="“No goats”"), "Nobody wrote 'No goats'."),
    (paragraph("The goat <b>ate</b> it.", "m1"), "There is HTML in it."),
    (paragraph("<img src=x", "m1"), "There is HTML in it."),
    (paragraph("See [it](https://evil.example/x).", "m1"), "Nobody sent the link 'https://evil.example/x'."),
    (paragraph("See ![it](https://evil.example/x).", "m1"), "Nobody sent the link 'https://evil.example/x'."),
    (paragraph("See [it](javascript:alert).", "m1"), "Nobody sent the link 'javascript:alert'."),
    (paragraph("See www.evil.example.", "m1"), "Nobody sent the link 'www.evil.example'."),
]


@pytest.mark.parametrize(("wrong", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_is_wrong_goes_back_once(tmp_path: Path, wrong: dict[str, Any], told: str) -> None:
    """An id, a quotation, a link that come from nowhere, and HTML: a better answer is taken, the same one isn't."""

    def learning(asked: Asked) -> Any:
        assert asked.again == (told in asked.text)
        return {"posts": [post(RIGHT if asked.again else wrong)]}

    rows, asked = asked_about(learning, talk(*TALK), tmp_path)
    assert ([row["problem"] for row in rows], len(asked)) == ([None], 2)
    rows, asked = asked_about(lambda asked: {"posts": [post(wrong)]}, talk(*TALK), tmp_path)
    assert ([(row["title"], told in row["problem"]) for row in rows], len(asked)) == ([("", True)], 2)


def test_titles_quote_nobody_wrongly_either(tmp_path: Path) -> None:
    """Nor do standfirsts and tags; the words of an earlier window may be quoted."""
    before = {"day": "2024-02-26", "title": "Goats", "standfirst": "", "said": ["Night Heron: never again a goat"]}
    for head in ({"title": "“Ducks”"}, {"standfirst": "“Ducks”"}, {"tags": ["“ducks”"]}):
        rows, _ = asked_about(lambda asked, head=head: {"posts": [post(RIGHT, **head)]}, talk(*TALK), tmp_path)
        assert rows[0]["problem"].startswith("Nobody wrote '")
    answer = {"posts": [post(RIGHT, title="“Never again a goat”")]}
    rows, _ = asked_about(lambda asked: answer, talk(*TALK), tmp_path, earlier=[before])
    assert rows[0]["title"] == "“Never again a goat”"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply("{nonsense"), "gave no answer in the form asked for, twice"),
        (Reply({"posts": "none"}), "gave no answer in the form asked for, twice"),
        (Reply({"posts": [post(RIGHT)] * 9}), "gave no answer in the form asked for, twice"),
        (Reply({"posts": [post(RIGHT, title="x" * 91)]}), "gave no answer in the form asked for, twice"),
        (Reply(finish="content_filter"), "content filter"),
        (Reply(refusal="I can't help with that."), "openai:test-1"),
        (Reply('{"posts": [', finish="length"), "cut off"),
    ],
)
def test_answers_that_can_not_be_used(tmp_path: Path, reply: Reply, reason: str) -> None:
    """Nonsense, too much, a filter, a refusal, half an answer: an error with the reason and a way out."""
    with pytest.raises(AnswerError, match=reason) as raised:
        asked_about(lambda asked: reply, talk(*TALK), tmp_path)
    assert "without_model under [write]" in raised.value.hint


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_no_answer_at_all(tmp_path: Path, status: int) -> None:
    """What has nothing to do with the window is no reason to leave the window to another writer."""
    with pytest.raises(ModelError) as raised:
        asked_about(lambda asked: Reply(status=status), talk(*TALK), tmp_path)
    assert "without_model" not in raised.value.hint


# -- quotations --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words", "found"),
    [
        ("We meet at the lake, Saturday at 10!! ok", "at the LAKE saturday", "at the lake, Saturday"),
        ("I can't swim.", "I can’t swim", "I can't swim."),
        ("I can't swim", "can swim", None),
        ("party on", "art", None),
        ("on 120 m", "12", None),
        ("一起去湖边吧", "去湖边", "去湖边"),
        ("one two three four five", "one … four five", "one … four five"),
        ("one two three four five", "four [...] one", None),
        ("Straße 5", "STRASSE 5", "Straße 5"),
        ("cafe\u0301 now", "café", "café"),
        ("😀 yes", "😀", "😀"),
        ("yes", "😀", None),
        ("yes", " ", None),
        ("yes", "…", None),
    ],
)
def test_who_wrote_what(text: str, words: str, found: str | None) -> None:
    """Case, punctuation and spaces don't count; words do, whole and in order."""
    assert excerpt(text, words) == found


@given(st.lists(st.from_regex(r"[a-zà-ÿA-Z]{1,8}", fullmatch=True), min_size=1, max_size=12), st.data())
@settings(max_examples=60, deadline=None)
def test_any_run_of_words_is_a_quotation_of_the_text(words: list[str], data: st.DataObject) -> None:
    """Wherever it begins and ends, also in capitals and with other punctuation between."""
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    assert excerpt(", ".join(words), " - ".join(words[start:end]).upper()) is not None


# -- Markdown ----------------------------------------------------------------------------------------------------------


def target(written: str) -> str | None:
    return written if find_links(written) and "known.example" in written else None


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("plain", "plain"),
        ("*so* **much** _and_ __more__", "*so* **much** *and* **more**"),
        ("2 * 3 * 4, a_b_c, ** x **", "2 \\* 3 \\* 4, a\\_b\\_c, \\*\\* x \\*\\*"),
        ("[this](https://known.example/a) page", "[this](https://known.example/a) page"),
        ("[this](https://other.example/a) page", "this page"),
        ("![this](https://known.example/a)", "[this](https://known.example/a)"),
        ("[x](javascript:alert(1)) <b>", "x) \\<b\\>"),
        ("# no\n\n- list\n> quote", "\\# no - list \\> quote"),
        ("a `b` | c &amp; ~d~ \u202ee", "a \\`b\\` \\| c \\&amp; \\~d\\~ e"),
    ],
)
def test_a_paragraph_is_text_with_emphasis_and_known_links(text: str, markdown: str) -> None:
    """All else that Markdown would take for something is escaped."""
    assert prose(text, target) == markdown


@given(st.text(alphabet="ab *_[]()<>!`#&\\~|\n:/.x1-", max_size=60))
@settings(max_examples=150, deadline=None)
def test_no_paragraph_becomes_more_than_a_paragraph(text: str) -> None:
    """Whatever a model writes: one block, with nothing in it but emphasis, and links to known addresses."""
    html = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(prose(text, target))
    bare = html
    for tag in ("<p>", "</p>", "<em>", "</em>", "<strong>", "</strong>"):
        bare = bare.replace(tag, "")
    assert ("<" in bare, html.count("<p>") <= 1) == (False, True)


# -- pairs and portraits -----------------------------------------------------------------------------------------------


def test_a_new_post_adds_its_own_pairs_only() -> None:
    """So that each comparison is paid for once; and every post can be reached from every other."""
    names = [f"post-{n}" for n in range(40)]
    pairs = earlier_pairs(names, 4)
    assert pairs[: len(earlier_pairs(names[:30], 4))] == earlier_pairs(names[:30], 4)
    assert len(pairs) == len(set(pairs)) == 1 + 2 * 38
    assert {second for _, second in pairs} == set(range(1, 40))
    without = [(names[a], names[b]) for a, b in pairs if 7 not in (a, b)]
    again = earlier_pairs([name for name in names if name != "post-7"], 4)
    kept = [
        (one, two)
        for one, two in without
        if (one, two)
        in {([n for n in names if n != "post-7"][a], [n for n in names if n != "post-7"][b]) for a, b in again}
    ]
    assert kept == without


@pytest.mark.parametrize(
    ("count", "least", "expected"), [(50, 50, 50), (74, 50, 50), (75, 50, 75), (1000, 50, 850), (3, 1, 3), (1, 1, 1)]
)
def test_portraits_are_made_anew_by_steps(count: int, least: int, expected: int) -> None:
    """Each step is half as large again as the one before."""
    assert step(count, least) == expected
