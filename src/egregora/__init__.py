"""Egregora turns a group chat's export into a blog, and explains every sentence of it."""

__version__ = "0.1.0"
