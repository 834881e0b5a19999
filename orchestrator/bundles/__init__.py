"""Bundles: the policy as business owners write it, a folder of YAML files. `docs/policy.md` is their guide.

folder.py       a folder ⇄ texts by name           reading.py      texts → rules, or all that is wrong with them
making.py       rules → a whole `Policy`           differences.py  what one policy changes in another
insurer/, utility/   bundles that ship
"""
