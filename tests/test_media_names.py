"""Names, types and headers of stored files, and the signature of links to them."""

import hashlib
import os
import re
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from whatshooked.media import links, names

HASH = hashlib.sha256(b"content").hexdigest()
KEY = b"k" * 32
#: Texts of payloads, with all that makes trouble: lone surrogates, NUL, dots and slashes.
ANY_TEXT = st.text(st.characters(categories=None), max_size=400) | st.text("/.\\\0~a=", max_size=20)
ODD_IDS = [
    "",
    ".",
    "..",
    "a/b",
    "../../etc/passwd",
    "a\0b",
    "-rf",
    ".content",
    "ключ",
    "\ud800",
    "x" * 4000,
    "a b",
    "~",
]


def test_a_usual_name_is_the_contracts() -> None:
    """Message id, eight hex digits, extension; an id of Meta's stands as it is."""
    assert names.filename("wamid.HBgN", HASH, "image/jpeg") == f"wamid.HBgN_{HASH[:8]}.jpg"
    assert names.filename("wamid.HBgN+A==", HASH, "audio/ogg; codecs=opus") == f"wamid.HBgN+A==_{HASH[:8]}.ogg"


@pytest.mark.parametrize(
    ("mime_type", "original", "extension"),
    [
        ("image/jpeg", "", ".jpg"),
        ("IMAGE/WEBP", "", ".webp"),
        ("audio/mp4", "", ".m4a"),
        ("video/3gpp", "", ".3gp"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "", ".docx"),
        ("text/html", "a.jpg", ".html"),
        ("application/octet-stream", "drawing.DWG", ".dwg"),
        ("application/x-never-heard-of", "drawing.dwg", ".dwg"),
        ("application/x-never-heard-of", "drawing.d/../w", ".bin"),
        ("application/x-never-heard-of", "drawing.unreasonable", ".bin"),
        ("../../x", "", ".bin"),
        ("", "", ".bin"),
    ],
)
def test_the_extension_is_the_types(mime_type: str, original: str, extension: str) -> None:
    """Meta's types by their usual name, then what is commonly known, then what the sender calls it."""
    assert names.filename("m", HASH, mime_type, original) == f"m_{HASH[:8]}{extension}"


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_a_name_is_always_one_safe_part_of_a_path(message_id: str, mime_type: str, original: str) -> None:
    """Whatever a payload holds: below 255 bytes with a sidecar's suffix, of harmless characters, and not hidden."""
    name = names.filename(message_id, HASH, mime_type, original)
    assert re.fullmatch(r"[A-Za-z0-9_=+~][A-Za-z0-9._=+~-]*", name)
    assert len(f"{name}.json.{'0' * 20}") < 255
    assert names.is_part(name)
    assert names.is_part(names.account_folder(message_id))
    assert os.path.normpath(f"/a/{name}") == f"/a/{name}"


@given(ANY_TEXT, ANY_TEXT)
def test_two_ids_never_share_a_name(one: str, other: str) -> None:
    """Also where both had to be changed."""
    assert (names.filename(one, HASH, "image/png") == names.filename(other, HASH, "image/png")) == (one == other)
    assert (names.account_folder(one) == names.account_folder(other)) == (one == other)


def test_an_id_that_looks_like_a_changed_one_is_changed_too() -> None:
    """Whoever knows the rule cannot write an id that meets another's name."""
    found = {names.filename(odd, HASH, "image/png") for odd in ODD_IDS}
    assert len(found) == len(ODD_IDS)
    forged = {name.rpartition("_")[0] for name in found}
    assert not found & {names.filename(one, HASH, "image/png") for one in forged}


@pytest.mark.parametrize("account_id", ["business", "My Shop", "Müller & Söhne", "shop:1"])
def test_an_accounts_folder_is_its_id(account_id: str) -> None:
    """Where the earlier program has it, and people look for it."""
    assert names.account_folder(account_id) == account_id


@pytest.mark.parametrize("text", ["", ".", "..", ".about", "a/b", "a\0", "a\n", "\ud800", "x" * 251, "é" * 126])
def test_what_is_no_part_of_a_path(text: str) -> None:
    """Nothing hidden, nothing that leads elsewhere, nothing a file system cannot hold."""
    assert not names.is_part(text)


@pytest.mark.parametrize(
    ("mime_type", "kind"),
    [
        ("image/jpeg", "inline"),
        ("image/PNG; x=y", "inline"),
        ("audio/ogg; codecs=opus", "inline"),
        ("video/mp4", "inline"),
        ("application/pdf", "inline"),
        ("image/svg+xml", "attachment"),
        ("text/html", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("text/xml", "attachment"),
        ("text/plain", "attachment"),
        ("", "attachment"),
        ("image/jpeg, text/html", "attachment"),
    ],
)
def test_only_what_runs_nothing_is_shown_in_a_browser(mime_type: str, kind: str) -> None:
    """Raster images, audio, video and PDF; HTML and SVG above all are not."""
    assert names.disposition("", mime_type) == kind
    assert names.disposition("a.html", mime_type) == f'{kind}; filename="a.html"'


def test_the_name_for_people_is_sanitised() -> None:
    """No path, no quote, no line end, no text that runs backwards; what is not ASCII also in full."""
    assert names.disposition('../a"b\r\nSet-Cookie: x', "text/plain") == 'attachment; filename="_a_bSet-Cookie_ x"'
    assert names.disposition("photo\u202egpj.exe", "text/plain") == 'attachment; filename="photogpj.exe"'
    found = names.disposition("Übersicht 50%.pdf", "application/pdf")
    assert found == "inline; filename=\"_bersicht 50_.pdf\"; filename*=UTF-8''%C3%9Cbersicht%2050%25.pdf"
    assert names.shown("a" * 500 + ".pdf") == "a" * 116 + ".pdf"


@given(ANY_TEXT, ANY_TEXT)
def test_headers_hold_nothing_but_printable_ascii(original: str, mime_type: str) -> None:
    """And the name in full is the one that is shown."""
    for value in (names.disposition(original, mime_type), names.sendable_type(mime_type)):
        assert re.fullmatch(r"[ -~]+", value)
    found = re.search(r"filename\*=UTF-8''(\S+)$", names.disposition(original, mime_type))
    if found:
        assert unquote(found[1]) == names.shown(original)


@given(ANY_TEXT)
def test_a_bucket_has_one_label_for_one_type_and_name(original: str) -> None:
    """It is one safe part of a path."""
    assert re.fullmatch(r"[0-9a-f]{16}\.[a-z0-9]+", names.label("image/png", original))
    assert names.label("image/png", original) == names.label("image/png", original)
    assert names.label("image/png", original) != names.label("text/html", original)


def test_a_link_holds_until_its_time_is_over() -> None:
    """It carries the address, the time and the signature; without a time it wants credentials."""
    made = links.link("http://h:1/", "My Shop", "a+b=.jpg", key=KEY, expires=1000)
    parts = urlsplit(made)
    assert (parts.path, parts.netloc) == ("/api/media/My%20Shop/a%2Bb%3D.jpg", "h:1")
    query = parse_qs(parts.query)
    given_ = query["expires"][0], query["signature"][0]
    assert links.holds(KEY, "My Shop", "a+b=.jpg", *given_, 999.9)
    assert not links.holds(KEY, "My Shop", "a+b=.jpg", *given_, 1000.0)
    assert links.link("http://h/p", "a", "b", key=KEY, expires=None) == "http://h/p/api/media/a/b"


PARTS = st.tuples(ANY_TEXT, ANY_TEXT, st.integers(0, 10**12 - 1))


@given(PARTS, PARTS, st.binary(min_size=1))
@example(("a/b", "c", 1), ("a", "b/c", 1), KEY)
@example(("a", "b:1", 2), ("a", "b", 12), KEY)
def test_a_link_holds_for_nothing_else(one: tuple[str, str, int], other: tuple[str, str, int], key: bytes) -> None:
    """Another account, file, time or key breaks it, also where one part ends as the next begins."""
    signature = links.sign(KEY, *one)
    account, filename, expires = other
    assert links.holds(KEY, account, filename, str(expires), signature, -1.0) == (one == other)
    assert links.holds(key, one[0], one[1], str(one[2]), signature, -1.0) == (key == KEY)


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_link_holds_only_as_it_was_written(expires: str, signature: str) -> None:
    """Whatever stands there in its place is no error."""
    right = links.sign(KEY, "a", "f", 1000)
    assert links.holds(KEY, "a", "f", expires, right, 0.0) == (expires == "1000")
    assert links.holds(KEY, "a", "f", "1000", signature, 0.0) == (signature == right)
    for odd in ("01000", "+1000", "1000 ", "1_000", "\u0661000", "1e3", "", "9" * 5000):
        assert not links.holds(KEY, "a", "f", odd, right, 0.0)


def test_a_name_does_not_depend_on_the_machine() -> None:
    """The types of this system are not asked: a file would have another name elsewhere."""
    assert names.extension("application/x-7z-compressed-of-nobody") == ".bin"
    assert names.type_of("A.JPG") == "image/jpeg"
    assert names.type_of("a.html") == "text/html"
    assert names.type_of("nothing") == names.UNKNOWN_TYPE
