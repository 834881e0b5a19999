"""Twilio: text messages come in by webhooks and leave by its REST API.

inbound      a webhook → an inbound event, or a report on one of our messages
signature    whether Twilio sent it                                               pure
sender       one attempt, and what became of it
"""
