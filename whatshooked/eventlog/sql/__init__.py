"""The event log in a database: one table, the same in SQLite and PostgreSQL.

table.py              the columns; a row <-> what the databases hold of it
query.py              what is asked of it
target.py             what both targets do alike
migrate.py            makes the table, or brings it to our version (migrations/)
faults.py             what a database says -> LogUnavailable
sqlite.py             the target sqlite
postgres.py           the target postgres
months.py             its partitions, one a month
wal.py                its write-ahead log, when a person is forgotten
"""
