"""Erasure: a person is forgotten, on a stopped server's files (`erasing`), or as it stops next (`pending`)."""
