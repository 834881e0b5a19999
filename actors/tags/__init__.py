"""Tags: what a message is about, and by what evidence. Pure.

tagging           each message, once
  taggers         by whom
  phrases         keywords, all at one look
  labels          topics, intents, product lines, segments
  about           as it stands in a conversation
"""
