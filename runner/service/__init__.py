"""The web service: the API, the pages, and who may ask what.  The only package that imports FastAPI.

It imports no torch, unpickles nothing and runs no user's code: what a study asks for, workers do.
"""
