"""Rules: what business owners write, one file a subject. `actors/rules/policy.py` puts them together."""
