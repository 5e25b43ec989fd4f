"""Making pictures out of random numbers."""
