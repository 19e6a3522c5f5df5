"""The sample receiver of a first run, and what it tells."""
