"""The migrations of the record; Alembic runs `env.py`, which runs what is in `versions/`."""
