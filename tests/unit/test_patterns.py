"""Personal data that is told by its form is replaced; harmless numbers, links and signs stay."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egregora.patterns import (
    SUSPECT,
    clean_url,
    find_patterns,
    phone_digits,
    redact_patterns,
)

PERSONAL = [
    # Phone numbers, in the United States unless a region stands beside them.
    ("call +1 (415) 555-0132 now", "call [phone] now"),
    ("+55 11 98765-4321 e +44 20 7946 0958", "[phone] e [phone]"),
    ("+1-415-555-0132x", "[phone]x"),
    ("415-555-0132, 415.555.0132, (415) 555 0132", "[phone], [phone], [phone]"),
    ("4155550132", "[phone]"),
    ("1 415 555 0132", "[phone]"),
    ("555-0132", "[phone]"),
    ("call 5550132", "call [phone]"),
    ("0044 20 7946 0958", "[phone]"),
    ("meu zap é 11 98765-4321", "meu zap é [phone]"),
    ("(11) 98765-4321 ou 98765-4321", "[phone] ou [phone]"),
    ("5511987654321", "[phone]"),
    ("+٩٦٦ ٥٠ ١٢٣ ٤٥٦٧", "[phone]"),
    ("+55\u00a011\u00a098765\u20114321", "[phone]"),
    ("on 05/10/2024 415-555-0132", "on 05/10/2024 [phone]"),
    ("https://wa.me/5511987654321?text=oi", "[phone]"),
    ("https://api.whatsapp.com/send?phone=5511987654321", "[phone]"),
    ("whatsapp://send?phone=5511987654321", "[phone]"),
    ("tel:+14155550132", "tel:[phone]"),
    # E-mail
    ("mail ana.souza+x@example.com.", "mail [email]."),
    ("mailto:a@b.co and ÜNÏ@example.org", "[email] and [email]"),
    # Money and papers
    ("4111 1111 1111 1111", "[card]"),
    ("5555-5555-5555-4444 and 378282246310005", "[card] and [card]"),
    ("GB82 WEST 1234 5698 7654 32 please", "[iban] please"),
    ("de89370400440532013000", "[iban]"),
    ("IBAN PT50 0002 0123 1234 5678 9015 4, thanks", "IBAN [iban], thanks"),
    ("cpf 529.982.247-25 or 52998224725", "cpf [id] or [id]"),
    ("a made-up one: 123.456.789-00", "a made-up one: [id]"),
    ("11.222.333/0001-81", "[id]"),
    ("RG 12.345.678-9, SSN 078-05-1120, DNI 12345678Z, NIE X1234567L", "RG [id], SSN [id], DNI [id], NIE [id]"),
    # Machines and credentials
    ("ssh to 192.168.1.10 or 2001:db8::1", "ssh to [ip] or [ip]"),
    ("http://203.0.113.44:8080/x", "[ip]"),
    ("https://user:pw@example.com/x", "https://example.com/x"),
    ("https://example.com/x?token=abc&page=2", "https://example.com/x?page=2"),
    ("https://example.com/x?utm_source=a&v=1&igsh=xyz", "https://example.com/x?v=1"),
    ("https://example.com/#access_token=abcdef", "https://example.com/"),
    ("https://example.com/r/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF123/next", "https://example.com/r/"),
    ("https://example.com/u?e=ana%40example.com", "https://example.com/u"),
    ("https://chat.whatsapp.com/AbCdEf123", "https://chat.whatsapp.com/"),
    ("https://docs.google.com/document/d/1AbC/edit", "https://docs.google.com/"),
    ("https://us02web.zoom.us/j/86012345678?pwd=x", "https://us02web.zoom.us/"),
    ("https://linkedin.com/in/someone-here", "https://linkedin.com/"),
    ("https://www.instagram.com/rivermoth77?igsh=x or t.me/rivermoth77", "https://www.instagram.com/ or t.me/"),
    ("https://www.tiktok.com/@rivermoth77/video/73", "https://www.tiktok.com/"),
    ("postgres://u:p@db/x", "[link]"),
    ("https://example.com/?next=https://evil.example/x", "[link]"),
    ("key ghp_abcdefghijklmnopqrst123, sk-abcdefghijklmnopqrstuv", "key [token], [token]"),
    ("AKIAIOSFODNN7EXAMPLE", "[token]"),
    ("senha: hunter22 and wifi password = correct-horse", "senha: [token] and wifi password = [token]"),
    ("Authorization: Bearer abcdefghijklmnop1234", "Authorization: Bearer [token]"),
    ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----", "[token]"),
    # Places
    ("https://maps.google.com/?q=1.2,3.4", "[place]"),
    ("https://www.google.com/maps/place/X/@1.2,3.4", "[place]"),
    ("https://www.google.com.br/maps?q=x", "[place]"),
    ("maps.app.goo.gl/AbC and https://goo.gl/maps/AbC", "[place] and [place]"),
    ("https://maps.apple.com/?ll=1,2 https://waze.com/ul?ll=1,2", "[place] [place]"),
    ("https://www.openstreetmap.org/?mlat=38.4&mlon=-8.7#map=17/38.4/-8.7", "[place]"),
    ("-23.5505, -46.6333", "[place]"),
    ("geo:37.786971,-122.399677", "[place]"),
    ("23°33'01\"S 46°38'02\"W", "[place]"),
    ("at 589G+4X", "at [place]"),
    # Street addresses
    ("New flat! Rua das Gaivotas Tortas 14, 2.º esq. bell broken", "New flat! [address] bell broken"),
    ("NOW, Rua do Moinho Velho 3, ring the bell", "NOW, [address], ring the bell"),
    ("14 Baker Street, 221b baker street or 14 BAKER STREET", "[address], [address] or [address]"),
    ("350 5th Ave; 10 Downing St.; 24 Elm Drive, 14-16 High Street", "[address]; [address].; [address], [address]"),
    ("Av. Paulista, 1578 e R. Augusta, 1500 - ap 12", "[address] e [address]"),
    ("rua augusta 500", "[address]"),
    ("Rua 25 de Março, 100", "[address]"),
    ("Rua Dr. João Silva, n.º 5 - 3.º dto", "[address]"),
    ("Largo do Rato 3, 1250-186 Lisboa", "[address] Lisboa"),
    ("Calle Mayor 5, 3º B y C/ Mayor 5", "[address] y [address]"),
    ("Hauptstraße 12, Hauptstr. 12a, BERLINER STRASSE 12", "[address], [address], [address]"),
    ("Straße des 17. Juni 135 oder Berliner Platz 1", "[address] oder [address]"),
    ("via Roma 7; Piazza Garibaldi, 3; Viale Europa 12/a", "[address]; [address]; [address]"),
    ("12 rue de Rivoli ou 12 bis, avenue Foch", "[address] ou [address]"),
    ("Keizersgracht 123", "[address]"),
    # Ids
    ("NI AB 12 34 56 C and AB123456C", "NI [id] and [id]"),
    ("c.f. RSSMRA85T10A562S", "c.f. [id]"),
    ("pix: 123e4567-e89b-12d3-a456-426614174000", "pix: [id]"),
]

IN_REGION = [
    ("BR", "3333-4444 e 21 3333 4444", "[phone] e [phone]"),
    ("DE", "030/1234567 oder 0170 1234567", "[phone] oder [phone]"),
    ("PT", "912 345 678", "[phone]"),
    ("GB", "07700 900123 or 020 7946 0958", "[phone] or [phone]"),
    ("FR", "06 12 34 56 78", "[phone]"),
    ("US", "run 93490836 failed", "run 93490836 failed"),
]

HARMLESS = [
    "$1,234,567.89 and R$ 1.500.000,00 and 12.345.678 reais",
    "USD 4155550132",
    "3-2, 110-98, 6:4 7:5, 21-19 21-17",
    "2024-01-05 18:30:00, 05/10/2024 10:00, 5.10.24, 20240105, 20240105 183000",
    "1914-1918, 1999/2000",
    "12:30:45.123, 15h30, 9 to 5, 24/7",
    "ISBN 978-3-16-148410-0, ISBN 0-306-40615-2, 9783161484100",
    "order 112-3456789-1234567, pedido 123456789012, invoice #4155550132, protocolo: 2024123456",
    "tracking 1Z999AA10123456784",
    "v1.2.3.4, version 10.0.0.1, Python 3.11.9, firmware 1.0.0.7",
    "1 000 000 people, 1500000 views",
    "3.14159265358979, 6.02214076e23",
    "1234567",
    "10 9 8 7 6 5 4 3 2 1",
    "8,9,10,11,12,13,14",
    "2+2=4, C++, #1, 100%, 20°C, AC/DC, and/or, 1/2",
    "IMG-20240105-WA0003.jpg",
    "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=42",
    "https://en.wikipedia.org/wiki/Lake_(disambiguation)#History",
    "(see https://example.com/a/b-c_d/2024/01/05/some-long-title-of-an-article.html).",
    "https://www.bbc.com/news/world-europe-12345678",
    "https://www.instagram.com/p/C3xYzAbCdEf/ and https://x.com/i/trending, https://www.facebook.com/events/123456/",
    "www.example.com/page?id=12&lang=pt",
    "example.com/menu",
    "https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC",
    "meet @ 7, @everyone, me@home",
    "password please? the token of love, a secret: x",
    "Asia, ask, sketch-book, risk-taking, npm_run",
    "a::b, 10:20::30, std::vector",
    "[phone] [email] [card] [place]",
    "room 101-1020, seats 12-14, pages 100-120",
    "the 4x100 relay, 1080p, 16:9, 5'11\"",
    "5 Main points, Chapter 3 Street photography, street food 3 euros, 14 street dogs, 3 new street food stalls",
    "5th Avenue, Route 66 trip, Highway 1, Rua sem saída, Rua Augusta, Avenida 24 de Julho",
    "a rua tem 3 carros, Rua Augusta tem 3 bares, na Rua Augusta 14h30, Rua Augusta 14:30",
    "via WhatsApp 3 times, 20 minute walk down the road, 2 way street, 4 lane road, a place to stay 3 nights",
    "Parkplatz 12, unterweg 5, Milaan 3, Bring 5 beers, Spring 2024, on the way 3",
    "QQ 12 34 56 A, RSSMRA85T10A562X, the pix was sent",
    # What errors and logs hold
    "stages/write.py:53 in write, egregora/pipeline/runner.py:164 in run_stage_with_tracking",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "4155550132c44298fc1c149afbf4c899, 0d4bd77",
    "run 123e4567-e89b-12d3-a456-426614174000 at 2026-11-23 06:54:29, 2026-11-23T06:54:29.123456+00:00",
    "runs 0f1cce71, 715c39bd, e0789a97 on duckdb 1.5.6, ibis 12.0.0, pyarrow 22.0.0",
    'Catalog Error: Table with name raw_x does not exist!\nDid you mean "pg_am"?\nLINE 1: SELECT * FROM raw_x\n  ^',
    "IO Error: Could not set lock on file: Conflicting lock is held in python3.11 (PID 12345).",
    "See also https://duckdb.org/docs/stable/connect/concurrency",
    "Out of Memory Error: failed to allocate data of size 16.0 GiB (12.4 GiB/12.4 GiB used)",
    'Binder Error: Referenced column "txt" not found in FROM clause!\nCandidate bindings: "text", "ts"',
]


@pytest.mark.parametrize(("text", "expected"), PERSONAL)
def test_personal_data_becomes_a_placeholder(text: str, expected: str) -> None:
    """Each form is replaced, what stands around it stays, and a second pass changes nothing."""
    assert expected == redact_patterns(text)
    assert expected == redact_patterns(expected)


@pytest.mark.parametrize(("region", "text", "expected"), IN_REGION)
def test_a_local_number_is_read_in_its_country(region: str, text: str, expected: str) -> None:
    """A number without country code is one where the region's numbering plan says so."""
    assert expected == redact_patterns(text, region)


@pytest.mark.parametrize("region", ["US", "BR", "DE", "GB", "PT"])
@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_stays(text: str, region: str) -> None:
    """Prices, scores, dates, book and order numbers, versions and plain links are no personal data anywhere."""
    assert text == redact_patterns(text, region)


@pytest.mark.parametrize("text", [case[0] for case in PERSONAL])
def test_the_cheap_test_passes_everything_that_is_replaced(text: str) -> None:
    """What the cheap test does not find in a column holds nothing."""
    assert pc.match_substring_regex(pa.array([text]), SUSPECT).to_pylist() == [True]


def test_what_is_found_has_a_kind_and_a_place() -> None:
    """Spans are in order, do not overlap, and cover what is replaced; links are told even when they stay."""
    text = "a@b.co or https://example.com/x or +1 415 555 0132"
    assert [(found.kind, text[found.start : found.end]) for found in find_patterns(text)] == [
        ("email", "a@b.co"),
        ("url", "https://example.com/x"),
        ("phone", "+1 415 555 0132"),
    ]


def test_a_link_is_cut_before_a_name() -> None:
    """What names someone goes, with everything behind it."""
    named = lambda text: "zoraide" in text.lower()  # noqa: E731
    assert clean_url("https://example.com/people/Zor%61ide/photos?page=2", named=named) == "https://example.com/people/"
    assert clean_url("https://example.com/p?page=2&by=zoraide#zoraide", named=named) == "https://example.com/p?page=2"
    assert clean_url("https://zoraide.example.com/p", named=named) == "[link]"


@pytest.mark.parametrize(
    ("text", "region", "digits"),
    [
        ("+55 (11) 98765-4321", "US", "5511987654321"),
        ("11 98765-4321", "BR", "5511987654321"),
        ("5511987654321", "US", "5511987654321"),
        ("(415) 555-0132", "US", "14155550132"),
        ("+1 555 0100", "US", "15550100"),
        ("12", "US", None),
    ],
)
def test_a_number_has_one_form(text: str, region: str, digits: str | None) -> None:
    """However it is written, a phone number is the same digits."""
    assert digits == phone_digits(text, region)


def test_importing_the_module_is_cheap() -> None:
    """`phonenumbers` is loaded when a text needs it, not before."""
    code = "import sys, egregora.patterns as p; p.redact_patterns('a@b.co at 12:30'); "
    code += "sys.exit('phonenumbers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet=st.sampled_from("0123456789 +-.()/:@[]abAB\n?=&#%°'\"é")) | st.text(),
    st.sampled_from(["US", "BR"]),
)
def test_redaction_is_idempotent(text: str, region: str) -> None:
    """Any text is taken, and what comes out stays as it is."""
    once = redact_patterns(text, region)
    assert once == redact_patterns(once, region)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(10**6, 10**12),
    st.sampled_from(["", " ", "-", "."]),
    st.sampled_from(["{}", "ring {} now", "({})", "x: {}, y"]),
)
def test_a_plus_sign_always_makes_a_phone_number(number: int, gap: str, sentence: str) -> None:
    """Whether it exists or not: typing errors are no protection."""
    digits = f"+{str(number)[:2]}{gap}{str(number)[2:]}"
    assert sentence.format("[phone]") == redact_patterns(sentence.format(digits))
