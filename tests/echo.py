"""A business, played: it marks what it gets as read and answers through Graph, beside answering the webhook."""

import asyncio
from typing import Any

from tests.receiver import Received, status
from tests.simulated import Meta, callback

BUTTONS = {
    "type": "button",
    "header": {"type": "text", "text": "Fruit"},
    "body": {"text": "Pick one"},
    "action": {
        "buttons": [
            {"type": "reply", "reply": {"id": "a", "title": "Apples"}},
            {"type": "reply", "reply": {"id": "b", "title": "Pears"}},
        ]
    },
}


class Echo:
    """Echoes texts as "echo: ..."; "menu" brings buttons, "silence" nothing."""

    def __init__(self, sim: Meta, code: int = 200) -> None:
        self._sim = sim
        self._tasks: set[asyncio.Task[None]] = set()
        self._code = code
        sim.receiver.behave = callback(self._behave)

    async def _behave(self, request: Received, writer: asyncio.StreamWriter) -> None:
        await status(self._code)(request, writer)
        changes = [change for entry in request.json["entry"] for change in entry["changes"]]
        for message in [row for change in changes for row in change["value"].get("messages", [])]:
            task = asyncio.create_task(self._reply(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _reply(self, message: dict[str, Any]) -> None:
        whom = {"to": f"+{message['from']}"} if "from" in message else {"recipient": message["from_user_id"]}
        typing = {"status": "read", "message_id": message["id"], "typing_indicator": {"type": "text"}}
        await self._send(typing)
        said = message.get("text", {}).get("body", message["type"])
        if said == "menu":
            await self._send(whom | {"type": "interactive", "interactive": BUTTONS})
        elif said != "silence":
            await self._send(whom | {"type": "text", "text": {"body": f"echo: {said}"}})

    async def _send(self, body: dict[str, Any]) -> None:
        path = f"{self._sim.number.id}/messages"
        await self._sim.ask("POST", path, json={"messaging_product": "whatsapp"} | body)
