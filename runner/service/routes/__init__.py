"""The routes, by what they are about.  A route reads what was asked, asks the record, and answers with a document."""
