"""The networks, and what each family knows about itself; nothing of files and pictures."""
