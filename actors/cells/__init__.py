"""The cell: it has the live journeys of its shards, and each input goes through it by itself.

cell                  puts it together
mailboxes             population, live: who is in memory; one input of a customer after the other
  loads               loading, snapshots, remains: who is not, and from what
  alarms, leaving     what is due without an input, and who may go
stepping              belonging, astray, rehoming: is it for this customer, where merges have been
gathering             committing: steps that go to the journal together
concluding            verdicts: what the journal said of them
"""
