"""Whom a message goes to, by what stands under `to`."""

import pytest

from whatshooked.meta import phone
from whatshooked.meta.send import prepare

NUMBERS = [
    # country code, as written, digits that Meta gets
    ("1", "+16505551234", "16505551234"),
    ("1", "(650) 555-1234", "16505551234"),
    ("1", "650.555.1234", "16505551234"),
    ("+1", "6505551234", "16505551234"),
    ("1", "011 49 151 12345678", "4915112345678"),
    ("1", "0049 151 12345678", "4915112345678"),
    ("49", "0151 12345678", "4915112345678"),
    ("49", "0151/123 456-78", "4915112345678"),
    ("49", "15112345678", "4915112345678"),
    ("49", "+49 (0)151 12345678", "4915112345678"),
    ("49", "\u202a+49\u00a0151\u201112345678\u202c", "4915112345678"),
    ("39", "06 1234 5678", "390612345678"),
    ("1", "+39 06 1234 5678", "390612345678"),
    ("55", "(11) 98765-4321", "5511987654321"),
    ("55", "011 98765-4321", "5511987654321"),
    ("55", "55987654321", "5555987654321"),
    ("52", "55 1234 5678", "525512345678"),
    ("54", "011 15 1234-5678", "5491112345678"),
    ("91", "9198765432", "919198765432"),
]
#: As webhooks show them: Brazil with and without its 9, Mexico with and without its 1, Argentina, and made-up ones.
SHOWN = (
    *("5511987654321", "551187654321", "5215512345678", "525512345678", "5491112345678", "541112345678"),
    *("16505551234", "4915112345678", "4930000001", "919876543210", "8613800138000", "393331234567"),
)


@pytest.mark.parametrize(("code", "written", "digits"), NUMBERS)
def test_numbers_as_people_write_them(code: str, written: str, digits: str) -> None:
    """A number written nationally gets the default country, one with + or 00 never does."""
    assert phone.normalise(written, code) == digits
    assert phone.kind(written) == "phone"
    assert prepare({"to": written, "text": "hi"}, country_code=code).to == digits


@pytest.mark.parametrize("code", ["1", "49", "55", "52", "54", "44", "91"])
@pytest.mark.parametrize("shown", SHOWN)
def test_numbers_as_webhooks_show_them(code: str, shown: str) -> None:
    """A whole number in bare digits is taken as it is, whatever the default country, with and without the plus."""
    assert phone.normalise(shown, code) == shown
    assert phone.normalise(f"+{shown}", code) == shown


def test_examples_that_are_no_numbers() -> None:
    """Made-up numbers of examples and tests go as they are where they could be whole."""
    for made_up in ("1234567890", "15550001111", "+1234567890", "4915100002"):
        assert phone.normalise(made_up, "1") == made_up.lstrip("+")
    assert phone.normalise("4915100002", "49") == "4915100002"


@pytest.mark.parametrize("wrong", ["", "hello", "1-800-FLOWERS", "+", "+4917", "+999123456789", "12", "9" * 40, "us.1"])
def test_what_is_no_recipient(wrong: str) -> None:
    """What is neither number, user id nor group id is refused with what was expected, and is not quoted."""
    with pytest.raises(ValueError, match="country code") as caught:
        phone.normalise(wrong, "1")
    assert len(wrong) < 5 or wrong not in str(caught.value)
