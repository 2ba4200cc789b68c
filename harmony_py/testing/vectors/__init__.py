"""Malformed streams and what they should give, as JSON."""
