"""Restoring over HTTP: a page for people and an interface for programs, on this machine.

It takes uploads, keeps them in a spool folder, and hands each to `multiaxis.batch` in a process of
its own. It decides who may ask and who waits; how a picture is restored is decided below.
"""
