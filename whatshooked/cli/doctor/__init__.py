"""`doctor`: facts gathered, checks that judge them, findings that say the remedy."""
