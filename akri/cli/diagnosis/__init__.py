"""What is wrong, why, and what to do: a pure diagnosis of everything that a platform shows. `akri explain` prints it."""
