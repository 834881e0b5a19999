"""What is said: entities, inbound events, journal events, commands, frames, codec, connection state machines.

Of customers
  inbound          what a channel says happened; identities: of whom; open_values: what only its sender understands
  commands         what is asked
  events           what happened; journal: how it is kept
  entities         handoffs, losses: what is shown of it
  archive          between the projection and its store

To clients
  frames           what is said over a WebSocket; codec: its bytes
  errors, faults   what is refused, and why
  agent_session    gateway_session, watched, handed_out, outcomes, backoff: a client's side of its connection
  describe         all of this as documents

Between the server's own actors
  links            what they say
  pipe             what carries it
  ids, shards      where an id belongs

Of texts and tables
  letters, lengths, wording, oldest

Everything here is pure: no I/O, no clock, no randomness, no logging, and no import of another package of ours.
"""
