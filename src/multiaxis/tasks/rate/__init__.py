"""Telling how good pictures are, as people have rated them: taste, preferences, closeness."""
