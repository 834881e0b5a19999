"""Commands: what an agent asks for, decided. Pure.

commanding        one command of a conversation
  replying        switching, withholding: what goes to the customer, by which channel
    accounts      by which of its accounts
    delivery      whether it arrived
  correcting      moving: where a correlation was wrong
"""
