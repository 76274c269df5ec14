"""The local platform with its state in a SQLite file, for any number of processes of one machine."""
