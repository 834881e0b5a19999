"""Remarks: what is asked about: names that may be any word and look mistyped, and lines that change their channel."""

from pathlib import Path

import pytest

from actors.rules.policy import ChannelRules, Policy
from orchestrator.bundles.folder import copy_default, read_folder
from orchestrator.bundles.making import SetUp, make

GIVEN = SetUp(Policy(), {"mail": ("email", "email"), "chat": ("gateway", "chat")})

TABLE: list[tuple[str, dict[str, str], list[str]]] = [
    (
        "an account's queue",
        {"queues": "chat: claims\nmail: clamis\n", "handoffs": "members:\n  claims: [ann]\n"},
        ["queues.yaml:2: the queue 'clamis' is named nowhere else: is it another one than 'claims'?"],
    ),
    (
        "two that are named once each: at the owner's own",
        {"queues": "mail: clamis\n", "handoffs": 'kinds:\n  a:\n    to: ["queue:claims"]\n'},
        ["queues.yaml:1: the queue 'clamis' is named nowhere else: is it another one than 'claims'?"],
    ),
    (
        "where an offer goes",
        {"general": "queue_default: service\n", "handoffs": 'kinds:\n  a:\n    to: ["queue:serivce"]\n'},
        ["handoffs.yaml:3: the queue 'serivce' is named nowhere else: is it another one than 'service'?"],
    ),
    (
        "two that are near and named more than once",
        {"queues": "chat: bills\nmail: bill\n", "handoffs": "members: {bill: [], bills: []}\n"},
        [],
    ),
    ("two tiers", {"queues": "chat: tier1\nmail: tier2\n"}, []),
    ("a queue and its lead", {"queues": "chat: claims\nmail: claims-lead\n"}, []),
    (
        "a channel in every place",
        {
            "channels": "emial: {}\n",
            "capture": "templates:\n  - channel: chatt\n",
            "context": "carries:\n  smss: [normal]\nfallback:\n  sms: emial\nswitches:\n  sms to phon: {}\n",
            "correlation": "windows:\n  - {earlier: ap, within: 2h}\n",
        },
        [
            "capture.yaml:2: no account serves a channel 'chatt': did you mean 'chat'?",
            "channels.yaml:1: no account serves a channel 'emial': did you mean 'email'?",
            "context.yaml:2: no account serves a channel 'smss': did you mean 'sms'?",
            "context.yaml:4: no account serves a channel 'emial': did you mean 'email'?",
            "context.yaml:6: no account serves a channel 'phon': did you mean 'phone'?",
            "correlation.yaml:2: no account serves a channel 'ap': did you mean 'app'?",
        ],
    ),
    (
        "a channel that is meant for all of them",
        {
            "channels": "Default: {}\n",
            "context": "carries:\n  any: [normal]\nfallback:\n  sms: all\n"
            "switches:\n  any to phone: {}\n  all to sms: {}\n",
            "correlation": "windows:\n  - {earlier: any, later: '*', within: 2h}\n",
        },
        [
            "channels.yaml:1: 'Default' is a channel of that name, and stands for no other: write each channel by its",
            "context.yaml:2: 'any' is a channel of that name, and stands for no other: write each channel by its own",
            "context.yaml:4: 'all' is a channel of that name, and stands for no other: write each channel by its own",
            "context.yaml:7: 'all' is a channel of that name, and stands for no other: for each channel write `any`",
            "correlation.yaml:2: '*' is a channel of that name, and stands for no other: for each channel write `any`",
        ],
    ),
    (
        "the default queue, where the other is named more often",
        {"general": "queue_default: servise\n", "queues": "chat: service\nmail: service\n"},
        ["general.yaml:1: the queue 'servise' is named nowhere else: is it another one than 'service'?"],
    ),
    (
        "a team that is nearly a queue",
        {"queues": "chat: claims\n", "context": "continuity: team:clams\nswitches:\n  sms to phone:\n"
         "    continuity: team:claims\n  any to phone:\n    continuity: team:night\n"},
        ["context.yaml:1: no queue is called as the team 'clams': did you mean 'claims'?"],
    ),
    (
        "an item that nobody gives",
        {
            "capture": "templates:\n  - channel: chat\n    fields:\n      - name: contract\n",
            "context": "switches:\n  any to phone:\n    required: [contrat, bill]\n"
            "carry_over:\n  always: [adress]\n  within: 1h\nkeys:\n  address: {}\n",
            "handoffs": "kinds:\n  a:\n    required: [note, notes, identity, promised]\n"
            "others:\n  required: [contrct]\n",
        },
        [
            "context.yaml:3: no rule here gives or describes an item 'contrat': did you mean 'contract'?",
            "context.yaml:5: no rule here gives or describes an item 'adress': did you mean 'address'?",
            "handoffs.yaml:3: no rule here gives or describes an item 'notes': did you mean 'note'?",
            "handoffs.yaml:5: no rule here gives or describes an item 'contrct': did you mean 'contract'?",
        ],
    ),
    (
        "a kind of address",
        {
            "accounts": "loft:\n  channel: pigeon\n",
            "identity": "match:\n  - kinds: [malito, pigeon, crm]\nalike:\n  whatsap: tel\nsingle: [pigoen]\n"
            "shared: ['mialto:office@*']\n",
        },
        [
            "identity.yaml:2: no address is of the kind 'malito': did you mean 'mailto'?",
            "identity.yaml:4: no address is of the kind 'whatsap': did you mean 'whatsapp'?",
            "identity.yaml:5: no address is of the kind 'pigoen': did you mean 'pigeon'?",
            "identity.yaml:6: no address is of the kind 'mialto': did you mean 'mailto'?",
        ],
    ),
    (
        "a topic that is given where none is said",
        {
            "taxonomy": "topics:\n  claim: {}\n  premium: {}\n",
            "capture": "templates:\n  - channel: form\n    fields:\n      - name: topic\n"
            "        when_missing: default\n        default: clam\n",
        },
        ["capture.yaml:6: the taxonomy has no 'clam': did you mean 'claim'?"],
    ),
    (
        "what a program would have to say with a blank",
        {
            "taxonomy": "topics:\n  bill:\n    taggers:\n      - property: ' page'\n        values: [/b/*, '2 ']\n"
            "      - activity: 'bill viewed '\n      - words: [' bill ']\n",
        },
        [
            "taxonomy.yaml:4: ' page' has a blank before it or behind, and is found only where a program says that",
            "taxonomy.yaml:5: '2 ' has a blank before it or behind, and is found only where a program says that too:",
            "taxonomy.yaml:6: 'bill viewed ' has a blank before it or behind, and is found only where a program says",
        ],
    ),
    (
        "names of the taxonomy that differ in their capitals alone",
        {
            "taxonomy": "topics:\n  bill: {}\n  Bill: {}\n  BILL: {}\nintents:\n  Bill: {}\n",
        },
        [
            "taxonomy.yaml:3: the topic 'Bill' is another one than 'bill' (taxonomy.yaml:2): put what stands",
            "taxonomy.yaml:4: the topic 'BILL' is another one than 'bill' (taxonomy.yaml:2): put what stands",
        ],
    ),
    (
        "an account, and a channel, that a rule is for",
        {
            "accounts": "webform:\n  channel: form\n",
            "taxonomy": "topics:\n  bill:\n    taggers:\n      - accounts: [webforn, webform, fax]\n"
            "      - channels: [whatsap, form]\n",
            "capture": "templates:\n  - channel: form\n    account: webfrom\n",
            "identity": "match:\n  - accounts: [web-form, webform]\n",
            "context": "keys:\n  bill: {winner: [channel], channels: [app, phnoe]}\n",
        },
        [
            "capture.yaml:3: there is no account 'webfrom': did you mean 'webform'?",
            "context.yaml:2: no account serves a channel 'phnoe': did you mean 'phone'?",
            "identity.yaml:2: there is no account 'web-form': did you mean 'webform'?",
            "taxonomy.yaml:4: there is no account 'webforn': did you mean 'webform'?",
            "taxonomy.yaml:5: no account serves a channel 'whatsap': did you mean 'whatsapp'?",
        ],
    ),
    (
        "a channel in capitals, or one that no rule is for",
        {
            "accounts": "a:\n  channel: WhatsApp\nb:\n  channel: watsapp\nc:\n  channel: pigeon\n",
            "channels": "SMS: {}\nPigeon: {}\n",
        },
        [
            "accounts.yaml:2: no rule is for a channel 'WhatsApp': did you mean 'whatsapp'?",
            "accounts.yaml:4: no rule is for a channel 'watsapp': did you mean 'whatsapp'?",
            "accounts.yaml:6: no rule is for a channel 'pigeon': did you mean 'Pigeon'?",
            "channels.yaml:1: no account serves a channel 'SMS': did you mean 'sms'?",
            "channels.yaml:2: no account serves a channel 'Pigeon': did you mean 'pigeon'?",
        ],
    ),
    (
        "windows that none reaches",
        {
            "correlation": "windows:\n  - {earlier: chat, later: sms, within: 1h}\n"
            "  - {later: sms, within: 2h}\n  - {earlier: email, later: sms, within: 3h}\n"
            "  - {earlier: chat, within: 4h}\n  - {earlier: chat, within: 5h}\n  - {within: 6h}\n"
            "  - {earlier: phone, later: app, within: 7h}\n",
        },
        [
            "correlation.yaml:4: this window, email to sms, is never looked at: the one of line 3 fits as well, and",
            "correlation.yaml:6: this window, chat to any, is never looked at: the one of line 5 fits as well, and",
            "correlation.yaml:8: this window, phone to app, is never looked at: the one of line 7 fits as well, and",
        ],
    ),
    (
        "a channel that falls back on itself",
        {"context": "fallback:\n  chat: email\n  email: chat\n  sms: sms\n"},
        ["context.yaml:4: sms falls back on itself, which changes nothing: name another channel, or leave the line"],
    ),
    (
        "rules of context that lack what they need",
        {
            "context": "keys:\n  a:\n    winner: [channel]\n  b: {winner: [channel], channels: [app]}\n"
            "  c: {winner: [newest]}\ncarry_over:\n  always: [a]\n",
        },
        [
            "context.yaml:3: `channel` decides by the key's `channels`, which it has none of: write them,",
            "context.yaml:6: nothing comes along without `within`: write for how long it does, such as",
        ],
    ),
    ("what is carried over for no time", {"context": "carry_over: {within: 0s, always: [a]}\nkeys: {a: {}}\n"}, []),
    (
        "phrases without a word",
        {
            "taxonomy": "topics:\n  bill:\n    taggers:\n      - words: ['!!!', 'pay*', Ö, '1']\n"
            "        subject:\n          - 'fwd'\n          - '*'\n",
        },
        [
            "taxonomy.yaml:4: '!!!' has no letter and no digit, and is found nowhere: write a word, or leave it out",
            "taxonomy.yaml:7: '*' has no letter and no digit, and is found nowhere: write a word, or leave it out",
        ],
    ),
    (
        "items that differ in their capitals",
        {
            "taxonomy": "keys:\n  Claim: ['C-####']\n",
            "capture": "templates:\n  - channel: chat\n    fields:\n      - name: contract\n      - name: BILL\n",
            "context": "keys:\n  Contract: {}\n  bill: {}\n  claim: {}\nproperties: {no: contract, nr: bill}\n",
        },
        [
            "capture.yaml:5: the item 'BILL' is another one than 'bill' (context.yaml:3): write both alike, if they",
            "context.yaml:2: the item 'Contract' is another one than 'contract' (capture.yaml:4): write both alike, if",
            "taxonomy.yaml:2: the item 'Claim' is another one than 'claim' (context.yaml:4): write both alike, if",
        ],
    ),
    ("a channel that an account serves", {"accounts": "two:\n  channel: chatt\n", "channels": "chatt: {}\n"}, []),
    ("a channel like none", {"channels": "pigeon: {}\n"}, []),
]  # fmt: skip


@pytest.mark.parametrize(("files", "wanted"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_looks_mistyped_is_asked_about(files: dict[str, str], wanted: list[str]) -> None:
    """It is a policy all the same."""
    made = make({f"{name}.yaml": text for name, text in files.items()}, GIVEN)
    assert made.policy is not None, made.wrong
    assert len(made.remarks) == len(wanted), made.remarks
    for said, begins in zip(made.remarks, wanted, strict=True):
        assert str(said).startswith(begins)


LINE = "line:\n  queue: a\n  channel: sms\n"


RULES = ChannelRules(account="mail", rest_after_ms=7 * 86_400_000, uncertain="retry")
SETTINGS = SetUp(Policy(channels={"email": RULES, "chat": ChannelRules(account="chat"), "fax": RULES}), GIVEN.accounts)


def test_a_channel_that_the_settings_have_rules_for_and_the_file_leaves_out_is_asked_about() -> None:
    """Who adds a channel means the others to stay as they are. Not of one that no account serves, nor of one that is
    as any is; and where there is no such file, or an entry, nothing is left out."""
    [remark] = make({"channels.yaml": "# ours\nwhatsapp: {}\n"}, SETTINGS).remarks
    assert (remark.file, remark.line) == ("channels.yaml", 2)
    assert remark.text.startswith("nothing is said of email, which has rules in the settings: they hold no more, and")
    assert "it rests after 1 day, and `uncertain` is hold. Write an entry" in remark.text
    assert make({"channels.yaml": "email: {}\n"}, SETTINGS).remarks == []
    assert make({"general.yaml": "queue_default: a\n"}, SETTINGS).remarks == []


@pytest.mark.parametrize(
    ("accounts", "now", "said"),
    [
        (
            LINE,
            {"line": "whatsapp"},
            ("accounts.yaml", 3, "account line is a line of whatsapp now, and would be one of sms"),
        ),
        ("chat:\n  channel: app\n", {"chat": "chat"}, ("accounts.yaml", 2, "account chat is a line of chat now, and")),
        (LINE, {"chat": "app"}, ("accounts.yaml", 1, "account chat is a line of app now, and would be one of chat")),
        ("", {"chat": "app"}, ("accounts.yaml", 1, "account chat is a line of app now, and would be one of chat")),
        (LINE, {"line": "sms", "chat": "chat", "gone": "fax"}, None),
        (LINE, None, None),
    ],
    ids=["the bundle's", "over the settings'", "the settings' again", "without the file", "none", "nobody knows"],
)
def test_a_line_that_changes_its_channel_is_asked_about(
    accounts: str, now: dict[str, str] | None, said: tuple[str, int, str] | None
) -> None:
    """With the place, and what becomes of messages that wait."""
    made = make({"accounts.yaml": accounts} if accounts else {"general.yaml": "queue_default: a\n"}, GIVEN, now)
    if said is None:
        assert made.remarks == []
        return
    [remark] = made.remarks
    assert (remark.file, remark.line) == said[:2]
    assert remark.text.startswith(said[2])
    assert "is not sent, but given up (dead letters, account_moved)" in remark.text


@pytest.mark.parametrize(
    ("now", "former", "were"),
    [
        ({}, {"line": {"whatsapp"}}, "whatsapp"),
        ({"other": "sms"}, {"line": {"x", "app", "sms"}, "gone": {"fax"}}, "app and x"),
        ({}, {"line": {"sms"}}, None),
        ({"line": "sms"}, {"line": {"whatsapp"}}, None),
        ({}, {"lines": {"whatsapp"}}, None),
    ],
    ids=["another's", "others'", "what it was", "there already", "another name"],
)
def test_a_line_that_comes_back_as_another_channels_is_asked_about(
    now: dict[str, str], former: dict[str, set[str]], were: str | None
) -> None:
    """A version without it in between changes nothing for what waits."""
    made = make({"accounts.yaml": LINE}, GIVEN, now, former)
    if were is None:
        assert made.remarks == []
        return
    [remark] = made.remarks
    assert (remark.file, remark.line) == ("accounts.yaml", 3)
    assert remark.text.startswith(f"account line was a line of {were} before there was none of that name, and would be")
    assert "given up (dead letters, account_moved)" in remark.text


@pytest.mark.parametrize("name", ["insurer", "utility"])
def test_the_bundles_that_ship_raise_no_question(name: str, tmp_path: Path) -> None:
    """Neither with the default accounts nor without."""
    copy_default(name, tmp_path / "policy")
    files, _ = read_folder(tmp_path / "policy")
    assert make(files, GIVEN).remarks == []
    assert make(files, SetUp(Policy(), {})).remarks == []


@pytest.mark.parametrize(("count", "asked"), [(100, True), (600, False)])
def test_nobody_is_asked_about_more_names_than_people_write(count: int, asked: bool) -> None:
    """Each would be compared with each other one, and a gateway would do nothing else for minutes."""
    names = [f"{number:x}" for number in range(256, 256 + count)]
    files = {
        "handoffs.yaml": "members:\n  claims: []\n  clams: []\n" + "".join(f"  'q{name}': []\n" for name in names),
        "context.yaml": "keys:\n  contract: {}\n"
        + "".join(f"  'k{name}': {{}}\n" for name in names)
        + f"carry_over:\n  always: [contrct, {', '.join(f'w{name}' for name in names)}]\n",
    }
    said = [str(each) for each in make(files, GIVEN).remarks]
    assert any("'claims'" in each for each in said) is asked
    assert any("'contrct'" in each for each in said) is asked
