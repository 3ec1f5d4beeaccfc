"""The commands that need a file each; `_cli.py` puts them together."""
