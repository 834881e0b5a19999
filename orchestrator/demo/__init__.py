"""The demo: one customer's chat, mail and SMS, played through the real entrances of a running server.

    cast.py      who plays: a customer nobody has met yet
    outside.py   the world around: the customer's mailbox and phone, on loopback
    desk.py      the agent: an SDK client that watches, and waits for what it should see
    play.py      the scenes in order, and the proof at the end
    losing.py    a scene of what gets lost, for the report
    screen.py    what the spectator sees

Nothing here reaches into the server: all goes over its ports, with the tokens of its run.
"""
