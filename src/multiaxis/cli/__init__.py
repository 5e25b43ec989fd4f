"""The command line. The only room that prints, asks the terminal, or exits."""
