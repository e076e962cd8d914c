"""One file a revision, named by its four digits; a released one never changes."""
