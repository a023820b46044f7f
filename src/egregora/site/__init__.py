"""The static site: words, safe text, templates, theme, search and feed; how it is laid out and served."""
