"""Operations, the runners that drive them on SQLite and PostgreSQL, the tables and the migrations."""
