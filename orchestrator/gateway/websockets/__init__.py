"""WebSockets: agents' clients and channels' gateways.

websocket             moves messages; connection, outgoing: what both kinds of clients have in common
  agents              hub, streams, backfill, turns: conversations they watch; inboxes, listings, told_rows: lists
  gateway_clients     deliveries: events in, messages out
"""
