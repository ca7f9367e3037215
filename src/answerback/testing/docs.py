"""Writes the pages that describe the settings: `python -m answerback.testing.docs`, from the repository's root."""

from pathlib import Path

from answerback.settings.describing import describe, env_example

BEGIN = "<!-- settings -->"
END = "<!-- /settings -->"


def markdown_table() -> str:
    """The settings as a table for README.md."""
    rows = ["| name | default | meaning |", "|---|---|---|"]
    for name, default, description in describe():
        rows.append(f"| `{name}` | {f'`{default}`' if default else ''} | {description} |")
    return "\n".join(rows) + "\n"


def with_table(readme: str) -> str:
    """The README with its table renewed. Raises ValueError when it lacks the markers."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(END) < readme.index(BEGIN):
        raise ValueError(f"README.md needs {BEGIN} and {END}, each exactly one time and in this order")
    before, _, rest = readme.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{markdown_table()}{END}{after}"


def write(root: Path) -> None:
    """Renews `.env.example` and the table in README.md."""
    readme = root / "README.md"
    text = with_table(readme.read_text(encoding="utf-8"))
    readme.write_text(text, encoding="utf-8")
    (root / ".env.example").write_text(env_example(), encoding="utf-8")


def main() -> None:
    write(Path.cwd())


if __name__ == "__main__":
    main()
