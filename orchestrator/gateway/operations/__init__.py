"""Operations: what operators and business owners do, by HTTP.

operations            commands, the quarantine, the outbox
imports               contacts of the past
policy                rules in force
reports               where context gets lost
identity_reviews      who may be one customer
erasures              forgetting a person
webhook_operations    the webhooks that we send
"""
