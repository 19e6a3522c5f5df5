"""`account`: what Meta has of an account, shown and mended."""
