"""The tests: a real Valkey, real HTTP; played are only people and Meta."""
