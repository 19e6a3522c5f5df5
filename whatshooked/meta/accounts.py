"""Whose event is it: the account that an item of a webhook belongs to; pure.

Contract, section 3: the configured account of the item's phone_number_id, when it trusts the path the item came by,
else the path's account, then marked as of a foreign number.
"""

from collections.abc import Iterable
from typing import NamedTuple

from whatshooked.config import Account


class Owner(NamedTuple):
    """The account an item belongs to; `foreign` when its number is none of ours (or not to be trusted)."""

    account_id: str
    foreign: bool


class Accounts:
    """The configured accounts, indexed by what Meta calls them."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self.by_id: dict[str, Account] = {}
        self._by_number: dict[str, Account] = {}
        self._by_waba: dict[str, list[Account]] = {}
        for account in accounts:
            api = account.business_api
            if api is None:
                continue
            self.by_id[account.id] = account
            self._by_number[api.phone_number_id] = account
            if api.business_account_id:
                self._by_waba.setdefault(api.business_account_id, []).append(account)

    def owner(self, path: Account, *, number_id: str, waba_id: str, meta: bool) -> Owner:
        """Return whose item came by `path`; `meta` items of no number of ours belong to the WABA's account."""
        named = self._by_number.get(number_id)
        if named is not None and trusts(named, path):
            return Owner(named.id, foreign=False)
        if meta:
            candidates = [account for account in self._by_waba.get(waba_id, ()) if trusts(account, path)]
            if candidates:
                return Owner((path if path in candidates else candidates[0]).id, foreign=False)
        return Owner(path.id, foreign=bool(number_id))


def trusts(account: Account, path: Account) -> bool:
    """Return whether what was signed for `path` may be `account`'s: a secret in common, or none on either side."""
    if account is path:
        return True
    mine = set(account.business_api.app_secret) if account.business_api else set()
    theirs = set(path.business_api.app_secret) if path.business_api else set()
    return bool(mine & theirs) or not (mine or theirs)
