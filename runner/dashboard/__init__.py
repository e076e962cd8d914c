"""What a person looks at: pages and pictures of the record.  It reads values and owns their appearance.

`picture` draws a front, `pages` renders templates, `words` puts numbers and times into words.  Nothing here
opens a database or answers a request; that is `runner.service`.
"""
