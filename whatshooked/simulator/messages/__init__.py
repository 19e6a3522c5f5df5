"""What a business sends: shapes, limits, windows, and what becomes of it."""
