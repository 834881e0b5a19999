"""State: how each fact changes what is known. Pure.

journey               a customer's: the conversations that are open, and what is left of those that are not
  closing             what stays of one that closes
conversation          evolving: by fact
  interactions        a call, a chat, a thread of mails
  context_items       what is known, by whom
  recent, worded      its newest events; the words that its messages were sent with
"""
