"""Bundles: the policy as business owners write it, a folder of YAML files. `docs/policy.md` is their guide.

folder.py       a folder ⇄ texts by name            reading.py      texts → rules, or all that is wrong with them
values.py       one value of a text, by its type    scalars.py      a number, a word, a switch, a duration
kinds.py        what form a type's values have      making.py       rules → a whole `Policy`
differences.py  what one policy changes in another  remarks.py      what looks mistyped
trees.py        a text → YAML's tree, bounded       mentions.py     where a name stands that any word may be
nodes.py        where a tree's parts stand          unreadable.py   what the parser complains of, in words
durations.py    times in words                      wording.py      what is wrong, in words
insurer/, utility/   bundles that ship
"""
