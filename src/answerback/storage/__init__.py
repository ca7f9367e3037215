"""The record of everything: tables, migrations, and one `Store` over them."""
