"""The queue on Redis: a ledger beside Celery's lists, the sweeper that repairs from it, and what it looks like now."""
