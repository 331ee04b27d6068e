"""Glovebox: run security scanners as if they were hostile."""
