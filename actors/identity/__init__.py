"""Identity: who is one customer, and who is not any more. Pure.

linking           a command of the customer's own stream
  merging         members: two become one
  unmixing        sides, mixed: they are two after all; whose is what
replaying         a quarantined input that comes in after all
applying          a version of the policy, in the stream of the pseudo-customer `policy`
findings          the report's, in that of `report`
"""
