"""The event log: what happened, written where the operator looks for it, and asked of it again."""
