"""WebSockets: agents' clients and channels' gateways.

websocket             moves messages; connection, outgoing: what both kinds of clients have in common
  agents              hub, streams, backfill: conversations they watch; inboxes, told_rows: lists they watch
  gateway_clients     deliveries: events in, messages out
"""
