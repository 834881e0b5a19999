"""Email: mails come in by SMTP and become inbound events; deliveries leave through a relay as mails.

    charsets     bytes → text                                                    pure
    headers      header fields → text, addresses, dates, ids                     pure
    mime         raw bytes → a bounded tree of parts → texts and files           pure
    alternatives what its other parts say beside the one that was read           pure
    html         HTML → text, quotes marked as in plain text                     pure
    quoting      a reply's text → the words that are new in it                   pure
    automatic    who wrote this: a person, an auto-responder, a mail system?     pure
    inbound      all of it: `parse(raw, …) → Mail`                               pure
    taking       a mail read, its files kept; whole in quarantine where that fails
    smtp         one client's connection to it, with bounds
    entrance     the SMTP server: store files, submit, answer 250 after the commit
    compose      a delivery → the bytes of a mail                                pure
    sender       the SMTP client: one attempt, and what became of it
    threads      Message-IDs that carry our delivery ids                         pure

One convention: Message-IDs are bare everywhere, without angle brackets.
"""
