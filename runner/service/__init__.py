"""The web service: routes, their safety, and what the record says to a reader.  The only package that imports FastAPI.

It reads the record and never writes to it; it imports no torch, unpickles nothing and runs no user's code.
"""
