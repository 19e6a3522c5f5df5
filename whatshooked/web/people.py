"""The API that forgets a person."""

from typing import Annotated

from litestar import Controller, delete
from litestar.datastructures import State
from litestar.params import PathParameter, QueryParameter

from whatshooked.meta import phone
from whatshooked.people import Forgetting, Receipt
from whatshooked.web.auth import AnyRequest, actor
from whatshooked.web.faults import Fault
from whatshooked.web.gateway import Gateway

PersonId = Annotated[str, PathParameter(description="the phone number with its country code, or Meta's user id")]
Confirm = Annotated[bool, QueryParameter(description="really forget them")]


class PeopleController(Controller):
    """`/api/people`."""

    path = "/people"
    tags = ("people",)

    @delete("/{person_id:str}", status_code=200, summary="Forget a person")
    async def forget(self, request: AnyRequest, state: State, person_id: PersonId, confirm: Confirm = False) -> Receipt:
        """Erase or mask one person in stream, cache, history, media, outbox and log; may take minutes."""
        if not confirm:
            raise Fault(400, "confirm_missing", "forgetting a person cannot be undone", "add ?confirm=true")
        gateway: Gateway = state.gateway
        try:
            name = phone.normalise(person_id, gateway.config.server.default_country_code)
            found = Forgetting(gateway.config, gateway.link, gateway.keys, gateway.store, gateway.activity)
            return await found.forget(name, actor=actor(request))
        except ValueError as error:
            raise Fault(
                400, "bad_person", str(error), "give the number with its country code, or Meta's user id"
            ) from error
        finally:
            gateway.customers.forget()
