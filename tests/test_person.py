"""A person is found by number or user id: plain, dialled from elsewhere, and in the base64 of a message id."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatshooked.meta.person import Person

NUMBER = "4915112345678"
numbers = st.integers(10**9, 10**14).map(str)
anything = st.binary(max_size=12)


@given(numbers, anything, anything)
def test_a_number_is_found_in_the_base64_of_anything(number: str, before: bytes, after: bytes) -> None:
    """Wherever in it the number begins, with whatever around it that is no digit."""
    inside = before.rstrip(b"0123456789") + b"\x18" + number.encode() + b"\x15" + after
    assert Person([number]).is_named(base64.b64encode(inside))
    assert Person([number]).is_named(b"wamid." + base64.urlsafe_b64encode(inside) + b"_a1b2c3d4.jpg")


@given(numbers, numbers, anything)
def test_another_number_is_not_taken_for_it(number: str, other: str, before: bytes) -> None:
    """Not one that differs in its last digit, nor one that holds it."""
    if number in other:
        return
    inside = before.rstrip(b"0123456789") + b"\x18" + other.encode() + b"\x15\x02"
    assert not Person([number]).is_named(base64.b64encode(inside))


@pytest.mark.parametrize(
    "text", [NUMBER, f"+{NUMBER}", f"call 00{NUMBER}!", f"0{NUMBER}", f"011{NUMBER}", f"a{NUMBER}b"]
)
def test_a_number_is_found_as_people_write_it(text: str) -> None:
    """With what is dialled in front of it, or letters around it."""
    assert Person([NUMBER]).is_named(text)


@pytest.mark.parametrize("text", [f"1{NUMBER}", f"{NUMBER}0", f"20{NUMBER}", NUMBER[:-1], "", "no number"])
def test_a_longer_or_shorter_number_is_another(text: str) -> None:
    """Digits beside it make it another one."""
    assert not Person([NUMBER]).is_named(text)


@given(numbers, st.text(max_size=40))
def test_the_quick_look_never_says_no_wrongly(number: str, text: str) -> None:
    """What names the person may be in the block, for each form of it."""
    person = Person([number], ["1790000000000-5"])
    for line in (f"{text}{number}{text}", base64.b64encode(f"\x18{number}\x15{text}".encode()).decode()):
        if person.is_named(line):
            assert person.may_be_in(line.encode())
    assert person.may_be_in(b'{"id":"7-1","event_id":"1790000000000-5"}')
    assert not person.may_be_in(b'{"id":"7-1","event_id":"1790000000000-6"}')


def test_nobody_has_no_name() -> None:
    """A person without a name would be everybody."""
    with pytest.raises(ValueError, match="number or a user id"):
        Person([""])
