"""What the rows of a study say: which choices matter, how good predictions were, how training went.

Computed from rows alone, with NumPy: a server does this, and it imports neither torch nor scikit-learn.
"""
