"""Commands: what an agent asks for, decided. Pure.

commanding        one command of a conversation
  checks          of what an agent writes
  replying        what goes to the customer
    delivery      when it leaves; outcomes: whether it did
  correcting      moving: where a correlation was wrong
"""
