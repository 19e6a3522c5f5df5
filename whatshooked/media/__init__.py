"""Where files of messages live: their names and links (pure), the stores, and how long they stay."""
