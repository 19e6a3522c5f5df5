"""One file a version; what one of them did is never changed, a later one changes it."""
