"""The command line."""

import asyncio
import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from answerback import __version__
from answerback.accounts.model import DEFAULT_TENANT
from answerback.benchmark.model import MAX_CONCURRENCY, MAX_RUNS
from answerback.bootstrap.accounts import make_signing_secrets
from answerback.bootstrap.database import migrate as migrate_database
from answerback.bootstrap.server import serve as serve_app
from answerback.bootstrap.service import Role
from answerback.bootstrap.stores import Stores
from answerback.cli.keys import keys
from answerback.cli.silence import Silence
from answerback.cli.stores import check, fail, settings_or_fail, text, with_stores
from answerback.kernel.errors import StorageUnavailable
from answerback.kernel.instruments import Instruments
from answerback.kernel.signature import webhook_key

MOST_PROCESSES = 256


class ServeRole(StrEnum):
    """What `serve` may do; a worker has a command of its own."""

    ALL = Role.ALL.value
    API = Role.API.value


app = typer.Typer(
    help="A durable relay between a service and any LLM.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(keys, name="keys")


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"answerback {__version__}")
        raise typer.Exit


@app.callback()
def answerback(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A durable relay between a service and any LLM."""


@app.command()
def init() -> None:
    """Write a .env with every setting, commented out and explained, and show what to do next."""
    from answerback.cli.first_steps import first_steps
    from answerback.cli.init import WROTE, InitError, write_env

    settings = settings_or_fail()
    try:
        write_env(Path(".env"))
    except InitError as error:
        fail(str(error))
    typer.echo("\n  ".join((WROTE, *first_steps(settings))))


@app.command()
def serve(
    role: Annotated[
        ServeRole, typer.Option(help="api: take messages in, and leave the work to 'answerback worker'.")
    ] = ServeRole.ALL,
    host: Annotated[str | None, typer.Option(help="Address to listen on, in place of APP_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, in place of APP_PORT.")] = None,
    processes: Annotated[
        int, typer.Option(help="How many processes share the address: one for each core.", min=1, max=MOST_PROCESSES)
    ] = 1,
) -> None:
    """Serve on APP_HOST:APP_PORT (127.0.0.1:8080).

    Settings are read from the environment and from .env in the working directory; the environment wins.
    'answerback init' writes a .env that explains every setting.
    """
    given = {"app_host": host, "app_port": port}
    options = {"app_host": "--host", "app_port": "--port"}
    settings = settings_or_fail(options, **{name: value for name, value in given.items() if value is not None})
    raise typer.Exit(serve_app(settings, Role(role), processes=processes))


@app.command()
def listen(
    port: Annotated[int, typer.Argument(min=1, max=65535, help="Port to listen on.")] = 9000,
    status: Annotated[int, typer.Option(min=200, max=599, help="Answer with this status, to rehearse trouble.")] = 200,
    delay: Annotated[float, typer.Option(min=0, help="Answer after so many seconds.")] = 0,
    secret: Annotated[
        str | None,
        typer.Option(
            callback=text,
            help="The secret that signs. Without it those of the service: CALLBACK_HMAC_SECRET, its database's.",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", callback=text, help="Only this tenant's secret: a key's name or id, or the tenant's id."),
    ] = None,
) -> None:
    """Receive callbacks on 127.0.0.1 and print them: a receiver to try things with."""
    from answerback.cli.listen import ListenError
    from answerback.cli.listen import listen as receive
    from answerback.cli.secrets import KnownSecrets

    if not math.isfinite(delay):
        fail("--delay must be a number of seconds")
    if secret is not None:
        check("--secret", webhook_key, secret)
    try:
        receive(port, status, delay, KnownSecrets(settings_or_fail(), secret, key), typer.echo)
    except ListenError as error:
        fail(str(error))


@app.command()
def worker() -> None:
    """Answer and deliver what the processes on the same database have accepted; any number of workers may."""
    from answerback.bootstrap.worker import work

    raise typer.Exit(work(settings_or_fail()))


@app.command()
def demo() -> None:
    """Show messages being accepted, answered, delivered, and surviving a hard kill."""
    from answerback.demo import run

    raise typer.Exit(run(settings_or_fail()))


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
        fail(str(error))
    raise typer.Exit(run(settings_or_fail(), planned))


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema (SQLite does so at every start; PostgreSQL while it serves)."""
    settings = settings_or_fail()
    try:
        asyncio.run(migrate_database(settings, Instruments(Silence())))
    except StorageUnavailable as error:
        fail(str(error))
    typer.echo("The database is current.")


@app.command()
def secret(
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            callback=text,
            help="Whose: a key's name or id, or a tenant's id. Without it the default tenant's.",
        ),
    ] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Make a new one; the old one signs on for 24 hours.")
    ] = False,
) -> None:
    """Show the secret that signs a tenant's callbacks."""
    settings = settings_or_fail()

    async def find(stores: Stores) -> str:
        tenant_id = DEFAULT_TENANT if key is None else await stores.accounts.find_tenant(key)
        secrets = make_signing_secrets(settings, stores.database)
        return (await secrets.rotate(tenant_id))[0].value if rotate else await secrets.current(tenant_id)

    typer.echo(with_stores(find, settings))


def main() -> None:
    """The `answerback` command."""
    app()
