"""The `akri` command: what a person types. Everything it does is a call into the library, so it holds words and exit codes only."""
