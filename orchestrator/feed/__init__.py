"""The feed: committed events for other systems, in the journal's order.

feed              read by position
webhook_sender    brings them; webhook_files: how far each endpoint is
"""
