"""Stand-ins for the world outside: a sample receiver that shows what a hook gets, and answers for Meta's Graph."""
