"""Identity: who is one customer, and who is not any more. Pure.

linking           a command of the customer's own stream
  merging         members: two become one
  unmixing        sides, mixed: they are two after all; whose is what
"""
