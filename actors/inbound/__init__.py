"""Inbound: what a channel says happened, decided. Pure.

receiving         one event: whose, of which conversation, about what, and what it lacks
  identifying     which customers its identities are of
  correlation     relating, matters: which conversation it belongs to, and what that has to do with earlier ones
  contact         arrival, confirming: what it makes of a conversation
importing         one of the past
keeping           one that cannot come in: the quarantine
  replaying       and comes in after all
"""
