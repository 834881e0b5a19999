"""Reads: what is known, by HTTP.

reads                of a customer now, from the live actor; lists, from the archive
  gone               what retention dropped
history              timelines, and a conversation as a vCon
  attachments        the files in it
quarantine_search    what was refused, by the words and addresses in it
feed                 committed events for other systems, by cursor
sharing              over how many connections, and for how long
taxonomy             what contacts can be about
"""
