"""Incoming: events by HTTP.

posted_events     cloudevents: from a program
webhooks          from a vendor
quarantine        replaying: what is refused is kept, and comes in after all
"""
