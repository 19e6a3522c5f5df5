"""The stored files that a message names: whether they are there, and what Meta would say of them."""

from whatshooked import logs
from whatshooked.errors import SendFault, StoreUnavailable
from whatshooked.meta.send import stored
from whatshooked.web.gateway import Gateway

log = logs.get("outbox")


async def check_files(gateway: Gateway, account_id: str, body: bytes, key: str | None) -> None:
    """Refuse a message whose stored file cannot be sent, unless its Idempotency-Key stands for one already.

    Raises SendFault and StreamUnavailable; a store that does not answer refuses nothing.
    """
    try:
        faults = await _faults(gateway, account_id, body)
    except StoreUnavailable as error:
        log.seldom("warn", "A message's file was not looked at", account_id=account_id, error=str(error))
        return
    if faults and not (key and await gateway.outbox.knows(account_id, key)):
        raise SendFault(faults)


async def _faults(gateway: Gateway, account_id: str, body: bytes) -> list[str]:
    found = []
    for use in stored.read(body):
        about = await gateway.store.about(account_id, use.filename)
        fault = stored.fault(use.kind, about.mime_type, about.size) if about else "there is no such file"
        if fault:
            found.append(f"{use.place}.{stored.KEY}: {fault}")
    return found
