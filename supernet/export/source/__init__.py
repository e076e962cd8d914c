"""A module written out as Python that needs torch alone."""
