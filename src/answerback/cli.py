"""The command line."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer

from answerback import bootstrap
from answerback.accounts.auth import hash_key, new_key
from answerback.benchmark.model import MAX_CONCURRENCY, MAX_RUNS
from answerback.bootstrap import Role
from answerback.bootstrap.server import serve as serve_app
from answerback.jobs.callbacks import rfc3339
from answerback.jobs.ports import Store
from answerback.kernel.errors import NotFound, StorageUnavailable
from answerback.kernel.rate import parse_rate
from answerback.settings import Settings, SettingsError, load_settings

T = TypeVar("T")


class ServeRole(StrEnum):
    """What `serve` may do; a worker has a command of its own."""

    ALL = Role.ALL.value
    API = Role.API.value


app = typer.Typer(help="A durable relay between a service and any LLM.", no_args_is_help=True, add_completion=False)
keys = typer.Typer(help="The keys that clients use; each is a tenant of its own.", no_args_is_help=True)
app.add_typer(keys, name="keys")


def _fail(message: str) -> NoReturn:
    typer.echo(f"answerback: {message}", err=True)
    raise typer.Exit(2)


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        _fail(str(error))


def _with_store(work: Callable[[Store], Awaitable[T]]) -> T:
    settings = _settings()

    async def run() -> T:
        store = await bootstrap.open_store(settings)
        try:
            return await work(store)
        finally:
            await store.close()

    try:
        return asyncio.run(run())
    except (StorageUnavailable, NotFound) as error:
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
    from answerback.benchmark.cli import BenchError, plans, run

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
        asyncio.run(bootstrap.migrate(settings))
    except StorageUnavailable as error:
        _fail(str(error))
    typer.echo("The database is current.")


@app.command()
def secret(
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Make a new one; the old one signs on for 24 hours.")
    ] = False,
) -> None:
    """Show the secret that signs callbacks."""
    configured = bootstrap.secret_of(_settings())
    if rotate and configured is not None:
        _fail("CALLBACK_HMAC_SECRET is set: change it and restart; the old one signs on for 24 hours")
    if rotate:
        typer.echo(_with_store(lambda store: store.rotate_secret()))
    else:
        typer.echo(_with_store(lambda store: store.callback_secrets(configured))[0])


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    rate_limit: Annotated[
        str | None, typer.Option(help="Its own rate, such as 1000/hour; 0: no limit. Without it RATE_LIMIT counts.")
    ] = None,
) -> None:
    """Make a key; it is shown once."""
    if rate_limit is not None:
        try:
            parse_rate(rate_limit)
        except ValueError as error:
            _fail(f"--rate-limit {error}")
    if not name.strip() or not name.isprintable():
        _fail("a key's name must be printable text")
    key = new_key()
    made = _with_store(lambda store: store.create_key(name, hash_key(key), rate_limit))
    typer.echo(f"{made.id}  {name}\n{key}\nKeep it now: only its hash is stored.")


@keys.command("list")
def list_keys() -> None:
    """Show all keys, without the keys themselves."""
    # Plain lines: a table would cut the ids, which 'keys revoke' takes, to the width of the terminal.
    for key in _with_store(lambda store: store.list_keys()):
        state = "live" if key.revoked_at is None else f"revoked {rfc3339(key.revoked_at)}"
        rate = key.rate_limit or "default rate"
        typer.echo(f"{key.id}  {rfc3339(key.created_at)}  {state:<32}  {rate:<14}  {key.name}")


@keys.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="The id that 'keys list' shows.")]) -> None:
    """End a key; services notice within a second."""
    _with_store(lambda store: store.revoke_key(key_id))
    typer.echo(f"{key_id} is revoked.")


def main() -> None:
    """The `answerback` command."""
    app()
