"""Webhooks on their way: bytes, signatures, callback URLs and retries."""
