"""Fakes that are public: for the tests of people who build on akri, and for our own. Nothing outside tests imports them."""
