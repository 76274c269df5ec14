"""What `akri doctor` looks at: each module examines one side of a machine and says what it found in values."""
