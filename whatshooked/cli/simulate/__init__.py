"""`simulate`: play Meta's side, one message, a script or a burst at a time."""
