"""Contacts of the past: a file in, inbound events out; a file that does not fit is told where."""

import time

import pytest

from adapters.past import BadPast, read_csv, read_json_lines
from protocol.entities import Direction
from protocol.inbound import TEXT_MAX, PastConversation, PastMessage
from tests.adapters.past_files import AT_MS, GIVEN, contacts, fault, past


def test_identities_are_a_list_by_either_name() -> None:
    """Or words with spaces between."""
    forms = ('"identity": ["user:1", "crm:2"]', '"identities": ["user:1", "crm:2"]', '"identity": "user:1 crm:2"')
    lines = [f'{{"id": {n}, "at": 1700000000000, {form}}}' for n, form in enumerate(forms)]
    read = contacts(read_json_lines(lines, **GIVEN))
    assert [contact.identities for contact in read] == [["user:1", "crm:2"]] * 3


def test_a_number_may_have_blanks() -> None:
    """As people write it; another address begins with its kind."""
    text = "id,identity,at\n1, tel:07700 900 123  mailto:ann@example.org ,1700000000000\n"
    [one] = contacts(read_csv(text.splitlines(keepends=True), **GIVEN))
    assert one.identities == ["tel:07700 900 123", "mailto:ann@example.org"]


def test_an_address_of_blanks_takes_no_time() -> None:
    """Whoever filled in the form that the file was made of could hold its import for minutes."""
    text = f"id,identity,at\n1,user:1{' ' * 60_000}x,1700000000000\n"
    began_s = time.thread_time()
    [one] = contacts(read_csv(text.splitlines(keepends=True), **GIVEN))
    assert len(one.identities) == 1
    assert time.thread_time() - began_s < 1


def test_rows_without_anything_are_left_out() -> None:
    """Spreadsheets leave them, at the end and in between; the rows around are of one contact all the same."""
    text = "id,identity,at,text\n1,user:1,1700000000000,a\n,,,\n1,,1700000000000,b\n,,\n,,,\n"
    [one] = contacts(read_csv(text.splitlines(keepends=True), **GIVEN))
    assert [message.text for message in past(one).messages] == ["a", "b"]


CSV = """id,identity,channel,at,ended_at,subject,queue,direction,author,text
1,mailto:ann@example.org tel:+447700900123,,2023-11-14T22:13:20Z,2023-11-14T23:13:20Z,Bill,bills,inbound,,"My bill,
is wrong"
1,,,2023-11-14T23:13:20+01:00,,,,outbound,bo,Which?
2,tel:+447700900123,sms,1700000000000,,,,,,Hi
"""


def test_csv_rows_of_one_id_are_one_contact() -> None:
    """The first row has the contact's own fields; text may have commas and lines."""
    one, two = contacts(read_csv(CSV.splitlines(keepends=True), **GIVEN))
    assert (one.id, one.account, one.channel, one.source, one.time_ms) == ("1", "mail", "email", "old", AT_MS)
    assert one.identities == ["mailto:ann@example.org", "tel:+447700900123"]
    assert past(one) == PastConversation(
        messages=[
            PastMessage(at_ms=AT_MS, text="My bill,\nis wrong"),
            PastMessage(at_ms=AT_MS, text="Which?", direction=Direction.OUTBOUND, author="bo"),
        ],
        subject="Bill",
        queue="bills",
        ended_ms=AT_MS + 3_600_000,
    )
    assert (two.id, two.channel, two.time_ms, past(two).messages[0].text) == ("2", "sms", AT_MS, "Hi")


def test_json_lines_are_a_contact_a_line() -> None:
    """With messages, with one text, or without a word; without an offset a time is UTC."""
    lines = [
        '{"id": 7, "identities": ["user:1"], "at": "2023-11-14T22:13:20",'
        ' "messages": [{"at": 1700000000001, "text": "a"}]}',
        "",
        '{"id": "8", "identity": "user:1", "at": 1700000000000, "text": "b", "direction": "outbound", "author": "bo"}',
        '{"id": "9", "identity": "user:1", "at": 1700000000000, "channel": "phone"}',
    ]
    one, two, three = contacts(read_json_lines(lines, **GIVEN))
    assert (one.id, one.time_ms, past(one).messages) == ("7", AT_MS, [PastMessage(at_ms=AT_MS + 1, text="a")])
    assert past(two).messages == [PastMessage(at_ms=AT_MS, text="b", direction=Direction.OUTBOUND, author="bo")]
    assert (three.channel, past(three).messages) == ("phone", [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,identity,at\n1,user:1\n", "line 2: it has not as many fields"),
        ("id,identity,at\n1,user:1,noon\n", "line 2: at is 'noon'; write 2026-11-25"),
        ("id,identity,at,txt\n1,user:1,1700000000000,x\n", "line 1: there is no field 'txt'; known are at"),
        ("id;identity;at\n1;user:1;1700000000000\n", "line 1: fields are separated by commas"),
        ("id|identity|at\n1|user:1|1700000000000\n", "line 1: fields are separated by commas"),
        ("sep=,\nid,identity,at\n", "line 1: 'sep=' is for spreadsheets alone: take the line away"),
        (
            "id,identity,at,,\n1,user:1,1700000000000,,\n",
            "line 1: field 4 has no name: give it one, or take the column",
        ),
        ("id,identity,at\n,user:1,1700000000000\n", "line 2: id is missing"),
        (
            "id,identity,at\n1,user:1,1700000000\n",
            "line 2: at is 1700000000, which seem to be seconds since 1970; write milliseconds: 1700000000000",
        ),
        ("id,identity,at\n1,,1700000000000\n", "line 2: identity is missing"),
        ("id,identity,at,text,direction\n1,user:1,1700000000000,x,in\n", "line 2: direction is 'in'; write inbound"),
        (
            'id,identity,at\n1,"user:1,1700000000000\n',
            "line 2: a quote that opens here or in a line above is not closed",
        ),
        ("id,identity,at,text,text\n1,user:1,1700000000000,x,y\n", "line 1: there are two fields 'text'"),
    ],
)
def test_a_fault_in_csv_names_its_line(text: str, said: str) -> None:
    """And what to write instead."""
    assert said in fault(lambda: read_csv(text.splitlines(keepends=True), **GIVEN))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", "line 1: it is no JSON object"),
        ("[]", "line 1: it is no JSON object"),
        ('{"id": ' + "[" * 100_000, "line 1: it is no JSON object: lists or objects stand too deep in each other"),
        ('{"id": 1, "identity": "user:1", "at": 1, "messages": 2}', "line 1: messages must be a list"),
        ('{"id": 1, "identity": "user:1", "at": {}}', "line 1: at is '{}'; write"),
        ('{"id": 1, "identity": "user:1", "at": 9007199254740992}', "line 1: at is '9007199254740992'; write"),
        (f'{{"id": 1, "identity": "user:1", "at": "{"9" * 5000}"}}', "line 1: at is '999"),
        ('{"id": 1, "identity": "user:1", "at": 1, "messages": [{"text": "x"}]}', "line 1: at is ''"),
        ('{"id": 1, "identity": "user:1", "at": 170000000}', "line 1: at is 170000000, which seem to be seconds"),
        ('{"id": 1, "identity": "user:1", "at": true}', "line 1: at is 'True'; write"),
        ('{"id": "\\ud800"}', "line 1: it is no JSON object: a string has half of a surrogate pair"),
        ('{"id": 1, "identity": "user:1", "at": 1, "text": "x", "messages": []}', "text stands beside messages"),
        (
            '{"id": 1, "identity": "user:1", "at": 1, "messages": [{"at": 1, "body": "x"}]}',
            "1: there is no field 'body'",
        ),
        ('{"id": {}, "identity": "user:1", "at": 1}', "line 1: id must be a text"),
        ('{"id": 1, "identity": {"a": 1}, "at": 1}', "line 1: identity must be a text"),
        ('{"id": 1, "identity": ["user:1", ["user:2"]], "at": 1}', "line 1: identity must be a text"),
        ('{"id": 1, "identity": "user:1", "at": 1, "subject": ["x"]}', "line 1: subject must be a text"),
        ('{"id": 1, "identity": "user:1", "at": 1, "text": ["x"]}', "line 1: text must be a text"),
    ],
)
def test_a_fault_in_json_lines_names_its_line(line: str, said: str) -> None:
    """Whatever stands there."""
    assert said in fault(lambda: read_json_lines([line], **GIVEN))


def test_a_text_of_csv_may_be_as_long_as_a_message() -> None:
    """One that is longer is the server's to refuse, and does not keep the others out."""
    rows = "".join(
        f"{n},user:1,1700000000000,{'x' * length}\n" for n, length in ((1, TEXT_MAX), (2, 2 * TEXT_MAX), (3, 1))
    )
    read = contacts(read_csv(f"id,identity,at,text\n{rows}".splitlines(keepends=True), **GIVEN))
    assert [len(past(contact).messages[0].text) for contact in read] == [TEXT_MAX, 2 * TEXT_MAX, 1]


def test_all_that_is_wrong_in_a_file_is_told_in_one_go() -> None:
    """In the contacts' places, and the others are read."""
    text = "id,identity,at\n1,user:1,1700000000000\n2,user:2,noon\n3,user:3,1700000000000,x\n"
    read = list(read_csv(text.splitlines(keepends=True), **GIVEN))
    assert [str(each) if isinstance(each, BadPast) else each.id for each in read] == [
        "1",
        "line 3: at is 'noon'; write 2026-11-25T08:30:00Z or milliseconds since 1970",
        "line 4: it has not as many fields as the header",
    ]
    lines = ["nonsense", '{"id": 1, "identity": "user:1", "at": 1}', "[]"]
    assert [isinstance(each, BadPast) for each in read_json_lines(lines, **GIVEN)] == [True, False, True]


def test_of_two_contacts_of_json_lines_under_one_id_the_second_is_told() -> None:
    """The same one twice is one, as it is for the server."""
    line = '{"id": "1", "identity": "user:1", "at": 1700000000000, "text": "hello"}'
    lines = [line, line.replace("hello", "more"), line, line.replace('"1"', '"2"')]
    read = list(read_json_lines(lines, **GIVEN))
    assert [str(each) if isinstance(each, BadPast) else each.id for each in read] == [
        "1",
        "line 2: line 1 has another contact under its id, '1': give each its own",
        "1",
        "2",
    ]


def test_of_a_contact_whose_rows_stand_apart_no_part_is_taken_in() -> None:
    """Half of it would be another contact than the whole, once the file is in order; what else is wrong is told too."""
    ids = ("1", "1", "2", "1", "", "3", "", "1")
    text = "id,identity,at\n" + "".join(f"{id},user:1,1700000000000\n" for id in ids) + "1,user:1\n"
    read = list(read_csv(text.splitlines(keepends=True), **GIVEN))
    assert [str(each) if isinstance(each, BadPast) else each.id for each in read] == [
        "line 2: rows of '1' stand in line 5 too; those of one contact follow each other",
        "2",
        "line 6: id is missing",
        "3",
        "line 8: id is missing",
        "line 10: it has not as many fields as the header",
    ]
