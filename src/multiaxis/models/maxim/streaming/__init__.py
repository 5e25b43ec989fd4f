"""MAXIM in pieces: exact, with a few maps alive instead of all, at one price for every size."""

from multiaxis.models.maxim.streaming.streamed import Streamed, streamed

__all__ = ["Streamed", "streamed"]
