"""A plausible webhook of every field."""
