"""The bundles that ship: right as they are, over any settings, and different where it matters."""

from itertools import pairwise
from pathlib import Path

import pytest

from actors.rules.policy import Policy
from orchestrator.bundles.differences import SAYS_NOTHING, Difference, differences
from orchestrator.bundles.folder import DEFAULTS, SHIPPED, BundleError, copy_default, read_folder
from orchestrator.bundles.making import SetUp, make
from orchestrator.policy.first import set_up_of
from orchestrator.settings import Settings
from protocol.events import ActivityCarried
from protocol.inbound import ActivityArrived, InteractionBegan, InteractionStopped, MessageArrived
from tests.actors.player import Player

PHONE = "tel:+447700900123"
SETTINGS = {"default settings": set_up_of(Settings()), "no accounts": SetUp(Policy(), {})}


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("given", SETTINGS.values(), ids=SETTINGS)
def test_nothing_is_wrong_with_it(name: str, given: SetUp) -> None:
    """Whatever accounts the settings have."""
    files, wrong = read_folder(SHIPPED / name)
    assert wrong == []
    made = make(files, given)
    assert [str(each) for each in made.wrong] == []
    assert made.policy is not None


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_default_bundle_is_copied_whole_and_over_nothing(name: str, tmp_path: Path) -> None:
    """Into a new folder, whole, and over nothing."""
    folder = tmp_path / "policy"
    assert copy_default(name, folder) == sorted(read_folder(SHIPPED / name)[0])
    assert read_folder(folder) == read_folder(SHIPPED / name)
    with pytest.raises(BundleError, match="has something in it already"):
        copy_default(name, folder)


def test_differences_are_in_words() -> None:
    """Rule by rule, as bundles write them; of what is new, what was written."""
    old, new = (make(files, SETTINGS["no accounts"]).policy for files in (OLD, NEW))
    assert old is not None
    assert new is not None
    assert differences(old, new) == [
        Difference("accounts.yaml: wa.channel", "", "whatsapp"),
        Difference("channels.yaml: sms.rest_after", "1 h 30 min", "2 days"),
        Difference("channels.yaml: whatsapp.account", "", "wa"),
        Difference("general.yaml: attempts_max", "16", "3"),
    ]
    assert differences(new, new) == []


def test_what_reads_alike_is_told_apart() -> None:
    """A word that is written as a switch or a number is, and the three are other defaults."""
    bundle = "templates:\n- channel: chat\n  fields: [{name: urgent, when_missing: default, default: %s}]\n"
    policies = [
        made.policy
        for said in ("yes", "'yes'", "1", "'1'", "1.0")
        if (made := make({"capture.yaml": bundle % said}, SETTINGS["no accounts"])).policy
    ]
    rule = "capture.yaml: templates[chat].fields[urgent].default"
    assert [differences(old, new) for old, new in pairwise(policies)] == [
        [Difference(rule, "yes (a switch)", "yes (a word)")],
        [Difference(rule, "yes", "1")],
        [Difference(rule, "1 (a whole number)", "1 (a word)")],
        [Difference(rule, "1", "1.0")],
    ]


def test_what_is_written_wrongly_and_what_names_nothing_are_told_together() -> None:
    """One round of mending, not two; what names something in a file that cannot be read waits for that file."""
    files = {
        "channels.yaml": "sms:\n  rest_after: 30\n",
        "queues.yaml": "nowhere: service\n",
        "correlation.yaml": "escalating_intents: [complaint]\n",
    }
    wrong = make(files, SETTINGS["no accounts"]).wrong
    assert [each.file for each in wrong] == ["channels.yaml", "correlation.yaml", "queues.yaml"]
    broken = make(files | {"taxonomy.yaml": "topics: [", "accounts.yaml": "wa: 1\n"}, SETTINGS["no accounts"]).wrong
    assert [each.file for each in broken] == ["accounts.yaml", "channels.yaml", "taxonomy.yaml"]


def test_a_list_is_compared_in_its_order() -> None:
    """The second before the tenth."""
    texts = ("windows:\n" + f"  - {{within: {unit}}}\n" * 11 for unit in ("1h", "2h"))
    old, new = (make({"correlation.yaml": text}, SETTINGS["no accounts"]).policy for text in texts)
    assert old is not None
    assert new is not None
    rules = [each.rule for each in differences(old, new)]
    assert rules == [f"correlation.yaml: windows[{number}].within" for number in range(1, 12)]


def test_two_of_one_name_are_compared_each() -> None:
    """A form has a telephone number in two places."""
    text = "templates:\n- channel: form\n  identities:\n  - {kind: tel, found_at: [raw.home]}\n"
    texts = (text + f"  - {{kind: tel, found_at: [raw.{place}]}}\n" for place in ("mobile", "work"))
    old, new = (make({"capture.yaml": each}, SETTINGS["no accounts"]).policy for each in texts)
    assert old is not None
    assert new is not None
    rule = "capture.yaml: templates[form].identities[tel 2].found_at"
    assert differences(old, new) == [Difference(rule, "raw.mobile", "raw.work")]
    one = make({"capture.yaml": text}, SETTINGS["no accounts"]).policy
    assert one is not None
    assert [each.rule for each in differences(new, one)] == [rule, rule.replace("found_at", "kind")]


def test_an_entry_that_says_nothing_is_named() -> None:
    """It is there from now on, though each of its rules is as without it."""
    plain, named = ({"channels.yaml": text} for text in ("sms:\n  rest_after: 90 min\n", NOTHING_SAID))
    old, new = (make(files, SETTINGS["no accounts"]).policy for files in (plain, named))
    assert old is not None
    assert new is not None
    assert differences(old, new) == [Difference("channels.yaml: fax", "", SAYS_NOTHING)]
    assert differences(new, old) == [Difference("channels.yaml: fax", SAYS_NOTHING, "")]


NOTHING_SAID = "sms:\n  rest_after: 90 min\nfax: {}\n"
OLD = {"channels.yaml": "sms:\n  rest_after: 90 min\n"}
NEW = {
    "general.yaml": "attempts_max: 3\n",
    "channels.yaml": "sms:\n  rest_after: 2 days\n",
    "accounts.yaml": "wa:\n  channel: whatsapp\n",
}


def test_what_a_folder_cannot_be(tmp_path: Path) -> None:
    """A file under another ending, one that is no text, no folder at all."""
    (tmp_path / "queues.yml").write_text("")
    (tmp_path / "report.YAML").write_text("")
    (tmp_path / "capture.yaml.txt").write_text("")
    (tmp_path / "capture.yaml.bak").write_text("")
    (tmp_path / ".report.YAML").write_text("")
    (tmp_path / "general.yaml").write_bytes(b"a: b\nc: \xff\n")
    (tmp_path / "README.md").write_text("not a rule")
    files, wrong = read_folder(tmp_path)
    assert files == {}
    assert [str(each) for each in wrong] == [
        "capture.yaml.txt:1: this file is not looked at: rename it to capture.yaml",
        "general.yaml:2: this is not UTF-8: save the file as UTF-8 text",
        "queues.yml:1: this file is not looked at: rename it to queues.yaml",
        "report.YAML:1: this file is not looked at: rename it to report.yaml",
    ]
    with pytest.raises(BundleError, match="is no folder"):
        read_folder(tmp_path / "none")


def test_a_file_that_is_none_of_a_bundle_is_not_read_whole(tmp_path: Path) -> None:
    """An export of a terabyte that somebody put there, of which the disk has no block; it is named."""
    (tmp_path / "accounts.yaml").write_text("# none\n")
    with (tmp_path / "export.yaml").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(BundleError, match=r"have over 524288 bytes.* take away export\.yaml"):
        read_folder(tmp_path)


def test_an_empty_file_may_begin_with_an_editors_mark(tmp_path: Path) -> None:
    """It is empty all the same."""
    (tmp_path / "accounts.yaml").write_bytes(b"\xef\xbb\xbf\r\n")
    [wrong] = read_folder(tmp_path)[1]
    assert "this file is empty" in wrong.text


def test_a_file_that_was_not_saved_is_no_file_without_rules(tmp_path: Path) -> None:
    """An editor on a full disk leaves it empty: applied, it would close the accounts that stood in it. What else cannot
    be read is named as well; one of remarks alone is as it was meant."""
    (tmp_path / "accounts.yaml").write_text(" \n")
    (tmp_path / "channels.yaml").mkdir()
    (tmp_path / "queues.yaml").write_text("# none yet\n")
    files, wrong = read_folder(tmp_path)
    assert set(files) == {"queues.yaml"}
    assert [(each.file, each.text.partition(":")[0]) for each in wrong] == [
        ("accounts.yaml", "this file is empty, as one is that could not be saved"),
        ("channels.yaml", "this cannot be read"),
    ]


NOT_LOOKED_AT = ["channels.txt", "Channels", "channels.yaml.docx", "channels.xlsx", "channels.yaml ", "general.json"]


@pytest.mark.parametrize("name", NOT_LOOKED_AT)
def test_a_file_that_was_saved_as_something_else_is_no_file_that_is_not_there(name: str, tmp_path: Path) -> None:
    """Its subject would be the settings' otherwise; beside the file itself it is somebody's copy."""
    (tmp_path / "queues.yaml").write_text("mail: claims\n")
    (tmp_path / name).write_text("x")
    meant = f"{name.partition('.')[0].lower()}.yaml"
    [wrong] = read_folder(tmp_path)[1]
    assert str(wrong) == f"{name}:1: this file is not looked at: save it as plain text, as {meant}"
    (tmp_path / meant).write_text("# nothing\n")
    assert read_folder(tmp_path)[1] == []


@pytest.mark.parametrize(
    "name", ["channels.yaml.bak", "channels.yaml~", ".channels.yaml.swp", "README.txt", "notes.csv"]
)
def test_what_lies_beside_a_bundle_is_no_mistake(name: str, tmp_path: Path) -> None:
    """An editor's copies, and other documents."""
    (tmp_path / "queues.yaml").write_text("mail: claims\n")
    (tmp_path / name).write_text("x")
    assert read_folder(tmp_path)[1] == []


def test_a_folder_without_a_bundle_is_said_to_be_none(tmp_path: Path) -> None:
    """Applied, it would close every account; and a folder too high says which one was meant."""
    with pytest.raises(BundleError, match=r"there is no \.yaml file in it$"):
        read_folder(tmp_path)
    copy_default("insurer", tmp_path / "policy")
    with pytest.raises(BundleError, match=r"did you mean .*/policy\?"):
        read_folder(tmp_path)


@pytest.mark.parametrize("name", DEFAULTS)
def test_who_looks_at_a_bill_texts_and_calls_is_one_customer_with_one_issue(name: str) -> None:
    """The app, which is trusted, names the phone; whoever takes the call sees the text, and what was looked at."""
    policy = make(read_folder(SHIPPED / name)[0], SETTINGS["no accounts"]).policy
    assert policy is not None
    player = Player(policy)
    app = ActivityArrived(name="page_view", properties={"page": "/bills/7"})
    player.give(player.input(app, channel="app", account="app", identities=("user:ann", PHONE)))
    text = MessageArrived(text="Why so much?")
    opening = player.give(player.input(text, channel="sms", account="sms", identities=(PHONE,)))
    player.give(player.input(InteractionBegan(session="s"), channel="phone", account="pbx", identities=(PHONE,)))
    assert set(player.state.identities) == {"user:ann", PHONE}
    (conversation,) = player.state.kept
    assert [each.channel for each in conversation.interactions] == ["sms", "phone"]
    assert any(isinstance(event, ActivityCarried) for event in opening)


MATTERS = {
    "insurer": ("claim", "C-123456", "My claim C-123456, contract P-12345678", "P-12345678"),
    "utility": ("fault", "FLT-123456", "No power, FLT-123456, contract 412345678", "412345678"),
}
"""A kind of number, one of that kind, words that name it, and the contract that they name, too."""


@pytest.mark.parametrize("name", DEFAULTS)
def test_who_calls_goes_by_what_they_chose_and_typed_in_before(name: str) -> None:
    """The number of an open matter leads to it, also after every window; a choice about another matter does not, though
    both are under one contract."""
    policy = make(read_folder(SHIPPED / name)[0], SETTINGS["no accounts"]).policy
    assert policy is not None
    kind, number, words, contract = MATTERS[name]
    player = Player(policy)

    def calls(session: str, **context: str) -> None:
        ringing = InteractionBegan(session=session, context={"contract": contract, **context})
        player.give(player.input(ringing, channel="phone", account="pbx", identities=(PHONE,)))
        hung_up = InteractionStopped(session=session)
        player.give(player.input(hung_up, channel="phone", account="pbx", identities=(PHONE,)))

    player.message(words, channel="sms", identities=(PHONE,))
    player.pass_time(10 * 24 * 3_600_000)
    calls("1", **{kind: number})
    (conversation,) = player.state.kept
    assert conversation.interactions[-1].reason.startswith(f"both name {kind}")
    calls("2", menu="billing")
    _, bill = player.state.kept
    assert bill.tags is not None
    assert bill.tags.topic is not None
    assert bill.tags.topic.tagger == "channel"
    assert bill.relation is not None
    assert bill.relation.conversation == conversation.id
