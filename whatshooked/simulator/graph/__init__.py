"""A call of Graph: its path, who calls, what it may, and Graph's own errors."""
