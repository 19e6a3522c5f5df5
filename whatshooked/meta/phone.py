"""To whom a message goes: a phone number, a user id or a group id.

Phone numbers come as people write them and as Meta shows them, and both must reach the same person:

- With `+` or `00` in front a number is international.
- With `0` in front it is national, of the country whose calling code is the default.
- Bare digits that are a whole international number stay as they are: webhooks show numbers so, and replies use them.
- Other bare digits are national where that makes a valid number. If it does not, they stay as they are when they have
  the default code in front or the length of a number of the country they name; else they are national.

Digits are never rewritten but for a trunk prefix (`+44 (0)20`), since WhatsApp keeps forms that numbering plans have
given up: Brazil's mobile numbers without their 9, Mexico's with a 1.
"""

import re
from typing import Literal

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberType, ValidationResult

Kind = Literal["phone", "user", "group"]

EXPECTED = "a phone number with its country code such as +4915112345678, a user id such as US.1349 or a group id"

#: What people and address books write between digits, invisible marks of the text's direction among it.
_BETWEEN = " ().-/\t\u00a0\u00ad\u2007\u2009\u202f\u2212\ufeff"
_MARKS: dict[int, str | None] = {ord(mark): None for mark in _BETWEEN}
_MARKS |= dict.fromkeys((*range(0x200B, 0x2016), *range(0x202A, 0x202F), *range(0x2060, 0x206A)))
_MARKS[0xFF0B] = "+"  # the full-width plus

_user = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
_group = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_=+/]{6,128}|[0-9-]{6,64}@g\.us")
_phone = re.compile(r"\+?\d{1,32}")
#: Whole numbers by E.164: country code and at most 15 digits.
_e164 = re.compile(r"[1-9][0-9]{6,14}")
_kept_forms = ((re.compile(r"55([1-9]{2})([6-9][0-9]{7})"), r"55\g<1>9\g<2>"), (re.compile(r"521([0-9]{10})"), r"52\1"))
_MOBILE = (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE)


def kind(to: str) -> Kind:
    """Return what a recipient is by its looks; what is neither a phone number nor a user id counts as a group's id."""
    if _phone.fullmatch(to.translate(_MARKS)):
        return "phone"
    return "user" if _user.fullmatch(to) else "group"


def bare(to: str) -> str:
    """Return a recipient without the marks people write into numbers, and without the plus."""
    return to.translate(_MARKS).removeprefix("+")


def normalise(to: str, country_code: str) -> str:
    """Return a phone number's digits in E.164 without the plus; user and group ids as they are.

    `country_code` is the calling code of numbers written without one. Raises ValueError, which names what was
    expected and not the number.
    """
    found = kind(to)
    if found == "user" or (found == "group" and _group.fullmatch(to)):
        return to
    if found == "group":
        raise ValueError(f"expected {EXPECTED}")
    number = to.translate(_MARKS)
    digits = str(phonenumbers.normalize_digits_only(number))
    code = bare(country_code).lstrip("0")
    if number.startswith("+"):
        return _international(digits)
    return _national_by_zero(digits, code) if digits.startswith("0") else _undecided(digits, code)


def _international(digits: str) -> str:
    number = _parsed("+" + digits)
    if number is None or not _e164.fullmatch(digits):
        raise ValueError(f"expected {EXPECTED}: this is no country's number")
    trunk = digits.removeprefix(str(number.country_code)).startswith("0")
    return _digits(number) if trunk else digits


def _national_by_zero(digits: str, code: str) -> str:
    number = _national(digits, code)
    if number is not None and phonenumbers.is_possible_number(number):
        return _digits(number)
    if digits.startswith("00"):
        return _international(digits[2:])
    raise ValueError(_no_number_of(code))


def _undecided(digits: str, code: str) -> str:
    """Return the number of bare digits, by the rules at the head of this module."""
    if _is_number(digits):
        return digits
    number = _national(digits, code)
    whole = _e164.fullmatch(digits) is not None
    has_code = whole and bool(code) and digits.startswith(code)
    if number is not None and phonenumbers.is_valid_number(number) and (not has_code or _is_mobile(number)):
        return _digits(number)
    if has_code or (whole and _is_possible(_parsed("+" + digits))):
        return digits
    if number is not None and _is_possible(number):
        return _digits(number)
    raise ValueError(_no_number_of(code))


def _is_number(digits: str) -> bool:
    """Whether these are the digits of an international number, in its plan's form or in one that WhatsApp kept."""
    forms = [digits, *(form.sub(whole, digits) for form, whole in _kept_forms if form.fullmatch(digits))]
    numbers = [_parsed("+" + form) for form in forms]
    return any(number is not None and phonenumbers.is_valid_number(number) for number in numbers)


def _is_mobile(number: PhoneNumber) -> bool:
    """Whether people may write the number without a 0: what has the code in front already is no landline by chance."""
    return phonenumbers.number_type(number) in _MOBILE


def _is_possible(number: PhoneNumber | None) -> bool:
    reason = ValidationResult.INVALID_LENGTH if number is None else phonenumbers.is_possible_number_with_reason(number)
    return reason == ValidationResult.IS_POSSIBLE


def _national(digits: str, code: str) -> PhoneNumber | None:
    """Return the number that somebody in the default country would reach by these digits."""
    if not (code.isascii() and code.isdecimal() and len(code) <= 3):
        return None
    region = phonenumbers.region_code_for_country_code(int(code))
    return _parsed("+" + code + digits) if region in ("ZZ", "001") else _parsed(digits, region)


def _parsed(number: str, region: str | None = None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None


def _digits(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164).removeprefix("+")


def _no_number_of(code: str) -> str:
    return f"expected {EXPECTED}: without +, it is no number of the default country code {code or '(none)'} either"
