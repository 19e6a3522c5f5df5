"""What Prometheus would read, taken apart."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Gateway

Shown = dict[tuple[str, ...], float]


def read(text: str) -> Shown:
    """The samples of an exposition, by name and labels' values."""
    families = text_string_to_metric_families(text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


async def scrape(gateway: Gateway) -> Shown:
    """What the public port shows."""
    return read((await gateway.client.get(f"{gateway.base}/metrics")).text)


async def scrape_port(client: httpx.AsyncClient, port: int) -> Shown | None:
    """What a port of its own shows, None while nobody serves it."""
    try:
        return read((await client.get(f"http://127.0.0.1:{port}/metrics")).text)
    except httpx.TransportError:
        return None
