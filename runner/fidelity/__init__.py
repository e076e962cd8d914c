"""How far the ranking by shared weights may be trusted: the same architectures trained alone, and what they say.

It writes rows of fidelities of its own (`rows`) and one event; the front of a study never changes by it.
"""
