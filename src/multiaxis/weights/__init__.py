"""Checkpoints: what is published, where it comes from, how it is read, and how it fits a model.

The modules are imported by name, so that the index and the cache can be asked without torch.
"""
