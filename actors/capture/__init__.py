"""Capture: what each channel has to bring, and what is known already. Pure.

capturing         what an event has of what its channel's template wants, and what to do about the rest
  templates       where each field is found
knowing           what the event says, as context items; which value stands
carrying          what a next conversation takes along
"""
