"""The commands of an operator: audit, reconcile, erase, expire, dead letters, API keys, migrations, topics."""
