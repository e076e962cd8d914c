"""The command line: what is printed, asked and returned to the shell.  The one package that prints."""
