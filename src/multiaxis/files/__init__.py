"""Files, whatever is in them: paths, addresses, reading, scratch files, the one atomic writer."""
