"""Secrets are blotted out in every form that they are commonly written in, and what looks like a key is, too."""

from __future__ import annotations

import base64
import html
import json
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_output

from checks.run.evidence import clean_outputs
from checks.run.redact import MASK, Also, Redactor, masker

CHARACTERS = st.characters(codec="utf-8", categories=("L", "N", "P", "S"), exclude_characters=MASK)
SECRETS = st.text(CHARACTERS, min_size=4, max_size=40)
AROUND = st.text(CHARACTERS, max_size=20)
WRAPPINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "url": lambda text: urllib.parse.quote(text, safe=""),
    "query": urllib.parse.quote_plus,
    "html": html.escape,
    "json": lambda text: json.dumps(text)[1:-1],
    "repr": lambda text: repr(text)[1:-1],
    "base64": lambda text: base64.b64encode(text.encode("utf-8", "replace")).decode(),
}


@pytest.mark.parametrize("form", WRAPPINGS)
@given(secret=SECRETS, before=AROUND, after=AROUND)
def test_no_form_of_a_secret_stays(form: str, secret: str, before: str, after: str) -> None:
    """Whatever stands around it, a secret is found in each of its forms, and what stands around it stays."""
    written = WRAPPINGS[form](secret)
    masked = masker([secret])(f"{before} {written} {after}")
    assert written not in masked
    assert MASK in masked
    if secret not in before + after:
        assert masker([secret])(before) in masked


@given(secret=st.text("abcdefgh12345-_+/", min_size=8, max_size=40), before=st.binary(max_size=20), after=st.binary(max_size=20))
def test_a_secret_cannot_be_unpacked_from_a_longer_base64(secret: str, before: bytes, after: bytes) -> None:
    """Of something packed with a secret in its middle, no more than two of the secret's characters can be unpacked at a side."""
    packed = base64.b64encode(before + secret.encode() + after).decode()
    masked = masker([secret])(packed)
    assert MASK in masked
    head, _, tail = masked.partition(MASK)
    for part, known in ((head, before), (tail, after)):
        unpacked = base64.b64decode(part[: len(part) // 4 * 4] if part is head else part[len(part) % 4 :])
        assert secret.encode() not in unpacked
        assert len(unpacked) <= len(known) + 3


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("pin 7c1, not 7c12 or x7c1", f"pin {MASK}, not 7c12 or x7c1"),
        ("7c1", MASK),
        ('{"pin":"7c1"}', f'{{"pin":"{MASK}"}}'),
    ],
)
def test_a_short_secret_is_blotted_out_where_it_stands_alone(text: str, masked: str) -> None:
    """A value of less than four characters is held back where it is a word, and other words that hold it stay."""
    assert masker(["7c1"])(text) == masked


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql://shop:hunter2@db/shop", "hunter2"),
        ("redis://:p4ss@cache", "p4ss"),
        ("Authorization: Bearer abcdef0123456789abcdef", "abcdef0123456789abcdef"),
        ('{"Authorization": "Basic dXNlcjpwYXNz"}', "dXNlcjpwYXNz"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----", "MIIE\nabc"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE cut", "MIIE cut"),
        ("key AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("token ghp_" + "a1" * 18, "ghp_"),
        ("glpat-" + "x" * 20, "glpat-x"),
        ("xoxb-123456789012", "xoxb-1"),
        ("sk_live_" + "a" * 24, "sk_live_a"),
        ("AIza" + "b" * 35, "AIzab"),
        ("jwt eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "eyJhbGciOiJI"),
    ],
)
def test_what_looks_like_a_key_is_blotted_out(text: str, secret: str) -> None:
    """A password in an address, a token in a header, a private key and the tokens of common services go, declared or not."""
    redactor = Redactor((), Also.PATTERNS)
    masked = redactor(text)
    assert secret not in masked
    assert MASK in masked
    assert redactor.found == 1
    assert redactor(masked) == masked


@pytest.mark.parametrize(
    "text",
    [
        "the bearer of bad news",
        "http://example.org/a:b@c",
        "2026-01-01T00:00:00Z sha256:0123456789abcdef0123456789abcdef",
        "The authorization was renewed",
    ],
)
def test_prose_stays(text: str) -> None:
    """What is no key stays as it is, and nothing is counted."""
    redactor = Redactor((), Also.PATTERNS)
    assert redactor(text) == text
    assert redactor.found == 0


@given(secret=st.text("abc12", min_size=4, max_size=12), text=st.text("abc12 ", max_size=40), cut=st.integers(0, 52))
def test_of_a_text_that_goes_on_no_more_is_shown_than_in_the_end(secret: str, text: str, cut: int) -> None:
    """What is shown of a text that goes on is the beginning of what is shown of all of it: no piece of a secret is early."""
    told = text + secret
    assert Redactor([secret])(told).startswith(Redactor([secret]).without_a_beginning(told[:cut]))


def test_of_a_text_that_goes_on_all_else_is_shown() -> None:
    """Where the end of a text is the beginning of no secret, all of it is shown."""
    assert Redactor(["correct-horse"]).without_a_beginning("all is well") == "all is well"
    assert Redactor(["correct-horse"]).without_a_beginning("all is correct-") == "all is "


def test_where_taking_in_ended_no_half_of_a_secret_stays() -> None:
    """Of a stream that was cut, neither a secret just before the end nor one that the cut went through is shown in part."""
    secret = "correct-horse-battery-staple"
    for left in range(len(secret) + 1):
        text = f"{'x' * 90}{secret}{'y' * 7}{secret[:left]}"
        (output, marker) = clean_outputs([new_output("stream", name="stdout", text=text)], Redactor([secret]), 500)
        assert output.text == f"{'x' * 90}{MASK}{'y' * 7}" + (MASK if left == len(secret) else "")
        assert "500 characters more were cut here" in marker.text
