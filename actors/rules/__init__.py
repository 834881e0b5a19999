"""Rules: what business owners write, one file a subject. `actors/policy.py` puts them together."""
