"""Signing secrets: each owner's own, their rotation, and what a signer remembers of them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from answerback.accounts.model import DEFAULT_TENANT
from answerback.kernel import signature
from answerback.kernel.errors import Conflict
from answerback.testing.clock import FakeClock
from answerback.testing.signatures import InvalidSignatureError, verify
from answerback.webhooks.signing import signer
from answerback.webhooks.signing.secrets import MAX_LIVE, SigningSecret, SigningSecrets
from answerback.webhooks.signing.signer import FRESH_SECONDS, Signer
from databases import Database, PostgresDatabase, SqliteDatabase
from racing import blocked, held
from stores import Stores
from whole_api import whole_api

HOUR = 3600.0
A, B = "tnt_a", "tnt_b"


def values(secrets: Sequence[SigningSecret]) -> list[str]:
    return [secret.value for secret in secrets]


async def live(stores: Stores, owner: str = A, configured: str | None = None) -> list[str]:
    settled = {} if configured is None else {owner: configured}
    return values(await SigningSecrets(stores.database, settled).live(owner))


async def test_an_owners_secret_is_made_at_its_first_use_and_kept(stores: Stores, database: Database) -> None:
    (made,) = await live(stores)

    assert made.startswith("whsec_")
    assert len(signature.webhook_key(made)) == 32
    for _ in range(3):
        assert await live(stores) == [made]
    assert await database.rows("SELECT count(*) FROM signing_secrets") == [(1,)]


async def test_each_owner_has_a_secret_of_its_own(stores: Stores) -> None:
    assert await live(stores, A) != await live(stores, B)


async def test_a_rotated_secret_signs_beside_the_new_one_for_24_hours(stores: Stores, clock: FakeClock) -> None:
    (old,) = await live(stores)

    new, replaced = await stores.secrets.rotate(A)

    assert (new.expires_at, replaced.value, replaced.expires_at) == (None, old, clock.now() + 24 * 3_600_000)
    clock.advance(24 * HOUR - 0.001)
    assert await live(stores) == [new.value, old]
    clock.advance(0.001)
    assert await live(stores) == [new.value]


@pytest.mark.parametrize("step", [-86_400, 86_400])
async def test_on_sqlite_it_signs_for_24_hours_though_the_clock_is_set(path: Path, clock: FakeClock, step: int) -> None:
    stores = await SqliteDatabase(path).open(clock)
    (old,) = await live(stores)
    (new, _) = await stores.secrets.rotate(A)

    clock.step(step)

    shown = await stores.secrets.live(A)
    assert [(each.value, each.expires_at) for each in shown] == [
        (new.value, None),
        (old, clock.now() + 24 * 3_600_000),
    ]
    clock.advance(24 * HOUR)
    assert await live(stores) == [new.value]
    await stores.close()


async def test_a_rotation_leaves_other_owners_alone(stores: Stores) -> None:
    before = await live(stores, B)

    await stores.secrets.rotate(A)

    assert await live(stores, B) == before


async def test_two_rotations_within_a_day_leave_three_live_secrets(stores: Stores, clock: FakeClock) -> None:
    (first,) = await live(stores)
    second = (await stores.secrets.rotate(A))[0].value
    clock.advance(12 * HOUR)
    third = (await stores.secrets.rotate(A))[0].value

    assert await live(stores) == [third, second, first]
    clock.advance(12 * HOUR)
    assert await live(stores) == [third, second]


async def test_rotating_without_end_neither_fills_the_header_nor_the_database(
    stores: Stores, clock: FakeClock, database: Database
) -> None:
    for _ in range(MAX_LIVE + 3):
        rotated = values(await stores.secrets.rotate(A))

    assert len(rotated) == MAX_LIVE
    clock.advance(24 * HOUR)
    await stores.secrets.rotate(A)
    assert await database.rows("SELECT count(*) FROM signing_secrets") == [(2,)]


async def test_a_newly_configured_secret_takes_over_and_the_others_go_on_for_a_day(
    stores: Stores, clock: FakeClock
) -> None:
    (made,) = await live(stores)

    for _ in range(2):
        assert await live(stores, A, "configured") == ["configured", made]
    clock.advance(24 * HOUR)
    assert await live(stores, A, "configured") == ["configured"]


async def test_one_that_never_signed_signs_beside_the_next_that_is_configured(path: Path) -> None:
    async with whole_api(path, callback_hmac_secret="one"):
        pass

    async with whole_api(path, callback_hmac_secret="two") as api:
        shown = (await api("GET", "/v1/signing_secret")).json
        signing = await api.service.webhooks.secrets.live(DEFAULT_TENANT)

    assert (shown["secret"], values(signing)) == ("two", ["two", "one"])
    assert shown["previous_expires_at"] is not None


async def test_returning_to_an_earlier_configured_secret_lists_it_once(stores: Stores) -> None:
    await live(stores, A, "one")
    await live(stores, A, "two")

    assert await live(stores, A, "one") == ["one", "two"]


async def test_a_configured_secret_is_its_owners_only_and_is_not_rotated(stores: Stores) -> None:
    secrets = SigningSecrets(stores.database, {A: "configured"})

    assert await secrets.current(A) == "configured"
    assert await secrets.current(B) != "configured"
    with pytest.raises(Conflict, match="CALLBACK_HMAC_SECRET"):
        await secrets.rotate(A)
    assert len(await secrets.rotate(B)) == 2


# What a signer makes of them.


async def signed(by: Signer, owner: str = A) -> dict[str, str]:
    return await by.headers(owner, "msg_1", 1_750_000_000_000, b"{}")


async def signatures(by: Signer, owner: str = A) -> int:
    return len((await signed(by, owner))["webhook-signature"].split())


async def test_a_receiver_of_one_tenant_can_neither_verify_nor_forge_what_another_receives(
    stores: Stores, clock: FakeClock
) -> None:
    both = Signer(SigningSecrets(stores.database), clock)
    (secret_of_a,), (secret_of_b,) = await live(stores, A), await live(stores, B)

    to_a, to_b = await signed(both, A), await signed(both, B)

    for headers, own, others in ((to_a, secret_of_a, secret_of_b), (to_b, secret_of_b, secret_of_a)):
        assert verify(headers, b"{}", own, now=1_750_000_000) == "msg_1"
        with pytest.raises(InvalidSignatureError):
            verify(headers, b"{}", others, now=1_750_000_000)
    forged = signature.headers("msg_1", 1_750_000_000, b"{}", [secret_of_a])
    assert forged["webhook-signature"] not in to_b["webhook-signature"]
    assert forged["X-Signature"] != to_b["X-Signature"]


async def test_outside_of_a_rotation_exactly_one_signature_goes_out(stores: Stores, clock: FakeClock) -> None:
    signing = Signer(SigningSecrets(stores.database), clock)
    assert await signatures(signing) == 1

    new = (await stores.secrets.rotate(A))[0].value
    clock.advance(FRESH_SECONDS)

    made = await signed(signing)
    assert len(made["webhook-signature"].split()) == 2
    assert made["X-Signature"] == signature.headers("x", 1, b"{}", [new])["X-Signature"]
    clock.advance(24 * HOUR)
    assert await signatures(signing) == 1


async def test_a_rotation_in_this_process_signs_at_once(stores: Stores, clock: FakeClock) -> None:
    secrets = SigningSecrets(stores.database)
    signing = Signer(secrets, clock)
    await signed(signing)

    await secrets.rotate(A)

    assert await signatures(signing) == 2


async def test_a_rotation_in_another_process_is_noticed_within_moments(stores: Stores, clock: FakeClock) -> None:
    signing = Signer(SigningSecrets(stores.database), clock)
    await signed(signing)
    await stores.secrets.rotate(A)

    clock.advance(FRESH_SECONDS - 0.001)
    assert await signatures(signing) == 1
    clock.advance(0.001)
    assert await signatures(signing) == 2


class Counting(SigningSecrets):
    """Without a database: counts who was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def rotations(self, owner: str) -> int:
        return 0

    async def live(self, owner: str) -> list[SigningSecret]:
        self.asked.append(owner)
        await asyncio.sleep(0)
        return [SigningSecret(f"secret of {owner}", 0, None)]


async def test_many_deliveries_at_once_read_an_owners_secrets_once(clock: FakeClock) -> None:
    store = Counting()
    signing = Signer(store, clock)

    for _ in range(3):
        await asyncio.gather(*(signed(signing, owner) for owner in (A, B) for _ in range(50)))

    assert sorted(store.asked) == [A, B]


async def test_a_delivery_that_is_given_up_while_secrets_are_read_keeps_none_waiting(clock: FakeClock) -> None:
    store = Counting()
    signing = Signer(store, clock)
    given_up, waiting = (asyncio.create_task(signed(signing)) for _ in range(2))
    await asyncio.sleep(0)

    given_up.cancel()

    assert await waiting
    assert store.asked == [A, A]


async def test_a_signer_remembers_the_owners_that_it_needed_last(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signer, "MAX_OWNERS", 2)
    store = Counting()
    signing = Signer(store, clock)

    for owner in ("one", "two", "one", "three", "one", "two"):
        await signed(signing, owner)

    assert store.asked == ["one", "two", "three", "two"]


# Two processes that meet in the middle of a change.


async def test_processes_that_need_a_first_secret_at_once_make_one(
    one: Stores, other: Stores, postgres: PostgresDatabase
) -> None:
    async with held(other, other.secrets.live(A)) as first:
        second = await blocked(postgres, one.secrets.live(A))
        assert await first.commit() == await second


async def test_rotations_at_once_follow_one_another(one: Stores, other: Stores, postgres: PostgresDatabase) -> None:
    await one.secrets.live(A)

    async with held(other, other.secrets.rotate(A)) as first:
        second = await blocked(postgres, one.secrets.rotate(A))
        rotated = values(await first.commit())
        assert values(await second)[1:] == rotated

    assert [secret.expires_at is None for secret in await one.secrets.live(A)] == [True, False, False]
