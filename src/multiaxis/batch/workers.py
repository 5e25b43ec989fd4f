"""The same jobs in several processes of one machine."""
