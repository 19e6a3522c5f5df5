"""The versions of the table, in the form that alembic reads: env.py runs them, versions/ holds one file each."""
