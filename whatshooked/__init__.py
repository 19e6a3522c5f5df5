"""WhatsHooked: durable gateway for WhatsApp Business Cloud API webhooks."""

__version__ = "0.1.0"
