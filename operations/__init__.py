"""What an operator runs: audit, reconcile, erase, expire, dead letters, API keys, migrations, topics."""
