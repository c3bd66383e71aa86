"""Readers of raw logs, one format a file."""
