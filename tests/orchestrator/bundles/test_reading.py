"""What bundles say wrong: each mistake is told once, by file and line, with what to write instead."""

import secrets
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
import yaml
from msgspec import Meta, Struct, field

from actors.rules.policy import Policy
from orchestrator.bundles import trees
from orchestrator.bundles.making import SetUp, make
from orchestrator.bundles.reading import read
from orchestrator.bundles.scalars import ABSENT
from orchestrator.bundles.trees import DEEP_MAX, KEPT_TEXT_MAX
from orchestrator.bundles.values import Reader

GIVEN = SetUp(Policy(), {"mail": ("email", "email"), "chat": ("gateway", "chat")})


def told(**files: str) -> list[str]:
    """All that is wrong with these files."""
    return [str(wrong) for wrong in make({f"{name}.yaml": text for name, text in files.items()}, GIVEN).wrong]


TABLE: list[tuple[str, dict[str, str], list[str]]] = [
    (
        "a key is misspelt",
        {"general": "\nqueue_defualt: bills\n"},
        ["general.yaml:2: there is no key 'queue_defualt': did you mean `queue_default`?"],
    ),
    (
        "a key is like none",
        {"channels": "wa:\n  hue: red\n"},
        ["channels.yaml:2: wa: there is no key 'hue': Known are account, end_in_time, rest_after, text_max, uncertain"],
    ),
    (
        "a file is misspelt",
        {"chanels": "sms: {}\n"},
        ["chanels.yaml:1: a bundle has no such file: did you mean channels.yaml?"],
    ),
    (
        "a duration has no unit",
        {"channels": "sms:\n  rest_after: 30\n"},
        ["channels.yaml:2: sms.rest_after: '30' is not a duration: write a number and a unit, such as 30s or 30 min"],
    ),
    (
        "a duration is no duration",
        {"general": "close_after_resolved: soon\n"},
        ["general.yaml:1: close_after_resolved: 'soon' is not a duration: write a number and a unit, such as 90s,"],
    ),
    (
        "a duration is of the calendar",
        {"retention": "closed_conversations: 10 years\ndead_letters: 3 Months\n"},
        [
            "retention.yaml:1: closed_conversations: '10 years' is not a duration: write a number and a unit, such as "
            "30 days or 365 days: months and years are not all as long",
            "retention.yaml:2: dead_letters: '3 Months' is not a duration: write a number and a unit, such as 30 days",
        ],
    ),
    (
        "a space is missing behind a colon",
        {"correlation": "windows:\n- {earlier:app, later: phone, within: 2h}\n"},
        ["correlation.yaml:2: windows.1: a space is missing behind the colon: write `earlier: app`"],
    ),
    (
        "a name has a blank that nobody sees, or a line's end",
        {"general": "queue_default: claims\u00a0\n", "queues": "chat: |\n  claims\n", "channels": "'sms ': {}\n"},
        [
            "channels.yaml:1: sms : 'sms ' does not fit: write it in one line, without a blank before it or behind",
            "general.yaml:1: queue_default: 'claims\\xa0' does not fit: write it in one line",
            "queues.yaml:1: chat: 'claims\\n' does not fit: write it in one line",
        ],
    ),
    (
        "names in rules have a blank that nobody sees",
        {
            "capture": "templates:\n- channel: form\u00a0\n",
            "context": "continuity: owner\ncarries:\n  'sms ': [normal]\nfallback:\n  sms: email\u00a0\n",
            "correlation": "windows:\n- {later: 'phone ', within: 1h}\n",
            "handoffs": "kinds:\n  a:\n    to: ['queue:claims ']\nmembers:\n  claims: ['ann ']\n",
            "identity": "single: ['crm ']\n",
            "taxonomy": "topics:\n  bill:\n    taggers:\n    - accounts: ['mail ']\n",
        },
        [
            "capture.yaml:2: templates.1.channel: 'form\\xa0' does not fit: write it in one line, without a",
            "context.yaml:3: carries.sms : 'sms ' does not fit",
            "context.yaml:5: fallback.sms: 'email\\xa0' does not fit",
            "correlation.yaml:2: windows.1.later: 'phone ' does not fit",
            "handoffs.yaml:3: kinds.a: to: 'queue:claims ' is neither agent:<name> nor queue:<name>",
            "handoffs.yaml:5: members.claims.1: 'ann ' does not fit",
            "identity.yaml:1: single.1: 'crm ' does not fit",
            "taxonomy.yaml:4: topics.bill.taggers.1.accounts.1: 'mail ' does not fit",
        ],
    ),
    (
        "somebody who sees to it is called nothing",
        {"context": "continuity: 'team: '\n", "handoffs": "others:\n  on_decline: 'queue: x'\n"},
        ["context.yaml:1: context: continuity: 'team: ' is nobody", "handoffs.yaml:2: others: on_decline: 'queue: x'"],
    ),
    (
        "a name is a whole text",
        {"general": f"queue_default: {'q' * 9000}\n"},
        [f"general.yaml:1: queue_default: '{'q' * 64}' does not fit: write at most 64 characters"],
    ),
    (
        "a duration is written as the program keeps it",
        {"channels": "sms:\n  rest_after_ms: 1000\n"},
        ["channels.yaml:2: sms: rest_after_ms: write `rest_after` and a duration in words"],
    ),
    (
        "a number is a word",
        {"general": "# How often\nattempts_max: many\n"},
        ["general.yaml:2: attempts_max: 'many' is not a whole number: write one in digits"],
    ),
    (
        "a number is too large",
        {"general": "attempts_max: 5000\n"},
        ["general.yaml:1: attempts_max: 5000 does not fit: write at most 1000"],
    ),
    (
        "a choice is misspelt",
        {"channels": "email:\n  uncertain: retyr\n"},
        ["channels.yaml:2: email.uncertain: 'retyr' is not one of retry, hold: did you mean retry?"],
    ),
    (
        "a choice is none of them",
        {"general": "live_conversations: sometimes\n"},
        ["general.yaml:1: live_conversations: 'sometimes' is not one of follow, pinned: write one of them"],
    ),
    (
        "a value is a list",
        {"general": "queue_default:\n  - bills\n"},
        ["general.yaml:2: queue_default: write one value here, not a list or keys below it"],
    ),
    (
        "keys are a word",
        {"channels": "sms: fast\n"},
        ["channels.yaml:1: sms: write keys and values below it, such as `account: …`"],
    ),
    (
        "a file is a list",
        {"queues": "- mail\n"},
        ["queues.yaml:1: queues: write keys and values, each as `name: …` with a colon and a space, without dashes"],
    ),
    (
        "nothing is said",
        {"general": "queue_default:\n"},
        ["general.yaml:1: queue_default: '' does not fit: write at least 1 character"],
    ),
    (
        "a key is missing",
        {"accounts": "whatsapp:\n  trusted: yes\n"},
        ["accounts.yaml:2: whatsapp: channel is missing: write `channel: …`"],
    ),
    (
        "a switch is none",
        {"accounts": "whatsapp:\n  channel: whatsapp\n  trusted: perhaps\n"},
        ["accounts.yaml:3: whatsapp.trusted: 'perhaps' is not a switch: write yes or no"],
    ),
    (
        "a name has a space",
        {"accounts": "our line:\n  channel: chat\n"},
        ["accounts.yaml:1: our line: 'our line' does not fit: write letters and digits, `-` and `_`"],
    ),
    (
        "a key stands twice",
        {"queues": "mail: bills\nchat: chats\nmail: claims\n"},
        ["queues.yaml:3: queues: mail stands here twice, first in line 1: keep one"],
    ),
    (
        "an account is unknown",
        {"channels": "email:\n  rest_after: 1h\n  account: post\n"},
        ["channels.yaml:3: email.account: there is no account post: write one of chat, mail, or"],
    ),
    (
        "an account is another channel's",
        {"channels": "email:\n  account: chat\n"},
        ["channels.yaml:2: email.account: chat is an account of chat, not of email"],
    ),
    (
        "a queue's account is unknown",
        {"queues": "chat: chats\nphone: calls\n"},
        ["queues.yaml:2: phone: there is no account phone: write one of chat, mail, or add it to accounts.yaml"],
    ),
    (
        "an account is the settings' own, of another kind",
        {"accounts": "mail:\n  channel: email\n"},
        ["accounts.yaml:1: mail: the settings have an account of kind email under this name: choose another"],
    ),
    (
        "a template's identity is of no kind",
        {"capture": "templates:\n  - channel: form\n    identities:\n      - {kind: phone, found_at: [raw.a]}\n"},
        ["capture.yaml:4: templates.1.identities.1.kind: 'phone' is no kind of identity: write tel"],
    ),
    (
        "a template's identity is of its channel's own kind",
        {"capture": "templates:\n  - channel: pigeon\n    identities:\n      - {kind: pigeon, found_at: [raw.a]}\n"},
        [],
    ),
    (
        "a template's identity is nearly of a kind, or like none",
        {
            "capture": "templates:\n- channel: form\n  identities:\n"
            + "".join(f"  - {{kind: {kind}, found_at: [raw.a]}}\n" for kind in ("Telefon", "whatsap", "e-mail", "fax"))
        },
        [
            "capture.yaml:4: templates.1.identities.1.kind: 'Telefon' is no kind of identity: write tel",
            "capture.yaml:5: templates.1.identities.2.kind: 'whatsap' is no kind of identity: write whatsapp",
            "capture.yaml:6: templates.1.identities.3.kind: 'e-mail' is no kind of identity: write mailto",
            "capture.yaml:7: templates.1.identities.4.kind: 'fax' is no kind of identity: write one of chat, crm,",
        ],
    ),
    (
        "a template's identity may be of a kind that a file says which cannot be read",
        {
            "capture": "templates:\n- channel: form\n  identities:\n  - {kind: pigeon, found_at: [raw.a]}\n",
            "accounts": "loft:\n  chanel: pigeon\n",
        },
        ["accounts.yaml:2: loft: there is no key 'chanel': did you mean `channel`?"],
    ),
    (
        "a pattern could hold a cell up",
        {
            "capture": "templates:\n- channel: form\n  identities:\n  - {kind: tel, pattern: '.{0,1000}x.{0,1000}'}\n"
            "  fields:\n  - {name: a, pattern: '\\bC-\\d{6}\\b'}\n  - name: b\n    pattern: '\\p{Greek}{1,1000}'\n"
        },
        [
            "capture.yaml:4: templates.1.identities.1.pattern: this one could hold up all others for too long: write + "
            "or * in the place of a large count, as .* for .{0,1000}",
            "capture.yaml:8: templates.1.fields.2.pattern: this one could hold up all others for too long: write + or",
        ],
    ),
    (
        "the patterns of many templates are too large together",
        {
            "capture": "templates:\n"
            + "".join(f"- {{channel: c{n}, fields: [{{name: a, pattern: 'a{n}\\pL{{30}}'}}]}}\n" for n in range(9))
        },
        ["capture.yaml:8: templates.7: with these the templates' patterns are too large together: write + or * in"],
    ),
    (
        "an expression's pattern takes long to be read",
        {
            "capture": "templates:\n- channel: form\n  fields:\n  - name: a\n"
            '    found_by: \'text.matches(r"\\w+@\\w+") && text.matches(r"\\w{1,64}@\\w{1,64}") ? "x" : ""\'\n'
            '  - {name: b, found_by: \'text.matches(r"(?i)claim \\d{6}") ? "x" : ""\'}\n',
            "taxonomy": "topics:\n  a:\n    taggers:\n    - rule: text.matches('\\\\pL{1,100}x')\n",
        },
        [
            "capture.yaml:5: templates.1.fields.1.found_by: its patterns could hold up all others for too long: write",
            "taxonomy.yaml:4: topics.a.taggers.1.rule: its patterns could hold up all others for too long: write + or",
        ],
    ),
    (
        "a template's patterns are too long together",
        {
            "capture": "templates:\n- channel: form\n  fields:\n"
            + "".join(f"  - {{name: {name}, pattern: '{name}.{{0,100}}x'}}\n" for name in "abcdefgh")
        },
        ["capture.yaml:10: templates.1.fields.7.pattern: with this one the template's patterns are too long together"],
    ),
    (
        "what belongs to a name stands beside it",
        {"accounts": "wa:\nchannel: whatsapp\nqueue: bills\n", "channels": "# sms:\n  rest_after: 3h\n"},
        [
            "accounts.yaml:1: wa: channel is missing",
            "accounts.yaml:2: channel: this belongs to a name: indent it below that, by two spaces",
            "accounts.yaml:3: queue: this belongs to a name: indent it below that, by two spaces",
            "channels.yaml:2: rest_after: this belongs to a name: indent it below that, by two spaces",
        ],
    ),
    (
        "keys stand as a list, or as a spreadsheet writes them",
        {"channels": "sms:\n  - rest_after: 3h\n", "queues": "mail;claims\r\nsms;service\r\n", "general": "a,b\n"},
        [
            "channels.yaml:2: sms: write keys and values below it, such as `account: …`, without dashes",
            "general.yaml:1: write keys and values, each as `live_conversations: …` with a colon and a space",
            "queues.yaml:1: queues: write keys and values, each as `name: …` with a colon and a space",
        ],
    ),
    (
        "the only key has a no-break space behind its colon",
        {"general": "queue_default:\u00a0bills\n"},
        [
            "general.yaml:1: write keys and values, each as `live_conversations: …` with a colon and a space: what "
            "stands behind the colon here is a no-break space"
        ],
    ),
    (
        "a time that nothing lasts",
        {"general": "close_after_resolved: 99999 days\n"},
        [
            "general.yaml:1: close_after_resolved: '99999 days' is not a duration of a hundred years or less: write a "
            "shorter one, such as 3650 days"
        ],
    ),
    (
        "a key is indented by no-break spaces",
        {"channels": "sms:\n\u00a0\u00a0rest_after: 3h\n"},
        ["channels.yaml:2: channels: a no-break space stands before this key or behind it: write an ordinary one"],
    ),
    (
        "a value of a list has a colon",
        {"handoffs": "kinds:\n  a:\n    to: [queue: bills]\n"},
        [
            "handoffs.yaml:3: kinds.a.to.1: write one value here, not a list or keys below it; what has a colon in it "
            "stands in quotes: 'queue:bills'"
        ],
    ),
    (
        "values stand in the quotes of a letter",
        {
            "general": "queue_default: „bills“\nbackoff: “2 min\n",
            "accounts": "wa:\n  channel: ‘whatsapp’\n  «queue»: bills\n",
            "taxonomy": "topics:\n  a:\n    title: „A“ and “B”\n    taggers:\n    - words: [all’, '„x“', „lost”]\n",
        },
        [
            "accounts.yaml:2: wa.channel: ‘whatsapp’ has the quotes of a letter, which count as a part of it: write "
            "'whatsapp'",
            "accounts.yaml:3: wa: «queue» has the quotes of a letter, which count as a part of it: write 'queue'",
            "general.yaml:1: queue_default: „bills“ has the quotes of a letter",
            "general.yaml:2: backoff: “2 min has the quotes of a letter, which count as a part of it: write '2 min'",
            "taxonomy.yaml:5: topics.a.taggers.1.words.3: „lost” has the quotes of a letter",
        ],
    ),
    (
        "names end as lines of other languages do",
        {"accounts": "wa:\n  channel: whatsapp,\n  queue: 'bills;'\n", "general": "queue_default: bills;\n"},
        [
            "accounts.yaml:2: wa.channel: 'whatsapp,' ends with ',': take it away",
            "general.yaml:1: queue_default: 'bills;' ends with ';': take it away",
        ],
    ),
    (
        "a duration has thousands",
        {"retention": "closed_conversations: 3.650 days\ndead_letters: 1,095 days\nquarantine_open: 1.125 h\n"},
        [
            "retention.yaml:1: closed_conversations: '3.650 days' is not a duration: write a number and a unit, such "
            "as 3650 days or 3.65 days",
            "retention.yaml:2: dead_letters: '1,095 days' is not a duration: write a number and a unit, such as "
            "1095 days or 1.0950 days",
            "retention.yaml:3: quarantine_open: '1.125 h' is not a duration: write a number and a unit, such as "
            "1125 h or 1.1250 h",
        ],
    ),
    (
        "a list's lines begin as a letter's do",
        {
            "correlation": "windows:\n  – {earlier: app, later: phone, within: 2h}\n",
            "capture": "templates:\n  • channel: chat\n    fields: []\n",
            "identity": "match:\n  * kinds: [tel]\n",
        },
        [
            "capture.yaml:2: this cannot be read: in a list each line begins with the keyboard's hyphen and a space",
            "correlation.yaml:2: this cannot be read: in a list each line begins with the keyboard's hyphen and a",
            "identity.yaml:2: this cannot be read: in a list each line begins with the keyboard's hyphen and a space",
        ],
    ),
    (
        "a remark is written to a name",
        {"queues": "mail: claims#motor\nchat: 'a#1'\n"},
        ["queues.yaml:1: mail: 'claims#motor' has a # in it: write a blank before a remark's #, or put the name in"],
    ),
    (
        "a percentage has a sign",
        {"identity": "confidence:\n  crm: 60%\n"},
        ["identity.yaml:2: confidence.crm: '60%' is not a whole number: write one in digits, without a sign"],
    ),
    (
        "all but the last is indented",
        {"handoffs": "# kinds:\n  a:\n    waits: 2 min\nonly_listed: yes\n"},
        [
            "handoffs.yaml:4: this cannot be read: this line is indented less than the file's first one, line 2: take "
            "the spaces there away, or write above it what it belongs to"
        ],
    ),
    (
        "it was saved as UTF-16",
        {"general": "q\0u\0e\0u\0e\0"},
        ["general.yaml:1: this is no text, or not UTF-8: save the file as UTF-8 text"],
    ),
    (
        "a rule names the line and what to write",
        {
            "handoffs": "kinds:\n  a:\n    required: [note]\n    waits: 0\n",
            "capture": "templates:\n- channel: sms\n- channel: chat\n- channel: chat\n",
            "identity": "alike:\n  tel: whatsapp\n  whatsapp: tel\n",
            "report": "zone: berlin\n",
        },
        [
            "capture.yaml:3: capture: templates: there are two for 'chat'; put their fields into one",
            "handoffs.yaml:4: kinds.a: waits: an offer has to wait for some time: write more than 0, as 10 min",
            "identity.yaml:2: identity: alike: 'whatsapp' stands on both sides: keep one of the two lines",
            "report.yaml:1: zone: there is no time zone 'berlin': write Europe/Berlin",
        ],
    ),
    (
        "a rule finds one of its keys wrong",
        {"report": "days: [monday]\nexamples: 3\nwindow: 2h\n", "retention": "journal: 0\ndead_letters: 90s\n"},
        [
            "report.yaml:3: report: window: write at least 1 day",
            "retention.yaml:2: retention: dead_letters is less than the hour",
        ],
    ),
    (
        "a time of day is none",
        {"report": "days: [monday]\nat: 25:00\n"},
        ["report.yaml:2: at: '25:00' does not fit: write a time of day as 07:00 or 16:30"],
    ),
    (
        "it is not YAML",
        {"general": "queue_default: bills\n  attempts_max: 3\n"},
        ["general.yaml:2: this cannot be read: here or in a line above a colon is missing, or a space"],
    ),
    (
        "a space behind the colon is missing",
        {"general": "attempts_max: 3\nqueue_default:bills\n"},
        ["general.yaml:2: this cannot be read: a space is missing behind the colon: write `queue_default: bills`"],
    ),
    (
        "a space behind the first colon is missing",
        {
            "general": "queue_default:bills\n# How often\nattempts_max: 3\n",
            "channels": "sms:\n  rest_after:3h # so long\n\n  uncertain: hold\n",
            "correlation": "windows:\n- earlier:app\n  later:'phone'\n  within: 2h\n",
            "queues": "'mail':claims\nchat: x\n",
        },
        [
            "channels.yaml:2: this cannot be read: a space is missing behind the colon: write `rest_after: 3h`",
            "correlation.yaml:2: this cannot be read: a space is missing behind the colon: write `earlier: app`",
            "general.yaml:1: this cannot be read: a space is missing behind the colon: write `queue_default: bills`",
            "queues.yaml:1: this cannot be read: a space is missing behind the colon: write `'mail': claims`",
        ],
    ),
    (
        "a colon without a space is of an address, or no line of its own",
        {"general": "queue_default: see\n  http://example.org\n  b: 2\n", "queues": "a: x:1 b: 2\n"},
        [
            "general.yaml:3: this cannot be read: here or in a line above a colon is missing",
            "queues.yaml:1: this cannot be read: here or in a line above a colon is missing",
        ],
    ),
    (
        "an address in a list is no key, whatever is wrong below it",
        {
            "channels": "sms:\n  ours:\n  - pigeon:ring-77\n\trest_after: 3h\n",
            "general": "ours:\n  - tel:+447700900000\n  - tel:+447700900001\n title: x\n",
            "identity": "shared:\n  - tel:+447700900000\n    - other: 1\n",
            "queues": "rule: x\n- tel:+447700900000\n",
        },
        [
            "channels.yaml:4: this cannot be read: here stands a tab: write spaces in its place",
            "general.yaml:4: this cannot be read: this line stands in no column of the lines above",
            "identity.yaml:3: this cannot be read: here or in a line above a colon is missing",
            "queues.yaml:2: this cannot be read: this line stands in no column of the lines above",
        ],
    ),
    (
        "a line is indented by a tab",
        {"channels": "sms:\n\trest_after: 3h\n"},
        ["channels.yaml:2: this cannot be read: here stands a tab: write spaces in its place"],
    ),
    (
        "a line stands in no column",
        {"channels": "sms:\n    uncertain: hold\n  rest_after: 3h\n"},
        ["channels.yaml:3: this cannot be read: this line stands in no column of the lines above"],
    ),
    (
        "a pattern stands in double quotes",
        {"capture": 'templates:\n  - channel: chat\n    fields: [{name: a, pattern: "\\d{8}"}]\n'},
        ["capture.yaml:3: this cannot be read: a backslash in double quotes: write a pattern in single quotes"],
    ),
    (
        "a list is not closed",
        {"report": "at: 07:00\ndays: [monday\nwindow: 7 days\n"},
        ["report.yaml:2: this cannot be read: a list begins here that is not closed"],
    ),
    (
        "a quote is not closed",
        {"general": 'attempts_max: 3\nqueue_default: "bills\n'},
        ["general.yaml:2: this cannot be read: a quote opens here and is not closed"],
    ),
    (
        "a star begins a value",
        {"identity": "shared:\n  - *@example.org\n"},
        ["identity.yaml:2: this cannot be read: a value that begins with *, & or % stands in quotes"],
    ),
    (
        "a time of day is in other words",
        {"report": "days: [monday]\nat: 7am\n"},
        ["report.yaml:2: at: '7am' does not fit: write a time of day as 07:00 or 16:30"],
    ),
    (
        "repeats would count twice",
        {"general": "once_keys: 0\n"},
        ["general.yaml:1: once_keys: sources send again for hours: write 1h or more"],
    ),
    (
        "attempts without a pause",
        {"general": "attempts_max: 1000\nbackoff: 0\nbackoff_max: 0\n"},
        ["general.yaml:2: backoff: a line that fails would be tried again and again without a pause: write 1s or more"],
    ),
    (
        "a first wait that is hardly one",
        {"general": "backoff: 999 ms\n"},
        ["general.yaml:1: backoff: a line that fails would be tried again and again without a pause: write 1s or more"],
    ),
    (
        "the longest wait is shorter than the first",
        {"general": "backoff: 1 min\nbackoff_max: 30s\n"},
        ["general.yaml:2: backoff_max: the longest wait is shorter than the first, which is 1 min: write that or more"],
    ),
    (
        "the longest wait is shorter than the settings' first",
        {"general": "backoff_max: 1s\n"},
        ["general.yaml:1: backoff_max: the longest wait is shorter than the first, which is 2 s: write that or more"],
    ),
    (
        "the first wait is longer than the settings' longest",
        {"general": "backoff: 20 min\n"},
        ["general.yaml:1: backoff: the first wait is longer than the longest, which is 10 min: write that or less, or"],
    ),
    (
        "a message is tried for ever",
        {"general": "attempts_max: 1000\nbackoff_max: 1 day\n"},
        ["general.yaml:1: attempts_max: one message would be tried for 984 days: write what makes it 30 days or less"],
    ),
    (
        "a message is tried for ever by its waits alone",
        {"general": "backoff: 5 days\nbackoff_max: 5 days\n"},
        ["general.yaml:2: backoff_max: one message would be tried for 75 days: write what makes it 30 days or less"],
    ),
    (
        "a message waits for ever",
        {"general": "line_wait: 31 days\n"},
        ["general.yaml:1: line_wait: a message that waits so long is no answer any more: write 30 days or less"],
    ),
    (
        "what a subject says of itself is told where it stands",
        {
            "identity": "shared_after: 3\nshared:\n  - tel:+44207*\n  - '+44306'\n",
            "context": "carries:\n  sms: [normal]\nswitches:\n  sms to phone: {}\n  any too phone: {}\n",
        },
        [
            "context.yaml:5: context: switches: write 'any too phone'",
            "identity.yaml:4: identity: shared: write '+44306'",
        ],
    ),
    (
        "a number that is nobody's",
        {"identity": "shared:\n  - tel:+44 (0)20 7*\n  - tel:07700 900123\n  - whatsapp:0044*\n"},
        [
            "identity.yaml:3: shared.2: 'tel:07700 900123' fits no number: write its country, as in tel:+447700900123",
            "identity.yaml:4: shared.3: 'whatsapp:0044*' fits no number: write its country",
        ],
    ),
    (
        "a rule is no question",
        {"taxonomy": "topics:\n  bill:\n    taggers:\n      - rule: subject\n"},
        ["taxonomy.yaml:4: topics.bill.taggers.1.rule: a rule asks something that is so or not, such as"],
    ),
    (
        "a sign is none",
        {"general": "attempts_max: 3\nqueue_default: bi\x07lls\n"},
        ["general.yaml:2: this cannot be read: here stands a sign that is no text (U+0007, which nobody sees): delete"],
    ),
    (
        "a space is none, as one that was copied from a page",
        {"general": "attempts_max: 3\nqueue_default:\u00a0bills\n"},
        ["general.yaml:2: this cannot be read: here stands a no-break space: write an ordinary one"],
    ),
    (
        "a space is none, and the parser gives up in the line below",
        {"channels": "sms:\n  rest_after:\u00a03h\n  uncertain: hold\n"},
        ["channels.yaml:2: this cannot be read: here stands a no-break space: write an ordinary one"],
    ),
    (
        "a remark may have one",
        {"general": "attempts_max: 3\nqueue_default bills # \u00a0\n"},
        ["general.yaml:2: this cannot be read: a key needs a colon"],
    ),
    (
        "a space is none, behind a quote",
        {"queues": 'a: x\nb: "y"\u00a0\n'},
        ["queues.yaml:2: this cannot be read: here stands a no-break space"],
    ),
    (
        "a space is none, where a line begins",
        {"channels": "sms:\n  uncertain: hold\n \u00a0rest_after: 3h\n"},
        ["channels.yaml:3: this cannot be read: here stands a no-break space"],
    ),
    (
        "quotes and words may have one",
        {"general": 'queue_default: "x\u00a0y" b: 2\n', "queues": "a: x\u00a0y b: 2\n"},
        [
            "general.yaml:1: this cannot be read: this line stands in no column",
            "queues.yaml:1: this cannot be read: here or in a line above a colon is missing",
        ],
    ),
    (
        "a sign's number is beyond all signs",
        {"general": 'attempts_max: 3\nqueue_default: "\\U00110000"\n', "queues": 'mail: "\\UFFFFFFFF"\n'},
        [
            r"general.yaml:2: this cannot be read: \U00110000 is no sign there is: write the sign itself",
            r"queues.yaml:1: this cannot be read: \UFFFFFFFF is no sign there is",
        ],
    ),
    (
        "YAML's version has more digits than any",
        {"general": f"# Ours\n%YAML 1.{'1' * 5000}\n---\nattempts_max: 3\n"},
        ["general.yaml:2: this cannot be read: take the line with %YAML away"],
    ),
    (
        "a value or a key has half of a sign",
        {"general": 'queue_default: "\U0001f600"\ntitle: "a\\ud800"\n', "queues": 'mail: a\n"\\uDFFF": "\\udc00"\n'},
        [
            r"general.yaml:2: this cannot be read: a \u from D800 to DFFF is half of a sign: write the sign itself",
            r"queues.yaml:2: this cannot be read: a \u from D800 to DFFF is half of a sign",
        ],
    ),
    (
        "a channel that no address could be of",
        {"accounts": "loft:\n  channel: pigeon:north\n"},
        ["accounts.yaml:2: loft: channel: 'pigeon:north' has a colon in it"],
    ),
    (
        "names that nothing can be called",
        {
            "taxonomy": "topics:\n  '': {}\n  bill: {}\nintents:\n  'pay ': {}\n"
            "keys:\n  'claim:motor': ['CLM-######']\n  topic: ['T-####']\n  \"a\\0\": ['A-####']\n",
            "context": "properties:\n  bill_number: ''\n",
        },
        [
            "context.yaml:1: context: properties: '': a name is printable",
            "taxonomy.yaml:2: topics.: a name is printable, has 1 to 128 characters, and no blank before it or behind",
            "taxonomy.yaml:5: intents.pay : a name is printable",
            "taxonomy.yaml:7: keys.claim:motor: 'claim:motor' has a colon in it, which parts a kind from its numbers",
            "taxonomy.yaml:8: keys.topic: topic is what a contact is about, and no number: write another name",
            "taxonomy.yaml:9: keys.a\0: a name is printable",
        ],
    ),
    (
        "keys are taken over from elsewhere",
        {"channels": "sms: &sms\n  rest_after: 1h\n<<: *sms\n", "handoffs": "kinds:\n  a: &a {}\n  b:\n    <<: *a\n"},
        [
            "channels.yaml:3: channels: nothing is taken over by `<<`: write the keys themselves",
            "handoffs.yaml:4: kinds.b: nothing is taken over by `<<`: write the keys themselves",
        ],
    ),
    (
        "something begins with an exclamation mark",
        {
            "general": "queue_default: !urgent\n",
            "taxonomy": "topics:\n  !new claim: {}\n  bill:\n    title: !Bills\n    taggers: !!set []\n",
        },
        [
            "general.yaml:1: queue_default: a key or value that begins with ! stands in quotes: write '!…'",
            "taxonomy.yaml:2: topics: a key or value that begins with ! stands in quotes",
            "taxonomy.yaml:4: topics.bill.title: a key or value that begins with ! stands in quotes",
            "taxonomy.yaml:5: topics.bill.taggers: a key or value that begins with ! stands in quotes",
        ],
    ),
    (
        "a list begins behind its key",
        {"report": "at: 07:00\ndays: - monday\n"},
        ["report.yaml:2: this cannot be read: a list begins in the line below its key, with a `- ` for each, or is"],
    ),
    (
        "there is a comma too many",
        {"report": "days: [monday,, sunday]\n", "general": "queue_default: ,service\n"},
        [
            "general.yaml:1: this cannot be read: here a value was to stand, or a comma or bracket too many does",
            "report.yaml:1: this cannot be read: here a value was to stand, or a comma or bracket too many does",
        ],
    ),
    (
        "a value begins with a sign of YAML's",
        {"general": "queue_default: >urgent\n", "report": "zone: !\n", "queues": "chat: !!\n", "channels": "a: !b!c\n"},
        [
            "channels.yaml:1: this cannot be read: a key or value that begins with ! stands in quotes",
            "general.yaml:1: this cannot be read: a value that begins with | or > stands in quotes",
            "queues.yaml:1: this cannot be read: a key or value that begins with ! stands in quotes",
            "report.yaml:1: zone: there is no time zone ''",
        ],
    ),
    (
        "it is two files in one",
        {"general": "attempts_max: 3\n---\nqueue_default: bills\n"},
        ["general.yaml:2: this cannot be read: three hyphens begin another file's text: take them away"],
    ),
    (
        "it is too deep",
        {"general": f"attempts_max: {'[' * 2000}{']' * 2000}\n"},
        ["general.yaml:1: this cannot be read: lists or keys stand too deep in each other: close a [ or {, or indent"],
    ),
    (
        "thousands of brackets are not closed",
        {"general": f"attempts_max: 3\nbackoff: {'[' * 100_000}", "queues": f"\nmail: {'{a: ' * 100_000}"},
        [
            "general.yaml:2: this cannot be read: lists or keys stand too deep in each other",
            "queues.yaml:2: this cannot be read: lists or keys stand too deep in each other",
        ],
    ),
    (
        "each line is indented more than the one above",
        {"channels": "".join(f"{' ' * deep}a:\n" for deep in range(400)), "queues": "- " * 1000},
        [
            "channels.yaml:33: this cannot be read: lists or keys stand too deep in each other",
            "queues.yaml:1: this cannot be read: lists or keys stand too deep in each other",
        ],
    ),
    (
        "it holds itself",
        {"queues": "&all\nmail: *all\n"},
        ["queues.yaml:1: over 50000 values, or one that holds itself: write it without aliases"],
    ),
    (
        "a long text stands there again and again",
        {"capture": f"templates:\n- channel: &a {'a' * 9000}\n  events: [{', '.join(['*a'] * 60)}]\n"},
        ["capture.yaml:1: over 524288 characters, aliases counted as often as they stand: write it without them"],
    ),
    (
        "many things are wrong, in many files",
        {"general": "attempts_max: x\nbackoff: 1\n", "channels": "sms:\n  a: 1\n  uncertain: b\n"},
        [
            "channels.yaml:2: sms: there is no key 'a'",
            "channels.yaml:3: sms.uncertain: 'b' is not one of",
            "general.yaml:1: attempts_max: 'x'",
            "general.yaml:2: backoff: '1' is not a duration",
        ],
    ),
]


@pytest.mark.parametrize(("files", "wanted"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_what_is_wrong_is_told(files: dict[str, str], wanted: list[str]) -> None:
    """Everything at once, in the order of files and lines."""
    said = told(**files)
    assert len(said) == len(wanted), said
    for line, begins in zip(said, wanted, strict=True):
        assert line.startswith(begins), line


def test_a_kind_of_identity_is_one_that_an_account_of_the_settings_brings() -> None:
    """Of a program's line alone: mailboxes and numbers bring mailto and tel."""
    given = SetUp(Policy(), {"loft": ("gateway", "Pigeon"), "fax": ("twilio", "fax")})
    text = "templates:\n- channel: form\n  identities:\n  - {kind: %s, found_at: [raw.a]}\n"
    assert [len(make({"capture.yaml": text % kind}, given).wrong) for kind in ("pigeon", "fax")] == [0, 1]


def test_a_text_that_is_read_again_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tree is kept, and parsed once; of one that is long it is not. What is wrong in it is told each time."""
    parsed: list[str] = []

    def composing(text: str, compose: Any = yaml.compose, **how: Any) -> Any:
        parsed.append(text)
        return compose(text, **how)

    monkeypatch.setattr(yaml, "compose", composing)
    short = {"general": f"queue_defualt: service  # {secrets.token_hex(8)}"}
    long = {"general": f"queue_defualt: service  # {'x' * KEPT_TEXT_MAX}"}
    assert told(**short) == told(**short)
    assert told(**long) == told(**long)
    assert [len(told(**files)) for files in (short, long)] == [1, 1]
    assert [parsed.count(files["general"]) for files in (short, long)] == [1, 3]


def test_a_text_is_not_read_on_where_it_has_more_values_than_people_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows is not looked at: here a mistake that would be told."""
    monkeypatch.setattr(trees, "NODES_MAX", 1_000)
    many = "".join(f"q{n}: a\n" for n in range(500))
    assert told(queues=f"{many}: : [") == ["queues.yaml:500: this cannot be read: over 1000 values: a file has no more"]


@pytest.mark.parametrize("opens", ["[", "{a: ", "- ", "? "])
def test_a_text_may_be_as_deep_as_that(opens: str) -> None:
    """And no deeper, in whichever way it is written."""
    closes = {"[": "]", "{a: ": "}"}.get(opens, "")
    deep = [told(general=f"{opens * depth}1{closes * depth}") for depth in (DEEP_MAX, DEEP_MAX + 1)]
    assert ["too deep" in said for [said] in deep] == [False, True]


def test_a_whole_bundle_is_read() -> None:
    """What files say stands over what the settings say, and what follows from accounts is filled in."""
    policy = make(
        {
            "general.yaml": "close_after_resolved: 1 day 12h\nqueue_default: desk\n",
            "channels.yaml": "email: {rest_after: 7 days, uncertain: retry, text_max: 4000}\nwhatsapp:\n",
            "accounts.yaml": "wa: {channel: whatsapp, queue: messages, trusted: no}\n",
        },
        GIVEN,
    ).policy
    assert policy is not None
    assert policy.close_after_resolved_ms == 36 * 3_600_000
    assert policy.attempts_max == Policy().attempts_max
    assert (policy.channel("email").account, policy.channel("email").uncertain) == ("mail", "retry")
    assert (policy.channel("email").text_max, policy.channel("whatsapp").text_max) == (4000, None)
    assert policy.channel("whatsapp").account == "wa"
    assert policy.queues == {"wa": "messages"}


def test_nothing_is_the_settings() -> None:
    """An empty file leaves its subject to the settings, as no file does."""
    assert make({"channels.yaml": "# nothing yet\n"}, GIVEN) == make({}, GIVEN)
    assert read({}).fields == {}


class Level(Enum):
    """Levels."""

    LOW = "low"
    HIGH = "high"


class Words(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="words"):
    """One kind of rule."""

    any: tuple[str, ...]


class Formula(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag="formula"):
    """Another."""

    source: str

    def __post_init__(self) -> None:
        if "(" in self.source and ")" not in self.source:
            raise ValueError("the bracket is not closed")


class Rules(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Types that rules have."""

    levels: tuple[Level, ...] = ()
    within_ms: dict[str, int] = field(default_factory=dict)
    windows_ms: tuple[int, ...] = ()
    pair: tuple[str, int] = ("", 0)
    countries: frozenset[str] = frozenset()
    one: Words | Formula | None = None
    several: list[Words | Formula] = field(default_factory=list)
    share: Annotated[float, Meta(ge=0, le=1)] = 0.5
    note: str | None = None
    queue: Annotated[str, Meta(min_length=1, max_length=8)] | None = None
    mode: Literal["a", "b"] = "a"
    value: str | int | float | bool = ""


def value_of(text: str) -> tuple[Any, list[str]]:
    """The text as `Rules`, and what is wrong."""
    wrong: list[str] = []
    reader = Reader(lambda path, line: None, lambda line, words: wrong.append(f"{line}: {words}"))
    return reader.value(yaml.compose(text, Loader=yaml.SafeLoader), Rules, ("rules",)), wrong


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("levels: [low, high]", Rules(levels=(Level.LOW, Level.HIGH))),
        ("within: {chat: 15 min, sms: 1 day}", Rules(within_ms={"chat": 900_000, "sms": 86_400_000})),
        ("windows: [10s, 1 h 30 min]", Rules(windows_ms=(10_000, 5_400_000))),
        ("pair: [x, 3]", Rules(pair=("x", 3))),
        ("countries: [NO, GB]", Rules(countries=frozenset(["NO", "GB"]))),
        ("one: {type: words, any: [bill]}", Rules(one=Words(any=("bill",)))),
        ("one:", Rules(one=None)),
        (
            "several: [{type: formula, source: x}, {type: words, any: []}]",
            Rules(several=[Formula(source="x"), Words(any=())]),
        ),
        ("share: 1", Rules(share=1.0)),
        ("note: yes", Rules(note="yes")),
        ("queue:", Rules(queue=None)),
        ("value: 5", Rules(value=5)),
        ("value: true", Rules(value=True)),
        ("value: 0044", Rules(value="0044")),
        ("value: +447700900123", Rules(value="+447700900123")),
        ("value: 12:30", Rules(value="12:30")),
        ("value: 99999999999999999999", Rules(value="99999999999999999999")),
        ("value: 1.50", Rules(value="1.50")),
        ("value: 1.5", Rules(value=1.5)),
        ("value: '5'", Rules(value="5")),
        ("value: five", Rules(value="five")),
    ],
)
def test_types_that_rules_have_are_read(text: str, wanted: Rules) -> None:
    """No code in the reader knows the rule."""
    assert value_of(text) == (wanted, [])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("levels: [low, hihg]", "1: levels.2: 'hihg' is not one of low, high: did you mean high?"),
        ("within: {chat: 15}", "1: within.chat: '15' is not a duration"),
        ("pair: [x]", "1: pair: write a list of 2; this one has 1"),
        ("share: 2", "1: share: 2.0 does not fit"),
        ("queue: ''", "1: queue: '' does not fit: write at least 1 character"),
        ("queue: claims-lead", "1: queue: 'claims-lead' does not fit: write at most 8 characters"),
        ("share: nan", "1: share: 'nan' is not a number"),
        ("pair: [x, 99999999999999999999]", "1: pair.2: '99999999999999999999' is not a whole number"),
        ("one: {type: word}", "1: one: write `type: …` with one of words, formula"),
        ("one: {type: words}", "1: one: any is missing"),
        ("several:\n- type: formula\n  source: f(", "2: several.1: the bracket is not closed"),
    ],
)
def test_types_that_rules_have_are_checked(text: str, wanted: str) -> None:
    """Down to the line, also for what a rule finds out by itself."""
    value, [wrong] = value_of(text)
    assert value is ABSENT
    assert wrong.startswith(wanted), wrong
