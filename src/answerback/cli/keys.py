"""`answerback keys`: the keys that clients use."""

from collections.abc import Sequence
from typing import Annotated

import typer

from answerback.accounts.model import ApiKey, hash_key, key_name, new_key
from answerback.bootstrap.accounts import make_signing_secrets
from answerback.bootstrap.stores import Stores
from answerback.cli.stores import check, settings_or_fail, text, with_stores
from answerback.kernel.clock import rfc3339
from answerback.kernel.rate import parse_rate
from answerback.queue.fair_order import MAX_WEIGHT

FIRST_KEY = (
    "This is the first key: from now on every call needs one, and this one cannot manage keys. "
    "For /v1/keys make another: answerback keys create NAME --operator"
)

SAME_NAME = (
    "There is another key named {name}, of another tenant, which sees other things. "
    "For one more key of the same tenant: answerback keys create {name} --tenant {tenant}"
)

keys = typer.Typer(help="The keys that clients use, each for the things of one tenant.", no_args_is_help=True)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    tenant: Annotated[
        str | None,
        typer.Option(
            callback=text, help="Whose it is: a tenant's id, or the name of a key it has. Without it a new tenant's."
        ),
    ] = None,
    operator: Annotated[
        bool, typer.Option("--operator", help="It may manage keys over HTTP, and ask for other tenants' lists.")
    ] = False,
    rate_limit: Annotated[
        str | None, typer.Option(help="Its own rate, such as 1000/hour; 0: no limit. Without it RATE_LIMIT counts.")
    ] = None,
    weight: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_WEIGHT,
            help="Its tenant's share of what is short, beside tenants of weight 1. A new tenant's is 1.",
        ),
    ] = None,
) -> None:
    """Make a key; it is shown once. A new tenant's callbacks are signed with the secret that is shown with it."""
    check("NAME", key_name, name)
    if rate_limit is not None:
        check("--rate-limit", parse_rate, rate_limit)
    settings, key = settings_or_fail(), new_key()

    async def create(stores: Stores) -> tuple[ApiKey, str | None, Sequence[ApiKey]]:
        earlier = await stores.accounts.list_keys()
        made = await stores.accounts.create_key(
            name, hash_key(key), rate_limit, tenant=tenant, operator=operator, weight=weight
        )
        secrets = make_signing_secrets(settings, stores.database)
        return made, await secrets.current(made.tenant_id) if tenant is None else None, earlier

    made, signing_secret, earlier = with_stores(create, settings)
    typer.echo(f"{made.id}  {name}\n{key}\nKeep it now: only its hash is stored.\nIts tenant is {made.tenant_id}.")
    if signing_secret is not None:
        typer.echo(f"Callbacks to it are signed with {signing_secret}")
    same = [key.tenant_id for key in earlier if key.name == name and key.revoked_at is None]
    if same and made.tenant_id not in same:
        typer.echo(SAME_NAME.format(name=name, tenant=same[-1]), err=True)
    if not earlier and not (operator or settings.auth_token or settings.operator_token):
        typer.echo(FIRST_KEY, err=True)


@keys.command("list")
def list_keys() -> None:
    """Show all keys, without the keys themselves."""
    # Plain lines: a table would cut the ids, which 'keys revoke' takes, to the width of the terminal.
    for key in with_stores(lambda stores: stores.accounts.list_keys()):
        state = "live" if key.revoked_at is None else f"revoked {rfc3339(key.revoked_at)}"
        rate, weight = key.rate_limit or "default rate", f"weight {key.weight}"
        role = "operator" if key.operator else "client"
        times = f"{rfc3339(key.created_at)}  {state:<32}"
        typer.echo(f"{key.id}  {times}  {key.tenant_id:<36}  {role:<8}  {rate:<14}  {weight:<11}  {key.name}")


@keys.command("weigh")
def weigh_tenant(
    tenant: Annotated[str, typer.Argument(callback=text, help="A tenant's id, or the name or id of a key it has.")],
    weight: Annotated[
        int, typer.Argument(min=1, max=MAX_WEIGHT, help="Its share of what is short, beside tenants of weight 1.")
    ],
) -> None:
    """Give a tenant another weight; services notice within a minute."""
    tenant_id = with_stores(lambda stores: stores.accounts.weigh(tenant, weight))
    typer.echo(f"{tenant_id} weighs {weight}.")


@keys.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(callback=text, help="The id that 'keys list' shows.")]) -> None:
    """End a key; services notice within a second. What belongs to its tenant stays."""
    with_stores(lambda stores: stores.accounts.revoke_key(key_id))
    typer.echo(f"{key_id} is revoked.")
