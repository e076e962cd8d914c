"""What the operator of a state folder registered: data by name, and tasks and families of the operator's own.

A study names these things and never says where they lie: whoever may write a study may not choose what is read from
the disk or which code is run.
"""
