"""Identity: who is one customer, and who is not any more. Pure.

linking           a command of the customer's own stream
disputes          what is known of its identities, and contested
  merging         members: two become one
  unmixing        sides, mixed: they are two after all; whose is what
"""
