"""The gateway's HTTP face: the intake of webhooks, the API of cache and hooks, health and metrics."""
