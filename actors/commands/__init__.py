"""Commands: what an agent asks for, decided. Pure.

commanding        one command of a conversation
  checks          of what an agent writes
  replying        what goes to the customer
    delivery      whether it arrived
  correcting      moving: where a correlation was wrong
"""
