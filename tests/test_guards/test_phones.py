"""Phone numbers by rule: every country's forms, labels before and after, and what is none."""

import phonenumbers
import pytest

from genai.text.phones import find_phones
from genai.text.pii import find_pii

KINDS = ["email", "phone", "card", "iban", "national_id", "ip", "url", "date"]
TYPES = (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE)


def every_country(form: int) -> list[str]:
    """Give an example number of each country and kind in a form, of seven digits or more."""
    numbers = [
        phonenumbers.example_number_for_type(region, kind)
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        for kind in TYPES
    ]
    written = [phonenumbers.format_number(number, form) for number in numbers if number]
    return [each for each in written if sum(map(str.isdigit, each)) >= 7]


def found(text: str) -> list[str]:
    return [text[s.start : s.end] for s in find_pii(text, KINDS) if s.kind == "phone"]


@pytest.mark.parametrize(
    ("frame", "form", "least"),
    [
        ("I live abroad: {}, so wait.", phonenumbers.PhoneNumberFormat.INTERNATIONAL, 1.0),
        ("({})", phonenumbers.PhoneNumberFormat.E164, 1.0),
        ("Call me at {}.", phonenumbers.PhoneNumberFormat.NATIONAL, 0.99),
        ("Ann Long\nACME Ltd\n{}-Office", phonenumbers.PhoneNumberFormat.NATIONAL, 0.99),
        ("Fax: {}", phonenumbers.PhoneNumberFormat.NATIONAL, 0.99),
        ("Please change {} today.", phonenumbers.PhoneNumberFormat.NATIONAL, 0.70),
    ],
)
def test_numbers_of_every_country_are_found_exactly(frame: str, form: int, least: float) -> None:
    numbers = every_country(form)
    assert len(numbers) > 400
    exact = [number for number in numbers if found(frame.format(number)) == [number]]
    assert len(exact) >= least * len(numbers), set(numbers) - set(exact)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("My number is 0501234567, thanks.", "0501234567"),
        ("0501234567 (mobile)", "0501234567"),
        ("t: 9472 7916", "9472 7916"),
        ("either 415-555-2671 or 9472 7916", "415-555-2671|9472 7916"),
        ("(020 7946 0958)", "020 7946 0958"),
        ("(415) 555-2671", "(415) 555-2671"),
        ("(415)555-2671", "(415)555-2671"),
        ("+49 (0)30 123456", "+49 (0)30 123456"),
        ("01.84.17.61.18", "01.84.17.61.18"),
        ("Mobil 0176/12345678", "0176/12345678"),
        ("abends 030/901820", "030/901820"),
        ("Rufnummer 030 1234567", "030 1234567"),
        ("Tel. 8 804 190", "8 804 190"),
        ("tel.0494\u00a092\u00a082\u00a032", "0494\u00a092\u00a082\u00a032"),
    ],
)
def test_forms_people_write(text: str, number: str) -> None:
    assert found(text) == number.split("|")


@pytest.mark.parametrize(
    "text",
    [
        "I called about order 12345678.", "invoice no. 2045 3701 22", "pp. 1054-1062", "2013-2015",
        "as shown before (16) (17) (18) (19)", "95% CI: 1.58-25.00", "Regulation 2024/1689",
        "doi:10.1001/jama.2020.1585", "1 250 000 people", "EUR 12.345.678", "2000-04-16 11:34:35",
        "ISBN 978-3-16-148410-0", "the zip is 04101-1234", "1/100 000 cells", "room 12 204 3301",
        "call 123-45-6789", "from 10.12.14.16", "7943 2027 Prospect St",
        "Bestellnummer: 4711 0815 22", "Ihre Kundennummer lautet 030 1234567.",
        "Die 8 804 190 Leute", "Kunden-Nr.: 0301 234567", "Rechnungsnummer 0301-234567",
    ],
)  # fmt: skip
def test_other_digits_are_no_phone(text: str) -> None:
    assert found(text) == []


def test_a_long_run_of_digits_is_looked_at_once() -> None:
    assert list(find_phones("1 " * 500_000)) == []
