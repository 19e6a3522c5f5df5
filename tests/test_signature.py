"""X-Hub-Signature-256 over the raw bytes."""

import pytest

from whatshooked.meta.signature import Signer, Verdict, sign

KEY = "test_app_secret"
# Made outside of this code; the third body is ASCII as Meta's serialiser writes it, the fourth raw UTF-8.
VECTORS = [
    (
        b'{"object":"whatsapp_business_account","entry":[]}',
        "dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756",
    ),
    (
        b'{"object": "whatsapp_business_account", "entry": []}',
        "56cbbaf4961c6cfdae48b7f116c047e5eb513d2c931baae63a2bc1afd26f803a",
    ),
    (
        rb'{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":'
        rb'{"t":"\u00e4\u00f6 a\u0040b.c https:\/\/x.y \ud83d\ude00"}}]}]}',
        "0b5785e1a97c1adaee39466e4d59292b899569babc6cda87174552e7a68f4e36",
    ),
    (
        '{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":'
        '{"t":"äö a@b.c https://x.y 😀"}}]}]}'.encode(),
        "8f9f343f2019ce30fccc79a6c05cf07f7aed328a04328619880da6bbf409e155",
    ),
]
BODY, DIGEST = VECTORS[0]


@pytest.mark.parametrize(("body", "digest"), VECTORS)
def test_vectors(body: bytes, digest: str) -> None:
    """The four known signatures are made and accepted, and none of them for another body."""
    assert sign(body, KEY) == f"sha256={digest}"
    assert Signer([KEY]).check(body, f"sha256={digest}") is Verdict.OK
    assert Signer([KEY]).check(body + b"\n", f"sha256={digest}") is Verdict.WRONG


def test_either_of_two_secrets() -> None:
    """While a secret is being replaced both count; a third does not."""
    signer = Signer(["new", "old"])
    assert signer.check(BODY, sign(BODY, "new")) is Verdict.OK
    assert signer.check(BODY, sign(BODY, "old")) is Verdict.OK
    assert signer.check(BODY, sign(BODY, "other")) is Verdict.WRONG


def test_one_signer_checks_many_bodies() -> None:
    """A check leaves nothing behind that would spoil the next."""
    signer = Signer([KEY])
    assert [signer.check(body, f"sha256={digest}") for body, digest in VECTORS * 2] == [Verdict.OK] * 8


@pytest.mark.parametrize("header", [None, ""])
def test_missing(header: str | None) -> None:
    """No header is told from a wrong one: the answers differ (401 and 403)."""
    assert Signer([KEY]).check(BODY, header) is Verdict.MISSING


@pytest.mark.parametrize(
    "header",
    [
        DIGEST,
        "sha1=fc5983fdf1a4e15c8949b8af05322fede4063d27",
        "sha256=",
        f"sha256={DIGEST[:-1]}",
        f"sha256={DIGEST}0",
        f"sha256={'0' * 64}",
        "sha256=" + "ä" * 64,
        f"SHA256={DIGEST}",
    ],
)
def test_wrong(header: str) -> None:
    """Nothing but the whole sha256 digest behind its prefix is accepted, and no header makes the check fail."""
    assert Signer([KEY]).check(BODY, header) is Verdict.WRONG


def test_upper_case_digits() -> None:
    """Hex digits count in either case."""
    assert Signer([KEY]).check(BODY, f"sha256={DIGEST.upper()}") is Verdict.OK


def test_no_secret_accepts_nothing() -> None:
    """A signer without secrets is no open door, and an empty secret is refused."""
    assert Signer([]).check(BODY, sign(BODY, KEY)) is Verdict.WRONG
    with pytest.raises(ValueError, match="empty"):
        Signer([KEY, ""])


def test_secret_is_not_shown() -> None:
    """A secret cannot reach a log by way of the signer's repr."""
    assert KEY not in repr(Signer([KEY]))
