"""Identifiers of what entities mean, from terminologies."""
