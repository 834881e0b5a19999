"""Who lives: the conversation, the journey, and the shells that run them (cell, journal, archive, outbox).

Decisions are pure functions; shells are plain async classes that get their lines, stores and clock from outside. An
event's way leads down the first column; what is beside it is asked there.

    The cell
      cell               lines, fault; seat, usher, seating: in dedicated placement
      mailboxes          population, live, loads, loading, snapshots, remains, alarms
      stepping           belonging, astray, rehoming: is it for this customer, where merges have been
      gathering          committing
      concluding         verdicts, leaving
      outlet             watching, conversation_views, dispatch, untaken

    One input, one decision
      deciding           decision, once, checks, policies, policy, rules
      receiving          an inbound event
        identifying      disputes
        correlation      relating, matters
        tagging          taggers, labels, phrases, expressions, cel_library, about
        contact          arrival, confirming, importing, keeping
        capturing        templates, knowing, carrying
      commanding         an agent's command
        replying         switching, withholding, accounts, delivery
        handing_over     handoff_states, handoff_package, bringing, withdrawing
        correcting       moving
      linking            a command of the customer's own stream; replaying, applying, findings
        merging          members, unmixing, sides, mixed
      telling            nothing is decided: what is known, said to a machine

    How facts change the state
      journey            closing
      conversation       evolving, interactions, context_items, recent, worded, timers

    The journal          journal_store, tail, notices, stretch
    The archive          archive_store, retention
      projection         rows, conversation_rows, context_rows, correction_rows, delivery_rows, finding_rows,
                         handoff_rows, identity_rows
    The outbox
    Forgetting a person  erasing, journal_traces
"""
