"""Processes that run what was submitted: they claim studies and jobs from the record and work on one at a time.

A worker has two processes.  The *supervisor* claims, renews the lease and listens to what people want; it imports no
torch.  A *child* for each claim does the work, so that a crash in native code, or memory that is not given back, ends
with it.  The child writes through a fence (`Repository.fenced`): once another worker has taken over it writes nothing.
"""
