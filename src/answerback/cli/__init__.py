"""The command line."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer

from answerback.accounts.model import DEFAULT_TENANT, ApiKey, hash_key, key_name, new_key
from answerback.benchmark.model import MAX_CONCURRENCY, MAX_RUNS
from answerback.bootstrap.accounts import make_signing_secrets
from answerback.bootstrap.database import migrate as migrate_database
from answerback.bootstrap.database import open_database
from answerback.bootstrap.server import serve as serve_app
from answerback.bootstrap.service import Role
from answerback.bootstrap.stores import Stores, make_stores
from answerback.cli.silence import Silence
from answerback.kernel.clock import rfc3339
from answerback.kernel.errors import Conflict, NotFound, StorageUnavailable
from answerback.kernel.instruments import Instruments
from answerback.kernel.rate import parse_rate
from answerback.queue.fair_order import MAX_WEIGHT
from answerback.settings import Settings, SettingsError, load_settings

T = TypeVar("T")


class ServeRole(StrEnum):
    """What `serve` may do; a worker has a command of its own."""

    ALL = Role.ALL.value
    API = Role.API.value


app = typer.Typer(help="A durable relay between a service and any LLM.", no_args_is_help=True, add_completion=False)
keys = typer.Typer(help="The keys that clients use, each for the things of one tenant.", no_args_is_help=True)
app.add_typer(keys, name="keys")


def _fail(message: str) -> NoReturn:
    typer.echo(f"answerback: {message}", err=True)
    raise typer.Exit(2)


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        _fail(str(error))


def _checked(argument: str, check: Callable[[str], object], given: str) -> None:
    try:
        check(given)
    except ValueError as error:
        _fail(f"{argument} {error}")


def _with_stores(work: Callable[[Stores], Awaitable[T]], settings: Settings | None = None) -> T:
    settings = settings or _settings()

    async def run() -> T:
        database = await open_database(settings, Instruments(Silence()))
        try:
            return await work(make_stores(database))
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except (StorageUnavailable, NotFound, Conflict) as error:
        _fail(str(error))


@app.command()
def serve(
    role: Annotated[
        ServeRole, typer.Option(help="api: take messages in, and leave the work to 'answerback worker'.")
    ] = ServeRole.ALL,
) -> None:
    """Serve on APP_HOST:APP_PORT."""
    raise typer.Exit(serve_app(_settings(), Role(role)))


@app.command()
def worker() -> None:
    """Answer and deliver what the processes on the same database have accepted; any number of workers may."""
    from answerback.bootstrap.worker import work

    raise typer.Exit(work(_settings()))


@app.command()
def demo() -> None:
    """Show messages being accepted, answered, delivered, and surviving a hard kill."""
    from answerback.demo import run

    raise typer.Exit(run(_settings()))


@app.command()
def bench(
    prompts: Annotated[
        Path | None, typer.Argument(help="A file of prompts, one a line. Without it three of our own are asked.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="Name it again for each model to compare.")
    ] = None,
    runs: Annotated[int, typer.Option(help="How often each prompt is asked.", min=1, max=MAX_RUNS)] = 5,
    concurrency: Annotated[int, typer.Option(help="How many are asked at once.", min=1, max=MAX_CONCURRENCY)] = 5,
    max_tokens: Annotated[int, typer.Option(help="How long an answer may become.", min=1)] = 512,
) -> None:
    """Measure models side by side; a CSV of every run and a plot go to BENCHMARKS_DIR."""
    from answerback.cli.bench import BenchError, plans, run

    try:
        planned = plans(prompts, model or (), runs, concurrency, max_tokens)
    except BenchError as error:
        _fail(str(error))
    raise typer.Exit(run(_settings(), planned))


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema (SQLite does so at every start; PostgreSQL while it serves)."""
    settings = _settings()
    try:
        asyncio.run(migrate_database(settings, Instruments(Silence())))
    except StorageUnavailable as error:
        _fail(str(error))
    typer.echo("The database is current.")


@app.command()
def secret(
    key: Annotated[
        str | None,
        typer.Option("--key", help="Whose: a key's name or id, or a tenant's id. Without it the default tenant's."),
    ] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Make a new one; the old one signs on for 24 hours.")
    ] = False,
) -> None:
    """Show the secret that signs a tenant's callbacks."""
    settings = _settings()

    async def find(stores: Stores) -> str:
        tenant_id = DEFAULT_TENANT if key is None else await stores.accounts.find_tenant(key)
        secrets = make_signing_secrets(settings, stores.secrets)
        return (await secrets.rotate(tenant_id))[0].value if rotate else await secrets.current(tenant_id)

    typer.echo(_with_stores(find, settings))


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    tenant: Annotated[
        str | None,
        typer.Option(help="Whose it is: a tenant's id, or the name of a key it has. Without it a new tenant's."),
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
    _checked("NAME", key_name, name)
    if rate_limit is not None:
        _checked("--rate-limit", parse_rate, rate_limit)
    settings, key = _settings(), new_key()

    async def create(stores: Stores) -> tuple[ApiKey, str | None]:
        made = await stores.accounts.create_key(
            name, hash_key(key), rate_limit, tenant=tenant, operator=operator, weight=weight
        )
        secrets = make_signing_secrets(settings, stores.secrets)
        return made, await secrets.current(made.tenant_id) if tenant is None else None

    made, signing_secret = _with_stores(create, settings)
    typer.echo(f"{made.id}  {name}\n{key}\nKeep it now: only its hash is stored.\nIts tenant is {made.tenant_id}.")
    if signing_secret is not None:
        typer.echo(f"Callbacks to it are signed with {signing_secret}")


@keys.command("list")
def list_keys() -> None:
    """Show all keys, without the keys themselves."""
    # Plain lines: a table would cut the ids, which 'keys revoke' takes, to the width of the terminal.
    for key in _with_stores(lambda stores: stores.accounts.list_keys()):
        state = "live" if key.revoked_at is None else f"revoked {rfc3339(key.revoked_at)}"
        rate = key.rate_limit or "default rate"
        role = "operator" if key.operator else "client"
        times = f"{rfc3339(key.created_at)}  {state:<32}"
        typer.echo(f"{key.id}  {times}  {key.tenant_id:<36}  {role:<8}  {rate:<14}  {key.name}")


@keys.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="The id that 'keys list' shows.")]) -> None:
    """End a key; services notice within a second. What belongs to its tenant stays."""
    _with_stores(lambda stores: stores.accounts.revoke_key(key_id))
    typer.echo(f"{key_id} is revoked.")


def main() -> None:
    """The `answerback` command."""
    app()
