"""What commands share: the settings, and the stores of the database that these name; failures end in one line."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NoReturn, TypeVar

import typer

from answerback.bootstrap.database import open_database
from answerback.bootstrap.stores import Stores, make_stores
from answerback.cli.silence import Silence
from answerback.kernel.errors import Conflict, NotFound, StorageUnavailable
from answerback.kernel.instruments import Instruments
from answerback.settings import Settings, SettingsError, load_settings

T = TypeVar("T")


def fail(message: str) -> NoReturn:
    typer.echo(f"answerback: {message}", err=True)
    raise typer.Exit(2)


def settings_or_fail(options: Mapping[str, str] | None = None, **given: object) -> Settings:
    """The settings, with those that the command line gives in place of the environment's, by these `options`."""
    try:
        return load_settings(options, **given)
    except SettingsError as error:
        fail(str(error))


def check(argument: str, valid: Callable[[str], object], given: str) -> None:
    """Fails where `valid` raises ValueError."""
    try:
        valid(given)
    except ValueError as error:
        fail(f"{argument} {error}")


def text(parameter: typer.CallbackParam, given: str | None) -> str | None:
    """The callback of a parameter that a database is asked for, or that signs: fails where it is not UTF-8."""
    try:
        return given and given.encode().decode()
    except UnicodeEncodeError:
        name = parameter.opts[-1]
        fail(f"{name if name.startswith('-') else name.upper()} must be UTF-8 text")


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Stores]:
    """Raises StorageUnavailable."""
    database = await open_database(settings, Instruments(Silence()))
    try:
        yield make_stores(database)
    finally:
        await database.close()


def with_stores(work: Callable[[Stores], Awaitable[T]], settings: Settings | None = None) -> T:
    """What `work` returns. Names the database on stderr, and says if it is new, as in a folder that is not the
    service's: a wrong one is noticed, and stdout holds the result only."""
    settings = settings or settings_or_fail()
    path = settings.database_path
    is_new = path is not None and not path.exists()

    async def run() -> T:
        async with opened(settings) as stores:
            return await work(stores)

    try:
        done = asyncio.run(run())
    except (StorageUnavailable, NotFound, Conflict) as error:
        fail(str(error))
    note = " (new; a service that was started in another folder uses another one)" if is_new else ""
    typer.echo(f"Database: {settings.database_shown}{note}", err=True)
    return done
