"""The stages of a study, one file each.

Each takes the study at work and returns what it wants to say of itself as plain data.  Each may be cut off at any
moment and run again: it looks at the record first and does what is missing.
"""

STAGE_NAMES = ("train", "profile", "search", "confirm", "retrain", "export")  # in their order, without their code
