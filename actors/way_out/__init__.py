"""The way out: what leaves a cell once its commit is known.

outlet                      one message a line and turn
  watching                  conversation_views: what an agent's client sees
  dispatch                  untaken: what a channel is to send
"""
