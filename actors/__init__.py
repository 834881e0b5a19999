"""Who lives: the conversation, the journey, and the shells that run them (cell, journal, archive, outbox).

Decisions are pure functions; shells are plain async classes that get their lines, stores and clock from outside. An
event's way leads down the first column; what is beside it is asked there.

    cells         an input comes to its customer's cell, and what was decided leaves it    seats: in dedicated placement
    decisions     one input, one decision                                                  rules: by the policy in force
      inbound     an inbound event                                                         tags, capture
      commands    an agent's command                                                       handoffs, context
      identity    a command of the customer's own stream
      own_streams one of the server's own
    state         how each fact changes the journey and its conversations
    way_out       what agents' clients and channels are told, once it is committed
    journal       the truth
    archive       what is read: the projection
    erasure       forgetting a person

    telling       what is known, said to a machine; nothing is decided
    outbox        what goes out by the server's own channels
    lines         what an actor sees of its pipes
    fault         how a bug ends the process that met it
"""
