"""Handoffs: from one owner to the next, with proof that what is known went along. Pure.

handing_over          offered, accepted, declined, expired, withdrawn
  handoff_states      as they stand in a conversation
  handoff_package     what has to be in it
  withdrawing         what becomes of an offer whose conversation ends
"""
