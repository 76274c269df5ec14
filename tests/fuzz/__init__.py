"""Programs that feed readers and parsers with rubbish: `./dev fuzz` runs them for a million inputs each, tests for a few."""
