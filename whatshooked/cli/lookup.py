"""What Meta shows to the token that `init` was given: ids to offer, and faults of answers before they are written.

Where Meta does not answer, nothing is checked and nothing offered; that is said, and stops nobody.
"""

import re
import sys

from whatshooked.cli.account import wabas
from whatshooked.cli.ask import resolved
from whatshooked.cli.doctor.facts import WHERE
from whatshooked.cli.doctor.gather import app_access
from whatshooked.cli.graph import refusal, with_graph
from whatshooked.config.model import DEFAULT_VERSION
from whatshooked.errors import CommandRefused
from whatshooked.meta import setup
from whatshooked.meta.codes import Retry
from whatshooked.meta.graph import Access, Graph, GraphFailure
from whatshooked.meta.objects import Number, Token


class Lookup:
    """Asks Meta as the token; every `..._fault` returns what is wrong with an answer, "" when nothing is known."""

    def __init__(self, graph_url: str) -> None:
        self._access = Access(graph_url, DEFAULT_VERSION, "")
        self._token: Token | None = None
        self._wabas: list[str] = []
        #: Numbers that the token sees, and their WABAs by the number's id.
        self._numbers: list[Number] = []
        self._owners: dict[str, str] = {}
        self._number: Number | None = None

    @property
    def app_id(self) -> str:
        """The app that the token is of, "" when unknown."""
        return self._token.app_id if self._token else ""

    @property
    def waba(self) -> str:
        """The only WABA that the token names, "" when there are none or several."""
        return self._wabas[0] if len(self._wabas) == 1 else ""

    @property
    def phone(self) -> str:
        """The chosen number as the config has it, "" when Meta did not show it."""
        return "+" + _digits(self._number.phone) if self._number else ""

    def token_fault(self, given: str) -> str:
        """Look at the token, and for its WABAs."""
        value, wrong = _value(given)
        if wrong:
            return wrong
        self._access = Access(self._access.graph_url, DEFAULT_VERSION, value)
        found, self._wabas = with_graph(self._describe)
        if isinstance(found, GraphFailure):
            self._token = None
            if found.code == 190:
                return f"Meta refuses it: {refusal(found)}"
            _say(f"Meta does not describe the token: {refusal(found)}")
            return ""
        self._token = found
        return "" if found.is_valid else f"it is not valid: {found.error or 'Meta does not say why'}"

    def waba_fault(self, given: str) -> str:
        """Look for the numbers of a WABA, or of all that the token names."""
        if given and not given.isdigit():
            return "expected Meta's id of the WABA: digits alone"
        self._numbers, self._owners = [], {}
        if not given and not self._wabas and self._token:
            _say(f"no number can be offered: the token names no WABA. Its id and the number's: {WHERE}")
        for waba_id in [given] if given else self._wabas:
            if (found := self._list(waba_id)) and found.code == 100 and given:
                return refusal(found)
            if found and (found.reached or self._token):
                _say(f"the numbers of WABA {waba_id} cannot be listed: {refusal(found)}")
        self._offer()
        return ""

    def number_id(self, given: str) -> str:
        """Return the id that an answer means: an id, or a place among the offered numbers."""
        place = int(given) if re.fullmatch(r"[0-9]{1,3}", given) else 0
        return self._numbers[place - 1].id if 0 < place <= len(self._numbers) else given

    def only_number(self) -> str:
        """Return the id of the only number that the token sees, "" when there are none or several."""
        return self._numbers[0].id if len(self._numbers) == 1 else ""

    def number_fault(self, given: str) -> str:
        """Look at a number, by its id or its place."""
        number_id, self._number = self.number_id(given), None
        if not number_id.isdigit():
            return "expected Meta's id of the number: digits alone"
        found, beneath = with_graph(lambda graph: self._look(graph, number_id))
        if isinstance(found, Number):
            self._number = found
            return ""
        if found is None or not found.reached or (found.code != 100 and found.status != 200):
            return ""
        self._numbers = self._numbers or beneath
        return self._mistaken(number_id, beneath) + self._others()

    def phone_fault(self, given: str) -> str:
        """Compare a phone number with the chosen one's."""
        if not 7 <= len(_digits(given)) <= 15 or re.sub(r"[+0-9 ().-]", "", given):
            return "expected a number in E.164, such as +1234567890"
        if self._number and _digits(given) != _digits(self._number.phone):
            return f"the number {self._number.id} is {self._number.phone}"
        return ""

    def owner(self, number_id: str) -> str:
        """Return the WABA of the chosen number, as far as it is known."""
        told = self._number.owner("WABA") if self._number else ""
        return told or self._owners.get(number_id, "") or self.waba

    def secret_fault(self, given: str, app_id: str) -> str:
        """Try an app secret as the app does; without the app's id it cannot be tried."""
        value, wrong = _value(given)
        if wrong or not value or not app_id:
            return wrong
        access = app_access(self._access, app_id, value)
        found = with_graph(lambda graph: setup.subscriptions(graph, access, app_id))
        if isinstance(found, GraphFailure) and found.reached and found.retry is Retry.NEVER:
            return f"Meta does not take it for app {app_id}: {refusal(found)}"
        return ""

    async def _describe(self, graph: Graph) -> tuple[Token | GraphFailure, list[str]]:
        found = await setup.debug_token(graph, self._access, self._access.token)
        usable = isinstance(found, Token) and found.is_valid
        return found, await wabas.seen(graph, self._access, found) if usable else []

    def _list(self, waba_id: str) -> GraphFailure | None:
        """Remember the numbers of a WABA; return why Meta does not list them."""
        if not self._access.token:
            return None
        found = with_graph(lambda graph: setup.numbers(graph, self._access, waba_id))
        if isinstance(found, GraphFailure):
            return found
        self._numbers += found
        self._owners |= {one.id: waba_id for one in found}
        return None

    async def _look(self, graph: Graph, number_id: str) -> tuple[Number | GraphFailure | None, list[Number]]:
        """Return the number of this id, or why there is none and the numbers beneath, if it is a WABA's id."""
        if not self._access.token:
            return None, []
        found = await setup.number(graph, self._access, number_id, whole=True)
        if isinstance(found, Number) or not found.reached:
            return found, []
        beneath = await setup.numbers(graph, self._access, number_id)
        return found, beneath if isinstance(beneath, list) else []

    def _mistaken(self, number_id: str, beneath: list[Number]) -> str:
        if beneath or number_id in self._wabas:
            return f"{number_id} is a WABA's id"
        if number_id == self.app_id:
            return f"{number_id} is the app's id"
        if number_id in [_digits(one.phone) for one in self._numbers]:
            return f"{number_id} is the phone number, not its id"
        return f"no number that this token sees has the id {number_id}"

    def _others(self) -> str:
        shown = ", ".join(f"{one.id} ({one.phone})" for one in self._numbers[:5])
        return f"; there is {shown}" if shown else f"; it stands in {WHERE}"

    def _offer(self) -> None:
        for place, one in enumerate(self._numbers, 1):
            _say(f"  {place}  {one.phone:<20} {one.verified_name}  (id {one.id}, {one.status or 'status not told'})")


def _value(given: str) -> tuple[str, str]:
    """Return the secret that an answer stands for, and what is wrong with it."""
    try:
        value = resolved(given)
    except CommandRefused as error:
        return "", str(error)
    fits = re.fullmatch(r"[!-~]*", value)
    return value, "" if fits else "it holds spaces or signs that none of Meta's has: copy it again"


def _digits(phone: str) -> str:
    return re.sub(r"\D", "", phone)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
