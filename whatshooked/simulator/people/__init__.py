"""What users write: every type and variant of an inbound message."""
