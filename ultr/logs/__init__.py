"""Readers of raw logs, one format a file: `read(path) -> chunks of whole pages and rejects`."""
