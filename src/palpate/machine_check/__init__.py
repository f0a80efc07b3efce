"""Check of the machine that work will run on: what was found, whether it suffices, what to do, and a fitting profile.

A topic is a file. It gathers facts from the machine (`..._facts`) and judges them (`..._line`), which is a function of
the facts alone. `check.py` asks all topics, `profile.py` turns the facts into a workflow profile.
"""
